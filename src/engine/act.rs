//! Requests: what is sent for a piece of work, and what comes back.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    queue::{Key, Urgency},
    service::RoomService,
};
use crate::{
    livekit::Error,
    policy::{Action, Participant},
};

/// One request.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// ListRooms.
    Rooms,
    /// ListParticipants.
    Room(Arc<str>),
    /// GetParticipant: to know, before something is computed from it.
    Look(Key),
    /// Whatever the action is.
    Act {
        /// For whom.
        key: Key,
        /// For which session of it.
        sid: Arc<str>,
        /// What.
        action: Action,
    },
}

/// A request that has ended.
#[derive(Debug)]
pub(super) struct Done {
    /// The request.
    pub(super) request: Request,
    /// How urgent it was.
    pub(super) urgency: Urgency,
    /// When it began.
    pub(super) begun: Instant,
    /// What came back.
    pub(super) result: Result<Answer, Error>,
}

/// What came back.
#[derive(Debug)]
pub(super) enum Answer {
    Rooms(Vec<String>),
    Participants(Vec<Participant>),
    Participant(Box<Participant>),
    Removed,
    /// Whether there still is such a track.
    Muted(bool),
}

impl Request {
    /// Sends the request and waits for its end.
    pub(super) async fn send<S: RoomService>(self, urgency: Urgency, service: Arc<S>) -> Done {
        let begun = Instant::now();
        let result = match &self {
            Self::Rooms => service.rooms().await.map(Answer::Rooms),
            Self::Room(room) => service.participants(room).await.map(Answer::Participants),
            Self::Look(key) => {
                service.participant(&key.room, &key.identity).await.map(Box::new).map(Answer::Participant)
            }
            Self::Act { key: Key { room, identity }, action, .. } => match action {
                Action::Update(update) => {
                    service.update(room, identity, update).await.map(Box::new).map(Answer::Participant)
                }
                Action::Remove { revoke_tokens, .. } => {
                    service.remove(room, identity, *revoke_tokens).await.map(|()| Answer::Removed)
                }
                Action::Mute { track, muted, .. } => {
                    service.mute(room, identity, track, *muted).await.map(Answer::Muted)
                }
            },
        };
        Done { request: self, urgency, begun, result }
    }
}

/// Whether two actions are the same request.
pub(super) fn same(a: &Action, b: &Action) -> bool {
    match (a, b) {
        (Action::Update(a), Action::Update(b)) => {
            (a.permission, &a.name, &a.metadata, &a.attributes) == (b.permission, &b.name, &b.metadata, &b.attributes)
        }
        (Action::Mute { track: a, muted: on, .. }, Action::Mute { track: b, muted: other, .. }) => {
            a == b && on == other
        }
        (Action::Remove { .. }, Action::Remove { .. }) => true,
        _ => false,
    }
}
