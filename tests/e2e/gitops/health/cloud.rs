//! What only forwards and moves come to, on a simulated LiveKit Cloud.

use serde_json::Value;
use tokio::time::{Instant, sleep};
use usher::api::Reason;

use super::{Expected, WAITS, expect};
use crate::{
    cloud::Stage,
    stage::{A_WHILE, AGAIN, condition},
};

pub(super) const EXPECTED: &[Expected] = &[
    ("ParticipantForward", "taken", Reason::IdentityInUse, WAITS),
    ("ParticipantForward", "undone", Reason::UndoneByOthers, WAITS),
    ("ParticipantMove", "there", Reason::MoveLoop, WAITS),
    ("ParticipantMove", "back", Reason::MoveLoop, WAITS),
];

/// Ends each copy of somebody in a room as soon as it is there, until the forward says that it is undone: the forward.
async fn undo(stage: &Stage, room: &str, identity: &str) -> Value {
    let until = Instant::now() + 2 * AGAIN;
    let mut ended = 0;
    loop {
        let object = stage.get("ParticipantForward", "undone").await;
        if condition(&object, "Ready").is_some_and(|(_, reason)| reason == Reason::UndoneByOthers.as_str()) {
            return object;
        }
        assert!(Instant::now() < until, "{ended} copies ended: {}", object["status"]);
        if !stage.who(room).is_empty() {
            stage.leave(room, identity);
            ended += 1;
        }
        sleep(A_WHILE / 20).await;
    }
}

#[tokio::test]
async fn argo_cd_and_kstatus_wait_for_what_may_heal_in_the_cloud() {
    let stage = Stage::set(true).await;
    for (identity, rooms) in [("anna", &["stage", "hall"][..]), ("bert", &["solo"]), ("carl", &["lobby"])] {
        for room in rooms {
            stage.join(room, identity, "guest");
        }
    }
    for (kind, name, spec) in [
        ("ParticipantForward", "taken", "source: {rooms: [{exact: stage}]}, destinationRooms: [hall]"),
        ("ParticipantForward", "undone", "source: {rooms: [{exact: solo}]}, destinationRooms: [overflow]"),
        ("ParticipantMove", "there", "source: {rooms: [{exact: lobby}]}, destinationRoom: aisle"),
        ("ParticipantMove", "back", "source: {rooms: [{exact: aisle}]}, destinationRoom: lobby"),
    ] {
        stage.apply(kind, name, spec).await;
    }
    let mut objects = Vec::new();
    for (kind, name, reason, verdict) in EXPECTED {
        let object = match reason {
            Reason::UndoneByOthers => undo(&stage, "overflow", "bert").await,
            _ => stage.wait_ready(kind, name, reason.as_str()).await,
        };
        objects.push((object, *verdict));
    }
    expect(&objects).await;
}
