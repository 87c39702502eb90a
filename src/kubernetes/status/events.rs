//! Kubernetes Events: when an object begins to fail, when it has recovered, and when somebody was removed.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder},
};
use tokio::{sync::mpsc, time::timeout};

use super::{Desired, Status};
use crate::{
    api::{Outcome, Reason, RoomPolicy, condition::READY},
    engine::Removal,
    kubernetes::{
        MANAGER,
        hub::Hub,
        kind::{Kind, ObjectId},
    },
};

/// Why an Event says that somebody was removed.
const REMOVED: &str = "Removed";
/// The longest note that the API server takes, in bytes.
const LONGEST: usize = 1024;
/// What is the matter of a LiveKitServer, also where it stands at an object that refers to it.
const OF_SERVERS: [Reason; 9] = [
    Reason::SecretNotFound,
    Reason::SecretForbidden,
    Reason::SecretInvalid,
    Reason::CaBundleNotFound,
    Reason::CaBundleInvalid,
    Reason::Unauthorized,
    Reason::ServerUnreachable,
    Reason::RateLimited,
    Reason::Conflicted,
];
const TELL_WITHIN: Duration = Duration::from_secs(5);

/// A change worth an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    reason: Reason,
    failing: bool,
    note: String,
}

/// The change between what the API server has and what is about to be written.
pub(super) fn turn(present: &Status, desired: &Desired) -> Option<Turn> {
    let ready = |status: &Status| status.conditions().iter().find(|condition| condition.type_ == READY).cloned();
    let (before, after) = (ready(present), ready(&desired.status)?);
    let fails = |reason: &str, status: &str| status == "False" && reason != Reason::Progressing.as_str();
    let failed = before.as_ref().is_some_and(|before| fails(&before.reason, &before.status));
    let same = before.as_ref().is_some_and(|before| before.reason == after.reason);
    let failing = desired.reason.outcome() != Outcome::Ready && desired.reason != Reason::Progressing;
    let recovered = failed && desired.reason.outcome() == Outcome::Ready;
    if !recovered && (!failing || same) {
        return None;
    }
    // What is wrong with a server is told there, and not a thousand times at its policies.
    let cause = if recovered { before.as_ref().map_or("", |before| &before.reason) } else { desired.reason.as_str() };
    if matches!(present, Status::Subject(_)) && OF_SERVERS.iter().any(|reason| reason.as_str() == cause) {
        return None;
    }
    let mut note = after.message;
    note.truncate(note.floor_char_boundary(LONGEST));
    Some(Turn { reason: desired.reason, failing, note })
}

/// Tells of removals, each at the policy that wanted it, until nobody removes any more. The recorder joins those of a
/// policy within some minutes to one Event with a count.
pub async fn tell_removals(hub: Arc<Hub>, client: Client, mut removals: mpsc::Receiver<Removal>) {
    let recorder = Recorder::new(client, MANAGER.into());
    while let Some(Removal { room, identity, by }) = removals.recv().await {
        let id = ObjectId { kind: Kind::Policy, name: by.policy.clone() };
        let Some(uid) = hub.lock().standing(&id).map(|standing| standing.head().uid.to_string()) else { continue };
        let object = ObjectReference {
            namespace: Some(id.name.namespace.to_string()),
            name: Some(id.name.name.to_string()),
            uid: Some(uid),
            api_version: Some(RoomPolicy::api_version(&()).into_owned()),
            kind: Some(RoomPolicy::kind(&()).into_owned()),
            ..ObjectReference::default()
        };
        let mut note = format!("Removed {identity} from room {room}, by rule {}.", by.rule);
        note.truncate(note.floor_char_boundary(LONGEST));
        let event = Event {
            type_: EventType::Normal,
            reason: REMOVED.to_owned(),
            note: Some(note),
            action: "Remove".to_owned(),
            secondary: None,
        };
        publish(&recorder, &event, &object).await;
    }
}

/// Tells of it, best effort: a status is written whether or not an Event can be.
pub(super) async fn tell(recorder: &Recorder, turn: Turn, object: &ObjectReference) {
    let event = Event {
        type_: if turn.failing { EventType::Warning } else { EventType::Normal },
        reason: turn.reason.as_str().to_owned(),
        note: Some(turn.note),
        action: if turn.failing { "Fail" } else { "Recover" }.to_owned(),
        secondary: None,
    };
    publish(recorder, &event, object).await;
}

async fn publish(recorder: &Recorder, event: &Event, object: &ObjectReference) {
    match timeout(TELL_WITHIN, recorder.publish(event, object)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "cannot write an Event"),
        Err(_) => tracing::debug!("cannot write an Event: no answer"),
    }
}
