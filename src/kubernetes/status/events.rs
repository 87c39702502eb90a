//! Kubernetes Events: when an object begins to fail, and when it has recovered. Nothing else, and never twice.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use tokio::time::timeout;

use super::{Desired, Status};
use crate::api::{Outcome, Reason, condition::READY};

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

/// Tells of it, best effort: a status is written whether or not an Event can be.
pub(super) async fn tell(recorder: &Recorder, turn: Turn, object: &ObjectReference) {
    let event = Event {
        type_: if turn.failing { EventType::Warning } else { EventType::Normal },
        reason: turn.reason.as_str().to_owned(),
        note: Some(turn.note),
        action: if turn.failing { "Fail" } else { "Recover" }.to_owned(),
        secondary: None,
    };
    match timeout(TELL_WITHIN, recorder.publish(&event, object)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "cannot write an Event"),
        Err(_) => tracing::debug!("cannot write an Event: no answer"),
    }
}
