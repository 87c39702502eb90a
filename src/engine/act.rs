//! Requests: what is sent for a piece of work, and what comes back.

use std::{fmt, num::NonZeroU64, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use tokio::time::Instant;

use super::{
    queue::{Key, Urgency},
    service::RoomService,
};
use crate::{
    livekit::{Class, Error},
    policy::{Action, Participant, Transfer, Transport, Way},
};

/// One request.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// ListRooms of one name: whether the server answers.
    Ping,
    /// ListRooms.
    Rooms,
    /// ListParticipants.
    Room(Arc<str>),
    /// GetParticipant: somebody a webhook told of.
    Meet(Key),
    /// GetParticipant: to know, before something is computed from it.
    Look(Key),
    /// Whatever the action is.
    Act(Key, Action),
    /// A step on the way to another room, of a participant or of its copy.
    Transfer(Key, Step),
}

/// A step on the way to another room.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// GetParticipant: whether the identity is in the destination already.
    Check(Arc<str>),
    /// ForwardParticipant, for this forward.
    Forward(Arc<str>, Arc<Transfer>),
    /// MoveParticipant.
    Move(Arc<str>, Way),
    /// RemoveParticipant, of a copy that this forward owned.
    Retire(Arc<Transfer>),
}

impl Step {
    /// Where it leads to; of a copy that is to go, nowhere.
    pub(super) fn destination(&self) -> Option<&Arc<str>> {
        match self {
            Self::Check(to) | Self::Forward(to, _) | Self::Move(to, _) => Some(to),
            Self::Retire(_) => None,
        }
    }

    /// What it does of the two that not every server can.
    pub(super) const fn transport(&self) -> Option<Transport> {
        match self {
            Self::Forward(..) => Some(Transport::Forward),
            Self::Move(..) => Some(Transport::Move),
            Self::Check(_) | Self::Retire(_) => None,
        }
    }
}

/// Tells one request from another. Whoever waits for an answer keeps the ticket, so that what comes back for somebody
/// who has gone, or from a server that is not asked any more, finds nobody waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(NonZeroU64);

impl Ticket {
    /// The first of all.
    pub(super) const FIRST: Self = Self(NonZeroU64::MIN);

    /// This ticket, and the next one in its place.
    pub(super) fn draw(&mut self) -> Self {
        let ticket = *self;
        self.0 = self.0.saturating_add(1);
        ticket
    }
}

/// A request that has ended.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) ticket: Ticket,
    /// The request.
    pub(super) request: Request,
    /// How urgent it was.
    pub(super) urgency: Urgency,
    /// When it began.
    pub(super) begun: Instant,
    /// What came back.
    pub(super) result: Result<Answer, Trouble>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    Error(Error),
    /// A bug of ours, or of what we use.
    Panic,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Panic => f.write_str("internal error"),
        }
    }
}

impl Trouble {
    /// What to do about it.
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Error(error) => error.class(),
            Self::Panic => Class::Transient { retry_after: None },
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(super) enum Answer {
    Pong,
    Rooms(Vec<String>),
    Participants(Vec<Participant>),
    Participant(Box<Participant>),
    Removed,
    /// Whether there still is such a track.
    Muted(bool),
    /// Forwarded, or moved.
    Transferred,
}

impl Request {
    /// Sends the request and waits for its end.
    pub(super) async fn send<S: RoomService>(self, ticket: Ticket, urgency: Urgency, service: Arc<S>) -> Done {
        let begun = Instant::now();
        let result = match AssertUnwindSafe(self.ask(&*service)).catch_unwind().await {
            Ok(result) => result.map_err(Trouble::Error),
            Err(_) => Err(Trouble::Panic),
        };
        Done { ticket, request: self, urgency, begun, result }
    }

    async fn ask<S: RoomService>(&self, service: &S) -> Result<Answer, Error> {
        match self {
            Self::Ping => service.ping().await.map(|()| Answer::Pong),
            Self::Rooms => service.rooms().await.map(Answer::Rooms),
            Self::Room(room) => service.participants(room).await.map(Answer::Participants),
            Self::Meet(Key { room, identity }) | Self::Look(Key { room, identity }) => {
                service.participant(room, identity).await.map(Box::new).map(Answer::Participant)
            }
            Self::Act(Key { room, identity }, action) => match action {
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
            Self::Transfer(Key { room, identity }, step) => match step {
                Step::Check(to) => service.participant(to, identity).await.map(Box::new).map(Answer::Participant),
                Step::Forward(to, _) => service.forward(room, identity, to).await.map(|()| Answer::Transferred),
                Step::Move(to, _) => service.move_to(room, identity, to).await.map(|()| Answer::Transferred),
                // Whoever a copy is of keeps its tokens.
                Step::Retire(_) => service.remove(room, identity, false).await.map(|()| Answer::Removed),
            },
        }
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
