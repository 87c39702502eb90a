//! Seeded random schedules on a simulated LiveKit: whatever happens and in whatever order, no rule of safety is broken,
//! and once it is calm, all is as declared.
//!
//! - A *schedule* ([`schedule`]) is some objects, some rooms, and what happens there: people come, go, publish and
//!   change themselves, objects are edited, calls and webhooks go wrong, LiveKit and the operator crash. All of it comes
//!   from one seed, in paused time, so that a seed tells the same story again.
//! - The engine acts on the simulator through a *witness* ([`witness`]), which keeps all that the engine was told and has
//!   each request judged ([`judge`]) before it is carried out.
//! - When the weather has cleared, the rooms are compared with what is declared ([`calm`]), by a resolver that shares
//!   nothing with the planner ([`reference`]).

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

mod budget;
mod burst;
mod calm;
mod declared;
mod judge;
mod ledger;
mod operator;
mod planted;
#[path = "../policy/reference.rs"]
mod reference;
mod rules;
mod schedule;
mod schedules;
mod stage;
mod truth;
mod weather;
mod witness;
