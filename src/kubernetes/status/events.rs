//! Kubernetes Events: when an object begins to fail, when it has recovered, and what was done to
//! whom.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder},
};
use tokio::{sync::mpsc, time::timeout};

use super::{Desired, Status};
use crate::{
    api::{Outcome, Reason, condition::READY},
    engine::{Deed, Done},
    kubernetes::{
        MANAGER,
        hub::Hub,
        kind::{Kind, ObjectId},
    },
    policy::{TransferId, Transport},
};

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

/// Tells of what is done to participants, each time at the object that wanted it, until nothing is done any more. The
/// recorder joins what is the same within some minutes to one Event with a count.
pub async fn tell_deeds(hub: Arc<Hub>, client: Client, mut deeds: mpsc::Receiver<Deed>) {
    let recorder = Recorder::new(client, MANAGER.into());
    while let Some(deed) = deeds.recv().await {
        let Some(Told { id, reason, action, mut note }) = told(&deed) else { continue };
        let Some(uid) = hub.lock().standing(&id).map(|standing| standing.head().uid.to_string()) else { continue };
        let resource = id.kind.resource();
        let object = ObjectReference {
            namespace: Some(id.name.namespace.to_string()),
            name: Some(id.name.name.to_string()),
            uid: Some(uid),
            api_version: Some(resource.api_version),
            kind: Some(resource.kind),
            ..ObjectReference::default()
        };
        note.truncate(note.floor_char_boundary(LONGEST));
        let event = Event {
            type_: EventType::Normal,
            reason: reason.to_owned(),
            note: Some(note),
            action: action.to_owned(),
            secondary: None,
        };
        publish(&recorder, &event, &object).await;
    }
}

/// What an Event says of a deed.
struct Told {
    /// At which object.
    id: ObjectId,
    reason: &'static str,
    action: &'static str,
    note: String,
}

/// Of each changed field, nothing: that would be an Event a join.
fn told(deed: &Deed) -> Option<Told> {
    let Deed { room, identity, what, .. } = deed;
    let of = |transfer: &TransferId| {
        let kind = match transfer.transport {
            Transport::Forward => Kind::Forward,
            Transport::Move => Kind::Move,
        };
        ObjectId { kind, name: transfer.name.clone() }
    };
    let told = match what {
        Done::Changed(_) => return None,
        Done::Removed(by) => Told {
            id: ObjectId { kind: Kind::Policy, name: by.policy.clone() },
            reason: "Removed",
            action: "Remove",
            note: format!("Removed {identity} from room {room}, by rule {}.", by.rule),
        },
        Done::Retired(by) => Told {
            id: of(by),
            reason: "Removed",
            action: "Remove",
            note: format!("Removed the copy of {identity} from room {room}."),
        },
        Done::Brought(by, to) => {
            let (reason, action) = match by.transport {
                Transport::Forward => ("Forwarded", "Forward"),
                Transport::Move => ("Moved", "Move"),
            };
            Told { id: of(by), reason, action, note: format!("{reason} {identity} from room {room} to {to}.") }
        }
    };
    Some(told)
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
