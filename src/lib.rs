//! Usher makes LiveKit rooms obey declared policies.
//!
//! The modules are rooms with one-way doors: [`policy`] is pure and knows the [`api`] types alone; [`livekit`] is the
//! client and knows nothing of policies; [`engine`] brings the two together; [`kubernetes`] turns objects into what
//! the engine works from and its reports into status, [`files`] does so for a folder of manifests; [`http`] receives webhooks and shows metrics; [`cli`] wires.
//! [`simulator`] is the other side: a LiveKit-compatible server in memory.

pub mod api;
pub mod cli;

pub mod engine;
pub mod files;
pub mod http;
pub mod kubernetes;

pub mod livekit;
pub mod metrics;
pub mod policy;
pub mod simulator;
