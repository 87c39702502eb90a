//! What tests play with.

mod livekit;
mod stage;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use jiff::Timestamp;
use usher::{
    api::{ParticipantForwardSpec, ParticipantMoveSpec, RoomPolicySpec, Source},
    policy::{Media, ObjectName, Participant, Policy, Reach, Track, Transfer, TransferMember},
};

pub use livekit::{Fault, LiveKit, not_found, refused, status, unavailable};
pub use stage::{START, Stage, View, server};

/// Everybody may publish nothing.
pub const QUIET: &str = "- {name: quiet, set: {permission: {canPublish: false}}}";
/// Everybody has a seat.
pub const SEAT: &str = "- {name: seat, set: {attributes: {seat: front}}}";
/// Somebody must go.
pub const NO_TROLL: &str = "- {name: banned, match: {identities: [{exact: troll}]}, remove: {}}";
/// Microphones stay muted.
pub const MUTED: &str = "- {name: muted, mute: {sources: [Microphone]}}";
/// Each microphone is muted once.
pub const MUTED_ONCE: &str = "- {name: once, mute: {sources: [Microphone], repeat: OncePerTrack}}";

/// A policy for every room that begins with `hall`.
pub fn policy(name: &str, rules: &str) -> Arc<Policy> {
    spec(name, &format!("rooms: [{{prefix: hall}}]\nrules:\n{}", rules.trim_matches('\n')))
}

/// A policy from what matters in its spec.
pub fn spec(name: &str, yaml: &str) -> Arc<Policy> {
    let yaml = format!("serverRef: {{name: main}}\n{yaml}");
    let spec: RoomPolicySpec = serde_saphyr::from_str(&yaml).expect("YAML of a spec");
    Arc::new(Policy::compile(ObjectName::new("livekit", name), &spec).expect("a good spec"))
}

/// A forward from what matters in its spec.
pub fn forward(name: &str, yaml: &str) -> TransferMember {
    let yaml = format!("serverRef: {{name: main}}\n{yaml}");
    let spec: ParticipantForwardSpec = serde_saphyr::from_str(&yaml).expect("YAML of a spec");
    member(Transfer::forward(ObjectName::new("livekit", name), &spec).expect("a good spec"))
}

/// A move from what matters in its spec.
pub fn movement(name: &str, yaml: &str) -> TransferMember {
    let yaml = format!("serverRef: {{name: main}}\n{yaml}");
    let spec: ParticipantMoveSpec = serde_saphyr::from_str(&yaml).expect("YAML of a spec");
    member(Transfer::movement(ObjectName::new("livekit", name), &spec).expect("a good spec"))
}

fn member(transfer: Transfer) -> TransferMember {
    TransferMember { transfer: Arc::new(transfer), reach: Reach::Home, ending: false }
}

fn sid(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{prefix}_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Somebody who may publish and subscribe and joined when the test began.
pub fn guest(identity: &str) -> Participant {
    Participant::new(&sid("PA"), identity, START.parse::<Timestamp>().unwrap())
}

/// The same with a microphone.
pub fn speaker(identity: &str) -> Participant {
    Participant { tracks: vec![microphone()], ..guest(identity) }
}

pub fn microphone() -> Track {
    Track { sid: sid("TR"), media: Media::Audio, claimed: Some(Source::Microphone), muted: false }
}

/// A server with these in the room `hall`.
pub fn hall(participants: impl IntoIterator<Item = Participant>) -> LiveKit {
    with_room("hall", participants)
}

/// A server that can forward and move, with these in a room.
pub fn cloud(room: &str, participants: impl IntoIterator<Item = Participant>) -> LiveKit {
    let livekit = with_room(room, participants);
    livekit.be_cloud();
    livekit
}

fn with_room(room: &str, participants: impl IntoIterator<Item = Participant>) -> LiveKit {
    let livekit = LiveKit::default();
    for participant in participants {
        livekit.add(room, participant);
    }
    livekit
}

/// How many of what was said begin so.
pub fn count(said: &[String], prefix: &str) -> usize {
    said.iter().filter(|what| what.starts_with(prefix)).count()
}
