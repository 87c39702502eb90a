//! ParticipantForwards and ParticipantMoves: who is to be brought where.

use std::{
    fmt,
    hash::{DefaultHasher, Hasher},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    field::ObjectName,
    participant::Participant,
    pattern::Patterns,
    problem::{Path, Problem, Problems},
    scope::{Guard, Scope},
    selector::Defaults,
};
use crate::api::{ForwardSource, Kind, Mode, ParticipantForwardSpec, ParticipantMoveSpec, StringMatch};

/// How participants are brought to another room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// ForwardParticipant: they stay, and a copy of kind detail FORWARDED is in the destination.
    Forward,
    /// MoveParticipant: they go.
    Move,
}

/// Names a ParticipantForward or a ParticipantMove.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransferId {
    /// Which of the two it is.
    pub transport: Transport,
    /// Its namespace and name.
    pub name: ObjectName,
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.transport {
            Transport::Forward => "ParticipantForward",
            Transport::Move => "ParticipantMove",
        };
        write!(f, "{kind} {}", self.name)
    }
}

/// A compiled ParticipantForward or ParticipantMove.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Which object it is.
    pub id: TransferId,
    /// Whether it acts or only reports.
    pub mode: Mode,
    /// The rooms that it takes participants from.
    pub rooms: Patterns,
    /// The rooms that it brings them to, at least one; of a move exactly one.
    pub destinations: Box<[Arc<str>]>,
    scope: Scope,
}

impl Transfer {
    /// Compiles a forward.
    ///
    /// # Errors
    /// Everything that is wrong with it and that the schema could not refuse.
    pub fn forward(name: ObjectName, spec: &ParticipantForwardSpec) -> Result<Self, Vec<Problem>> {
        let id = TransferId { transport: Transport::Forward, name };
        let (root, field) = (Path::root("spec"), "destinationRooms");
        let list = root.field(field);
        let mut problems = Problems::default();
        for (index, destination) in spec.destination_rooms.iter().enumerate() {
            check_destination(&spec.source, destination, &list.index(index), &mut problems);
        }
        Self::compile(id, &spec.source, &spec.destination_rooms, spec.mode, problems)
    }

    /// Compiles a move.
    ///
    /// # Errors
    /// Everything that is wrong with it and that the schema could not refuse.
    pub fn movement(name: ObjectName, spec: &ParticipantMoveSpec) -> Result<Self, Vec<Problem>> {
        let id = TransferId { transport: Transport::Move, name };
        let root = Path::root("spec");
        let mut problems = Problems::default();
        check_destination(&spec.source, &spec.destination_room, &root.field("destinationRoom"), &mut problems);
        Self::compile(id, &spec.source, std::slice::from_ref(&spec.destination_room), spec.mode, problems)
    }

    fn compile(
        id: TransferId,
        source: &ForwardSource,
        destinations: &[String],
        mode: Mode,
        mut problems: Problems,
    ) -> Result<Self, Vec<Problem>> {
        let kinds: &[Kind] = match id.transport {
            Transport::Forward => &[Kind::Standard, Kind::Ingress],
            Transport::Move => &[Kind::Standard],
        };
        let root = Path::root("spec");
        let path = root.field("source");
        let rooms = Patterns::compile(&source.rooms, &path.field("rooms"), &mut problems);
        // To be taken elsewhere is something to be had.
        let guard = Guard { entry: !source.trust_self_updates.unwrap_or(false), exit: false };
        let defaults = Defaults { kinds, ..Defaults::ACT };
        let scope = Scope::compile(source.match_.as_ref(), &source.except, defaults, guard, &path, &mut problems);
        problems.into_result()?;
        let destinations = destinations.iter().map(|room| room.as_str().into()).collect();
        Ok(Self { id, mode, rooms, destinations, scope })
    }

    /// The same with other destinations: what it was, as far as its copies are concerned.
    #[must_use]
    pub fn leading_to(&self, destinations: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { destinations: destinations.into_iter().collect(), ..self.clone() }
    }

    /// Whether a room is one of its source rooms or destinations.
    #[must_use]
    pub fn concerns(&self, room: &str) -> bool {
        self.leads_to(room) || self.rooms.matches(room)
    }

    /// Whether a room is one of its destinations.
    #[must_use]
    pub fn leads_to(&self, room: &str) -> bool {
        self.destinations.iter().any(|to| **to == *room)
    }

    /// Whether it is to act, and not only to report.
    #[must_use]
    pub fn acts(&self) -> bool {
        self.mode == Mode::Enforce
    }

    /// Whether it takes a participant of one of its source rooms, and when that changes by itself.
    #[must_use]
    pub fn takes(&self, participant: &Participant, now: Timestamp) -> (bool, Option<Timestamp>) {
        self.scope.contains(participant, now)
    }

    /// Whether a participant of one of its source rooms counts as being there: a copy does only where `include` names
    /// copies, for it is a source of nothing otherwise.
    #[must_use]
    pub fn counts(&self, participant: &Participant) -> bool {
        !participant.forwarded || self.scope.sees_copies()
    }

    /// A digest of all that it selects on and that a participant may change: while it is the same, whoever matched
    /// matches again in the same room.
    #[must_use]
    pub fn selected(&self, participant: &Participant) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.scope.hash_selected(participant, &mut hasher);
        hasher.finish()
    }
}

fn check_destination(source: &ForwardSource, destination: &str, path: &Path<'_>, problems: &mut Problems) {
    if source.rooms.iter().any(|room| matches!(room, StringMatch::Exact(exact) if exact == destination)) {
        problems.add(path, "is a source room too: remove it from one of the two");
    }
}
