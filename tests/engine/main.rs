//! The engine on a small LiveKit in memory, in time that tests advance.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

mod away;
mod budget;
mod damping;
mod deeds;
mod failures;
mod forward_chaos;
mod forwards;
mod freshness;
mod joins;
mod leading;
mod listings;
mod memory;
mod metrics;
mod moves;
mod mute;
mod panics;
mod refusals;
mod remembered;
mod removal;
mod replicas;
mod reports;
mod shutdown;
mod silence;
mod support;
mod suspension;
mod unsupported;
mod views;
mod windows;
