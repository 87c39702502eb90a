//! The custom resources on a real API server: what it accepts, what it refuses and with which words.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

mod accepted;
mod cluster;
mod documentation;
mod documented;
mod kinds;
mod manifest;
mod refused;
mod refused_effect;
mod refused_forward;
mod refused_match;
mod refused_policy;
mod refused_server;
mod update;
