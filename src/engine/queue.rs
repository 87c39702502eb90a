//! What is to be done next: joins before policy changes before resync.

use std::{collections::VecDeque, sync::Arc};

/// How urgent work is; the smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Somebody has just joined or published: what they may not do, they are doing now.
    Join,
    /// A policy has changed, or a moment has come.
    Change,
    /// A look at what no webhook told.
    Resync,
}

impl Urgency {
    /// Every urgency, the first first.
    pub const ALL: [Self; 3] = [Self::Join, Self::Change, Self::Resync];

    /// As metrics name it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Change => "change",
            Self::Resync => "resync",
        }
    }
}

/// One piece of work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// Plan for a participant, and act.
    Participant(Key),
    /// Ask LiveKit for a participant that is not known yet.
    Meet(Key),
    /// List a room.
    ListRoom(Arc<str>),
    /// List the rooms.
    ListRooms,
}

/// Names a participant of a room.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The room.
    pub room: Arc<str>,
    /// The identity.
    pub identity: Arc<str>,
}

/// Work in the order of its urgency; within an urgency, first come, first served. Bounded by its callers: each
/// participant and each room is in it at most once for each urgency.
#[derive(Debug, Default)]
pub(super) struct Queue([VecDeque<Work>; 3]);

impl Queue {
    pub(super) fn push(&mut self, urgency: Urgency, work: Work) {
        self.0[urgency as usize].push_back(work);
    }

    /// Puts work back that could not be begun, as the next of its urgency.
    pub(super) fn put_back(&mut self, urgency: Urgency, work: Work) {
        self.0[urgency as usize].push_front(work);
    }

    /// The next work of at least this urgency.
    pub(super) fn pop(&mut self, least: Urgency) -> Option<(Urgency, Work)> {
        Urgency::ALL
            .into_iter()
            .take_while(|urgency| *urgency <= least)
            .find_map(|urgency| Some((urgency, self.0[urgency as usize].pop_front()?)))
    }
}
