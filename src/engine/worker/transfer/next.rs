//! What is sent next to bring somebody elsewhere, or to end a copy.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Retiring, Worker, stands};
use crate::{
    engine::{
        act::{Request, Step},
        queue::{Key, Urgency, Work},
        record::FRESH,
        room::Room,
        service::RoomService,
        worker::begin::LOOKS,
    },
    policy::{Participant, Presence, Transfer, Way, Ways, retired_by},
};

/// The source of a copy that is to be ended is asked for before the copy is: what is known of it may be as old as two
/// answers of a slow server.
const KNOWN: Duration = Duration::from_secs(10);
/// Nobody else of the identity was in the destination so short a time ago: long enough for a look at the source since.
const CLEAR: Duration = Duration::from_secs(4);
/// A copy is ended at most once in this time.
const ENDED: Duration = Duration::from_secs(1);

impl<S: RoomService> Worker<S> {
    /// Plans where a participant is to be brought; the first request.
    pub(in crate::engine::worker) fn next_transfer(&mut self, key: &Key, urgency: Urgency) -> Option<Request> {
        if self.transfers.retiring.contains_key(key) {
            self.queue.push(urgency, Work::Retire(key.clone()));
        }
        let (ways, participant) = self.source(key)?;
        let now = self.clock.now();
        let wishes = ways.wishes(&key.room, &participant, now);
        if let Some(at) = wishes.wake {
            self.wake_at(key, at);
        }
        let transfers = &mut self.transfers;
        let arrivals = &transfers.arrivals;
        let stands = |one: &Arc<Transfer>| stands(arrivals, one);
        let journeys = &mut transfers.journeys;
        let set = &self.view.transfers;
        let permits = |way: &&Way| {
            let from = way.transfer.destinations.first();
            let back = || from.map_or_else(Vec::new, |from| set.journey(from, &key.room, &participant, now));
            journeys.permit(way, &participant, now, stands, back)
        };
        let way = wishes.moves.into_iter().find(permits);
        if let Some(way) = way
            && let Some(request) = self.next_move(key, way, urgency)
        {
            return Some(request);
        }
        for (to, forward) in wishes.copies {
            let presence = self.presence(to, &key.identity);
            if matches!(presence, Presence::Absent | Presence::Unknown)
                && self.transfers.forward.may_ask(Instant::now())
                && let Some(request) = self.approach(key, Step::Forward(Arc::clone(to), Arc::clone(forward)), urgency)
            {
                return Some(request);
            }
        }
        for to in wishes.declined {
            if self.presence(to, &key.identity) == Presence::Copy {
                self.queue.push(urgency, Work::Retire(key.at(to)));
            }
        }
        None
    }

    /// A participant that may be brought elsewhere. One that the last listing lacked may have left, and stays alone.
    fn source(&self, key: &Key) -> Option<(Arc<Ways>, Participant)> {
        let room = self.rooms.get(&key.room)?;
        let ways = room.ways.as_ref().filter(|ways| ways.lead_out())?;
        let record = room.records.get(&key.identity)?;
        (record.missed == 0 && record.busy.is_none()).then(|| (Arc::clone(ways), record.participant.clone()))
    }

    fn next_move(&mut self, key: &Key, way: &Way, urgency: Urgency) -> Option<Request> {
        let to = way.transfer.destinations.first()?;
        let in_use = self.presence(to, &key.identity) == Presence::InUse;
        if way.waits || in_use || !self.transfers.movement.may_ask(Instant::now()) {
            return None;
        }
        self.approach(key, Step::Move(Arc::clone(to), way.clone()), urgency)
    }

    /// The next request on the way to a destination: whether the identity is there, whether the participant is still as
    /// it was, and then the step itself.
    fn approach(&mut self, key: &Key, step: Step, urgency: Urgency) -> Option<Request> {
        let to = step.destination()?;
        let (now, instant) = (self.clock.now(), Instant::now());
        let is_met = |room: &Room| room.strangers.contains_key(&key.identity);
        if self.room(to).is_some_and(is_met) {
            return None;
        }
        let known = self.transfers.passages.get(&key.at(to));
        let clear = known.and_then(|known| known.clear);
        if let Some(known) = known {
            if known.busy.is_some() {
                return None;
            }
            if let Some(failure) = known.failure.as_ref().filter(|failure| failure.until > instant) {
                let until = failure.until;
                self.retry_by(key, until);
                return None;
            }
            if let Some(until) = known.corrections.damped_until(now) {
                self.wake_at(key, until);
                return None;
            }
        }
        // Whom the last listing lacked, though they were there before, may be there still.
        let is_absent = self.presence(to, &key.identity) == Presence::Absent;
        let listed = self.rooms.get(to).filter(|_| is_absent).and_then(|room| room.showed_somebody);
        let seen_at = |seen: Instant, within| instant.saturating_duration_since(seen) <= within;
        if !clear.is_some_and(|seen| seen_at(seen, CLEAR)) && !listed.is_some_and(|seen| seen_at(seen, FRESH)) {
            return self.check(key, to, urgency);
        }
        let record = self.record(key)?;
        Some(if record.is_fresh(instant) { Request::Transfer(key.clone(), step) } else { Request::Look(key.clone()) })
    }

    /// Sees whether an identity is in a destination: by itself, or for many of them by a listing.
    fn check(&mut self, key: &Key, to: &Arc<str>, urgency: Urgency) -> Option<Request> {
        if let Some(room) = self.rooms.get_mut(to) {
            if room.failure.is_none() && room.looks.within(FRESH, Instant::now()) >= LOOKS {
                if room.listing.is_none() {
                    self.list_room_soon(to, urgency);
                }
                return None;
            }
            room.looks.add();
        }
        Some(Request::Transfer(key.clone(), Step::Check(Arc::clone(to))))
    }

    /// How an identity is in a room.
    pub(super) fn presence(&self, room: &str, identity: &str) -> Presence {
        let Some(room) = self.rooms.get(room) else {
            return if self.round.listed.is_some() { Presence::Absent } else { Presence::Unknown };
        };
        match room.records.get(identity) {
            Some(record) if record.missed == 0 => Presence::of(&record.participant),
            Some(_) => Presence::Unknown,
            None if room.listed.is_none() || room.strangers.contains_key(identity) => Presence::Unknown,
            None => Presence::Absent,
        }
    }

    /// Looks again at a participant at a moment, unless that happens before anyway.
    fn retry_by(&mut self, key: &Key, at: Instant) {
        let set = self.record(key).and_then(|record| record.retry).filter(|set| *set > Instant::now());
        if set.is_none_or(|set| at < set) {
            self.retry_at(key, at);
        }
    }

    /// Whether a copy is to go, and the next request on the way to that: a fresh look at its source, one at itself, and
    /// then its end.
    pub(in crate::engine::worker) fn next_retirement(&mut self, key: &Key) -> Option<Request> {
        let before = self.transfers.retiring.remove(key);
        let instant = Instant::now();
        let by = self.retired_by(&key.room, &key.identity)?;
        self.transfers
            .retiring
            .insert(key.clone(), Retiring { by: Arc::clone(&by), failure: before.and_then(|before| before.failure) });
        let room = self.rooms.get(&key.room)?;
        if room.ways.as_ref().is_none_or(|ways| ways.holds_copies) {
            return None;
        }
        if !self.knows_sources_of(&key.room) {
            let exits: Vec<_> = self.exits_to(&key.room).map(|room| Arc::clone(&room.name)).collect();
            self.make_certain(&exits);
            return None;
        }
        let room = self.rooms.get(&key.room)?;
        let record = room.records.get(&key.identity).filter(|record| record.busy.is_none())?;
        let retiring = self.transfers.retiring.get(key)?;
        let failed = retiring.failure.as_ref().map(|failure| failure.until);
        let ended = self.removed.get(key).and_then(|at| at.checked_add(ENDED).ok());
        let ended = ended.map(|at| instant + self.clock.until(at));
        if let Some(until) = failed.max(ended).filter(|until| *until > instant) {
            self.retry_by(key, until);
            return None;
        }
        let is_fresh = record.is_fresh(instant);
        for source in self.sources_of(&key.room, &key.identity) {
            let record = self.record(&source)?;
            let is_known = record.observed.is_some_and(|seen| instant.saturating_duration_since(seen) <= KNOWN);
            if !is_known {
                // Its answer brings this here again.
                return record.busy.is_none().then_some(Request::Look(source));
            }
        }
        Some(if is_fresh { Request::Transfer(key.clone(), Step::Retire(by)) } else { Request::Look(key.clone()) })
    }

    /// The forward that a copy has to go for, as far as is known.
    pub(super) fn retired_by(&self, name: &Arc<str>, identity: &str) -> Option<Arc<Transfer>> {
        let room = self.rooms.get(name)?;
        let (record, ways) = (room.records.get(identity)?, room.ways.as_ref()?);
        if Presence::of(&record.participant) != Presence::Copy || record.missed > 0 {
            return None;
        }
        let sources = self.sources_of(name, identity);
        let sources: Vec<(&str, &Participant)> = (sources.iter())
            .filter_map(|key| Some((&*key.room, &self.rooms.get(&key.room)?.records.get(identity)?.participant)))
            .collect();
        retired_by(name, ways, &sources, self.clock.now()).cloned()
    }

    /// Everybody of an identity who may be the source of its copy in a room. Also whom the last listing lacked: it may
    /// be wrong.
    fn sources_of(&self, name: &str, identity: &str) -> Vec<Key> {
        let there = self.exits_to(name).filter_map(|room| Some((room, room.records.get_key_value(identity)?.0)));
        there.map(|(room, identity)| Key { room: Arc::clone(&room.name), identity: Arc::clone(identity) }).collect()
    }

    /// Looks again at the copies that are to go, where more has become known of their sources.
    pub(in crate::engine::worker) fn retire_again(&mut self) {
        for key in self.transfers.retiring.keys() {
            self.queue.push(Urgency::Change, Work::Retire(key.clone()));
        }
    }

    /// Whether every room in session is known for certain from which copies in a room may come, so that one that nobody
    /// seems to want is wanted by nobody.
    fn knows_sources_of(&self, name: &str) -> bool {
        self.round.is_certain() && self.exits_to(name).all(Room::is_certain)
    }

    /// Whether nothing is left of what an ended forward owned: known only once its rooms have been listed since.
    pub(super) fn is_retired(&self, ended: &Arc<Transfer>, since: Instant) -> bool {
        if self.transfers.forward.feature == crate::api::Feature::Unsupported {
            return true;
        }
        if self.round.listed.is_none_or(|listed| listed < since) {
            return false;
        }
        let mut rooms = self.rooms.values().filter(|room| ended.concerns(&room.name));
        let is_known = |room: &Room| room.listed.is_some_and(|listed| listed >= since) && room.is_certain();
        if !self.round.is_certain() || !rooms.all(|room| is_known(room)) {
            return false;
        }
        let sources = self.transfers.exits.iter().filter(|exit| ended.rooms.matches(exit));
        let mut sources = sources.filter_map(|exit| self.rooms.get(exit));
        !sources.any(|room| {
            ended.destinations.iter().any(|to| {
                // One that the last listing lacked counts too: that listing may be wrong.
                let copies = self.rooms.get(to).map(|copies| &copies.records);
                room.records.keys().any(|identity| {
                    let copy = copies.and_then(|copies| copies.get(identity));
                    copy.is_some_and(|copy| copy.missed > 0 && copy.participant.forwarded)
                        || copy.is_some() && self.retired_by(to, identity).is_some()
                })
            })
        })
    }
}
