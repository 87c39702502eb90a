//! Usher makes LiveKit rooms obey declared policies.

pub mod api;
pub mod livekit;
