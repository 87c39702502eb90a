//! Which forwards and moves concern a room, and in what order.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    line::{Index, Place, Reach, Unknown},
    participant::Participant,
    smaller,
    transfer::{Transfer, TransferId, Transport},
};

/// Moves in a row that are followed; a longer chain counts as leading nowhere.
const LONGEST_JOURNEY: usize = 32;

/// All forwards and moves on one server, found by room without looking at those that do not concern it.
#[derive(Debug, Default)]
pub struct TransferSet {
    members: Vec<TransferMember>,
    unknown: Vec<Unknown>,
    sources: Index,
    destinations: HashMap<Arc<str>, Vec<usize>>,
    remembered: HashMap<TransferId, Arc<Transfer>>,
}

/// A forward or move and how far it may reach.
#[derive(Clone, Debug)]
pub struct TransferMember {
    /// The forward or move.
    pub transfer: Arc<Transfer>,
    /// Where it may take participants from. Its destinations are granted, or it is no member.
    pub reach: Reach,
    /// It is being deleted and its copies are to go; only ever true of a forward.
    pub ending: bool,
}

/// The forwards and moves that concern one room, each list in the order of their places.
#[derive(Debug, Default)]
pub struct Ways {
    /// Forwards out of the room.
    pub forwards: Vec<Arc<Transfer>>,
    /// Moves out of the room.
    pub moves: Vec<Way>,
    /// Forwards into the room.
    pub copies: Vec<Arc<Transfer>>,
    /// Forwards out of the room or into it that are no more, or not as they were, and whose copies may have to go.
    pub ended: Vec<Arc<Transfer>>,
    /// Somebody may be moved into the room.
    pub receives: bool,
    /// Nobody's copy is taken out of the room: somebody who is not understood might want it.
    pub holds_copies: bool,
}

/// A move out of a room.
#[derive(Clone, Debug)]
pub struct Way {
    /// Its place among all moves out of the room.
    pub place: Place,
    /// The move.
    pub transfer: Arc<Transfer>,
    /// It waits: somebody who is not understood and comes first might want the participant to stay.
    pub waits: bool,
}

/// What the forwards and moves out of a room want for one participant of it.
#[derive(Debug, Default)]
pub struct Wishes<'a> {
    /// The enforced moves that take it: the first that has not stopped for it does.
    pub moves: Vec<&'a Way>,
    /// Where copies are to be, and the first enforced forward that wants each.
    pub copies: Vec<(&'a Arc<str>, &'a Arc<Transfer>)>,
    /// Where none of the forwards out of this room wants one, although one of them may have made one.
    pub declined: Vec<&'a Arc<str>>,
    /// When this changes by itself.
    pub wake: Option<Timestamp>,
}

impl TransferSet {
    /// Arranges forwards and moves for lookup. Their order is irrelevant.
    #[must_use]
    pub fn new(members: Vec<TransferMember>, unknown: Vec<Unknown>) -> Self {
        let (mut sources, mut destinations) = (Index::default(), HashMap::<_, Vec<_>>::new());
        for (number, member) in members.iter().enumerate() {
            sources.add(number, &member.transfer.rooms);
            for destination in &member.transfer.destinations {
                destinations.entry(Arc::clone(destination)).or_default().push(number);
            }
        }
        Self { members, unknown, sources, destinations, remembered: HashMap::new() }
    }

    /// The same with what is remembered of forwards as they once were: their destinations are those that they have no
    /// more and where copies may stand.
    #[must_use]
    pub fn remembering(self, former: impl IntoIterator<Item = Arc<Transfer>>) -> Self {
        let remembered = former.into_iter().map(|former| (former.id.clone(), former)).collect();
        Self { remembered, ..self }
    }

    /// What is remembered of a forward.
    #[must_use]
    pub fn remembered(&self, id: &TransferId) -> Option<&Arc<Transfer>> {
        self.remembered.get(id)
    }

    /// The forwards and moves, in no order.
    #[must_use]
    pub fn members(&self) -> &[TransferMember] {
        &self.members
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member of a name.
    #[must_use]
    pub fn find(&self, id: &TransferId) -> Option<&TransferMember> {
        self.members.iter().find(|member| member.transfer.id == *id)
    }

    /// The forwards and moves that concern a room; `None` where there are none. `former` are earlier versions of
    /// forwards, whose copies may have to go.
    #[must_use]
    pub fn ways(&self, room: &str, former: &[Arc<Transfer>]) -> Option<Ways> {
        if self.members.is_empty() && former.is_empty() {
            return None;
        }
        let mut ways =
            Ways { ended: former.iter().filter(|one| one.concerns(room)).cloned().collect(), ..Ways::default() };
        let mut forwards: Vec<(Place, Arc<Transfer>)> = Vec::new();
        for number in self.sources.candidates(room) {
            let TransferMember { transfer, reach, ending } = &self.members[number];
            let Some(place) = reach.place(room, 0, &transfer.id.name) else { continue };
            if !transfer.rooms.matches(room) || transfer.destinations.iter().all(|to| **to == *room) {
                continue;
            }
            match transfer.id.transport {
                _ if *ending => ways.ended.push(Arc::clone(transfer)),
                Transport::Forward => forwards.push((place, Arc::clone(transfer))),
                Transport::Move => {
                    let waits = self.unknown_in(room).any(|unknown| unknown <= place);
                    ways.moves.push(Way { place, transfer: Arc::clone(transfer), waits });
                }
            }
        }
        forwards.sort_by(|a, b| a.0.cmp(&b.0));
        ways.forwards = forwards.into_iter().map(|(_, forward)| forward).collect();
        ways.moves.sort_by(|a, b| a.place.cmp(&b.place));
        for number in self.destinations.get(room).into_iter().flatten() {
            let TransferMember { transfer, ending, .. } = &self.members[*number];
            match transfer.id.transport {
                Transport::Move => ways.receives = true,
                Transport::Forward if *ending => ways.ended.push(Arc::clone(transfer)),
                Transport::Forward => ways.copies.push(Arc::clone(transfer)),
            }
        }
        ways.copies.sort_by(|a, b| a.id.cmp(&b.id));
        let mut seen = HashSet::new();
        ways.ended.retain(|one| seen.insert(Arc::as_ptr(one)));
        ways.holds_copies = self.unknown_in(room).next().is_some();
        let is_empty = !ways.lead_out() && !ways.receives && ways.copies.is_empty();
        (!is_empty).then_some(ways)
    }

    /// The moves that take a participant, as it is, from one room to another; none where they do not lead there.
    #[must_use]
    pub fn journey(&self, from: &str, to: &str, participant: &Participant, now: Timestamp) -> Vec<Way> {
        let mut journey: Vec<Way> = Vec::new();
        let mut room = Arc::from(from);
        while *room != *to {
            let taken = self.ways(&room, &[]).and_then(|ways| {
                let mut moves = ways.moves.into_iter();
                moves.find(|way| way.transfer.acts() && way.transfer.takes(participant, now).0)
            });
            let Some(way) = taken.filter(|_| journey.len() < LONGEST_JOURNEY) else { return Vec::new() };
            let Some(next) = way.transfer.destinations.first() else { return Vec::new() };
            room = Arc::clone(next);
            journey.push(way);
        }
        journey
    }

    fn unknown_in(&self, room: &str) -> impl Iterator<Item = Place> {
        self.unknown
            .iter()
            .filter_map(|unknown| unknown.reach.place(room, unknown.priority.unwrap_or(i32::MAX), &unknown.name))
    }
}

impl Ways {
    /// Whether anybody in the room may be brought anywhere, or may have been.
    #[must_use]
    pub fn lead_out(&self) -> bool {
        !(self.forwards.is_empty() && self.moves.is_empty() && self.ended.is_empty())
    }

    /// Whether somebody of the room may be brought to another one, or may have been.
    #[must_use]
    pub fn lead_to(&self, room: &str) -> bool {
        let moves = self.moves.iter().map(|way| &way.transfer);
        let all = self.forwards.iter().chain(&self.ended).chain(moves);
        all.into_iter().any(|transfer| transfer.leads_to(room))
    }

    /// What is wanted for a participant of the room.
    #[must_use]
    pub fn wishes(&self, room: &str, participant: &Participant, now: Timestamp) -> Wishes<'_> {
        let mut wishes = Wishes::default();
        for way in self.moves.iter().filter(|way| way.transfer.acts()) {
            let (takes, wake) = way.transfer.takes(participant, now);
            wishes.wake = smaller(wishes.wake, wake);
            if takes {
                wishes.moves.push(way);
            }
        }
        let mut declined = Vec::new();
        for forward in self.forwards.iter().filter(|forward| forward.acts()) {
            let (takes, wake) = forward.takes(participant, now);
            wishes.wake = smaller(wishes.wake, wake);
            for destination in forward.destinations.iter().filter(|to| ***to != *room) {
                if !takes {
                    declined.push(destination);
                } else if wishes.copies.iter().all(|(known, _)| *known != destination) {
                    wishes.copies.push((destination, forward));
                }
            }
        }
        declined.extend(self.ended.iter().filter(|one| one.rooms.matches(room)).flat_map(|one| &one.destinations));
        declined.retain(|destination| wishes.copies.iter().all(|(wanted, _)| wanted != destination));
        declined.sort_unstable();
        declined.dedup();
        declined.retain(|destination| ***destination != *room);
        wishes.declined = declined;
        wishes
    }

    /// Whether they are the same forwards and moves in the same order.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |a: &[Arc<Transfer>], b: &[Arc<Transfer>]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
        };
        let same_way =
            |(a, b): (&Way, &Way)| Arc::ptr_eq(&a.transfer, &b.transfer) && a.place == b.place && a.waits == b.waits;
        same(&self.forwards, &other.forwards)
            && same(&self.copies, &other.copies)
            && same(&self.ended, &other.ended)
            && (self.receives, self.holds_copies) == (other.receives, other.holds_copies)
            && self.moves.len() == other.moves.len()
            && self.moves.iter().zip(&other.moves).all(same_way)
    }
}
