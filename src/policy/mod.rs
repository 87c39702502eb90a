//! What shall hold for a participant, and what to do about it: the heart of the project, and pure.
//!
//! Specs are compiled once ([`Policy::compile`]). A [`PolicySet`] finds the policies of a room and puts them into one
//! [`Line`]; a [`Resolver`] lets every matching rule of the line speak, and the first that speaks of a field decides
//! it; [`plan`] compares that with what is seen and says what to do, in a safe order, with the reason of each step.
//!
//! Forwards and moves ([`Transfer`]) stand beside the line: a [`TransferSet`] finds those of a room, and [`Ways`] says
//! what they want for a participant of it.
//!
//! Nothing here knows a Kubernetes client, HTTP, protobuf or a clock: time is an argument.

mod action;
mod copies;
mod counts;
mod field;
mod journey;
mod line;
mod participant;
mod pattern;
mod plan;
mod problem;
mod resolve;
mod rule;
mod scope;
mod selector;
mod session;
mod tally;
mod transfer;
mod ways;

pub use action::{Action, Because, Circumstances, Open, Plan, Update};
pub use copies::{Presence, retired_by};
pub use counts::{Counts, MAX_SAMPLES, Samples};
pub use field::{Decision, Field, Flag, ObjectName, RuleName, Value};
pub use journey::{Journeys, Stop};
pub use line::{AuditedLine, Grant, Line, Member, Place, PolicySet, Reach, Standing, Unknown};
pub use participant::{ALL_SOURCES, Attributes, Media, Participant, Permission, Publishing, Sources, Track, number};
pub use pattern::Patterns;
pub use plan::plan;
pub use problem::{Path, Problem, Problems};
pub use resolve::{At, Part, Resolution, Resolver};
pub use rule::{Effect, Mute, MuteState, OnceKey, Policy, Rule, Shape};
pub use scope::{Guard, Scope};
pub use selector::{Defaults, Matching, Selector};
pub use session::{CORRECTIONS, Corrections, Session};
pub use tally::{PolicyTally, RoomTally};
pub use transfer::{Transfer, TransferId, Transport};
pub use ways::{TransferMember, TransferSet, Way, Ways, Wishes};

/// The smaller of two that may not be.
fn smaller<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}
