//! Usher makes LiveKit rooms obey declared policies.

pub mod api;
pub mod engine;
pub mod policy;
