//! The simulated server: what it does beyond what `tests/conformance` compares with the real one.

// What goes wrong in a test ends it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

mod calls;
mod cloud;
mod direct;
mod faults;
mod memory;
mod scripts;
mod support;
mod webhooks;
