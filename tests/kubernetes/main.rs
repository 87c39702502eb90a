//! Watches and status on a real API server. The engine is played by the tests: they read the catalog and write reports.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

mod burst;
mod catalog;
mod lease;
mod outage;
mod room;
mod secrets;
mod status;
