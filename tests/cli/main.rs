//! Each command, as a process.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

mod demo;
mod demo_manifests;
mod edits;
mod help;
mod manifests;
mod plugin;
mod program;
mod real;
mod scale;
mod simulate;
mod simulate_flags;
mod switch;
mod transfers;
