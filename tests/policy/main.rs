//! What rules mean, seen from outside: policies as they stand in manifests go in, plans come out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audit;
mod compliant;
mod damping;
mod fields;
mod generators;
mod journeys;
mod livekit_model;
mod mute;
mod problems;
mod properties;
mod publishing;
mod reference;
mod refused;
mod removal;
mod rooms;
mod selectors;
mod self_asserted;
mod support;
mod tally;
mod tally_properties;
mod transfer_properties;
mod transfers;
mod who_wins;
mod windows;
