//! Forwards and moves: what is known of them, and which rooms they concern.
//!
//! They are planned with the participant that is to be brought elsewhere, after the policies have had their turn with
//! it ([`next`]). Rooms that no forward or move concerns have no [`Ways`], and nothing here looks at them.

mod done;
mod next;
mod report;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::Worker;
use crate::{
    api::{Feature, Features},
    engine::{
        act::{Step, Ticket},
        queue::{Key, Urgency, Work},
        record::Failure,
        room::Room,
        service::RoomService,
    },
    policy::{Corrections, Journeys, Line, Transfer, TransferId, TransferSet, Transport, Ways},
};

/// A server that cannot forward or move is asked again after this time, unless its address or keys change, or an
/// object does that wants it.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Earlier versions of forwards whose copies may still have to go. Of more, the earliest are forgotten, and their
/// copies stay.
const MOST_FORMER: usize = 256;

/// All that is known of forwards and moves.
pub(super) struct Transfers {
    /// Rooms in session that somebody may be brought out of.
    exits: BTreeSet<Arc<str>>,
    /// What is under way or was of late, by destination and identity.
    passages: HashMap<Key, Passage>,
    /// Copies that are to go.
    retiring: HashMap<Key, Retiring>,
    journeys: Journeys,
    /// Earlier versions of forwards, with the moment at which another one came.
    former: Vec<(Arc<Transfer>, Instant)>,
    arrivals: HashMap<TransferId, Arrival>,
    forward: Ability,
    movement: Ability,
}

/// One identity on its way to a room.
#[derive(Debug, Default)]
struct Passage {
    /// The request that is under way.
    busy: Option<Ticket>,
    /// When a look began that found nobody of the identity there, or a copy.
    clear: Option<Instant>,
    /// How often it was brought there.
    corrections: Corrections,
    /// When it was last brought there.
    made: Option<Instant>,
    failure: Option<Failure>,
}

/// A copy that is to go.
#[derive(Debug)]
struct Retiring {
    /// The forward that owned it.
    by: Arc<Transfer>,
    failure: Option<Failure>,
}

/// The version of a forward or move that is in force.
struct Arrival {
    transfer: Arc<Transfer>,
    ending: bool,
    at: Instant,
    /// When every room had been looked at for the first time since.
    seen: Option<Instant>,
    settled: bool,
}

/// Whether a server can forward, or move.
#[derive(Debug, Default)]
struct Ability {
    feature: Feature,
    /// The request that is to show it.
    probe: Option<Ticket>,
    /// Not asked again before this moment.
    not_before: Option<Instant>,
}

impl Ability {
    /// Whether the server may be asked: of one that is not known to be able, one thing at a time.
    fn may_ask(&self, now: Instant) -> bool {
        match self.feature {
            Feature::Supported => true,
            Feature::Unknown => self.probe.is_none(),
            Feature::Unsupported => self.probe.is_none() && self.not_before.is_none_or(|at| at <= now),
        }
    }
}

impl Transfers {
    pub(super) fn new(set: &TransferSet, now: Instant) -> Self {
        let mut transfers = Self {
            exits: BTreeSet::new(),
            passages: HashMap::new(),
            retiring: HashMap::new(),
            journeys: Journeys::default(),
            former: Vec::new(),
            arrivals: HashMap::new(),
            forward: Ability::default(),
            movement: Ability::default(),
        };
        transfers.arrived(set, now);
        transfers
    }

    pub(super) fn forget_room(&mut self, name: &str) {
        self.exits.remove(name);
    }

    /// Another server is asked from now on.
    pub(super) fn forget_abilities(&mut self) {
        self.forward = Ability::default();
        self.movement = Ability::default();
        for passage in self.passages.values_mut() {
            passage.busy = None;
            passage.clear = None;
            passage.failure = None;
        }
        self.retiring.clear();
    }

    /// This replica becomes the holder, or a follower: what it has found out as the other counts no more.
    pub(super) fn turn(&mut self, now: Instant) {
        self.retiring.clear();
        for arrival in self.arrivals.values_mut() {
            *arrival =
                Arrival { transfer: Arc::clone(&arrival.transfer), at: now, seen: None, settled: false, ..*arrival };
        }
    }

    /// What the server can do.
    pub(super) fn features(&self) -> Features {
        Features { forward: self.forward.feature, move_: self.movement.feature, ..Features::default() }
    }

    fn feature(&self, transport: Transport) -> Feature {
        match transport {
            Transport::Forward => self.forward.feature,
            Transport::Move => self.movement.feature,
        }
    }

    fn ability(&mut self, transport: Transport) -> &mut Ability {
        match transport {
            Transport::Forward => &mut self.forward,
            Transport::Move => &mut self.movement,
        }
    }

    /// Takes note of what is in force, and answers the forwards whose copies may have to go from now on.
    fn arrived(&mut self, set: &TransferSet, now: Instant) -> Vec<Arc<Transfer>> {
        let mut before = std::mem::take(&mut self.arrivals);
        let mut ended = Vec::new();
        for member in set.members() {
            let (transfer, ending) = (&member.transfer, member.ending);
            let known = before.remove(&transfer.id);
            let arrival = match known {
                Some(known) if Arc::ptr_eq(&known.transfer, transfer) && known.ending == ending => known,
                known => {
                    if ending {
                        ended.push(Arc::clone(transfer));
                    } else {
                        // A spec that has changed is worth a question.
                        self.ability(transfer.id.transport).not_before = None;
                    }
                    let former = known.map(|known| known.transfer).filter(|former| former.acts());
                    // One that acted here knows better than what was written down before.
                    let former = former.or_else(|| set.remembered(&transfer.id).cloned());
                    if let Some(former) = former
                        && former.id.transport == Transport::Forward
                        && transfer.acts()
                        && !Arc::ptr_eq(&former, transfer)
                    {
                        ended.push(Arc::clone(&former));
                        self.former.push((former, now));
                    }
                    Arrival { transfer: Arc::clone(transfer), ending, at: now, seen: None, settled: false }
                }
            };
            self.arrivals.insert(transfer.id.clone(), arrival);
        }
        let arrivals = &self.arrivals;
        self.former.retain(|(former, _)| arrivals.contains_key(&former.id));
        let excess = self.former.len().saturating_sub(MOST_FORMER);
        self.former.drain(..excess);
        ended
    }

    /// Earlier versions of forwards that may own copies in a room or of its participants.
    fn former(&self) -> Vec<Arc<Transfer>> {
        self.former.iter().map(|(former, _)| Arc::clone(former)).collect()
    }

    /// Whether a version is the one in force.
    fn stands(&self, transfer: &Arc<Transfer>) -> bool {
        stands(&self.arrivals, transfer)
    }
}

/// Whether a version is the one in force.
fn stands(arrivals: &HashMap<TransferId, Arrival>, transfer: &Arc<Transfer>) -> bool {
    arrivals.get(&transfer.id).is_some_and(|arrival| Arc::ptr_eq(&arrival.transfer, transfer))
}

impl<S: RoomService> Worker<S> {
    /// What holds in a room; `None` where nothing does.
    pub(super) fn what_holds_in(&self, name: &str) -> Option<(Line, Option<Ways>)> {
        let line = self.view.policies.line(name);
        let ways = self.view.transfers.ways(name, &self.transfers.former());
        if line.is_none() && ways.is_none() { None } else { Some((line.unwrap_or_default(), ways)) }
    }

    /// Sets the forwards and moves that concern a room, and tells whether they are others than before.
    pub(super) fn set_ways(&mut self, name: &Arc<str>, ways: Option<Ways>) -> bool {
        let Some(room) = self.rooms.get_mut(name) else { return false };
        let same = match (&room.ways, &ways) {
            (None, None) => true,
            (Some(before), Some(ways)) => before.is_same(ways),
            _ => false,
        };
        if same {
            return false;
        }
        if ways.as_ref().is_some_and(Ways::lead_out) {
            self.transfers.exits.insert(Arc::clone(name));
        } else {
            self.transfers.exits.remove(name);
        }
        room.ways = ways.map(Arc::new);
        self.report.touch(name);
        true
    }

    /// Takes in other forwards and moves.
    pub(super) fn take_transfers(&mut self, before: &TransferSet) {
        let ended = self.transfers.arrived(&self.view.transfers, Instant::now());
        if before.is_empty() && self.view.transfers.is_empty() || !self.role.leads() {
            return;
        }
        // Whose copies are to go must be known as it is now.
        let concerned: Vec<Arc<str>> =
            (self.rooms.keys()).filter(|room| ended.iter().any(|one| one.concerns(room))).cloned().collect();
        for room in concerned {
            self.list_room_soon(&room, Urgency::Change);
        }
    }

    /// Looks at those who may have to be brought into a room where something has changed: for one identity, or all.
    pub(super) fn stir(&mut self, name: &Arc<str>, identity: Option<&str>) {
        let Some(ways) = self.rooms.get(name).and_then(|room| room.ways.as_ref()) else { return };
        if ways.copies.is_empty() && ways.ended.is_empty() && !ways.receives {
            return;
        }
        let mut work = Vec::new();
        for room in self.exits_to(name) {
            let (found, urgency) = match identity {
                Some(identity) => (room.records.get_key_value(identity).map(|(known, _)| vec![known]), Urgency::Change),
                None => (Some(room.records.keys().collect()), Urgency::Resync),
            };
            for identity in found.into_iter().flatten() {
                work.push((
                    urgency,
                    Work::Participant(Key { room: Arc::clone(&room.name), identity: Arc::clone(identity) }),
                ));
            }
        }
        for (urgency, work) in work {
            self.queue.push(urgency, work);
        }
    }

    /// The rooms in session from which somebody may be brought, or may have been, to a room.
    fn exits_to<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Room> {
        let exits = self.transfers.exits.iter().filter(move |exit| ***exit != *name);
        let exits = exits.filter_map(|exit| self.room(exit));
        exits.filter(move |room| room.ways.as_ref().is_some_and(|ways| ways.lead_to(name)))
    }

    /// Notes that a request is under way.
    pub(super) fn transfers_begun(&mut self, key: &Key, step: &Step, ticket: Ticket) {
        if let Some(record) = self.record(key) {
            record.busy = Some(ticket);
        }
        let Some(to) = step.destination() else { return };
        self.transfers.passages.entry(key.at(to)).or_default().busy = Some(ticket);
        if let Some(transport) = step.transport() {
            let ability = self.transfers.ability(transport);
            if ability.feature != Feature::Supported {
                ability.probe = Some(ticket);
            }
        }
    }
}
