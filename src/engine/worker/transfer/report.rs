//! What is told of forwards and moves. Counted anew for each report: they concern few rooms.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Arrival, Worker};
use crate::{
    api::{Feature, Sample},
    engine::{queue::Key, record::Record, room::Room, service::RoomService, view::TransferReport},
    policy::{Counts, Participant, Presence, Samples, Transfer, TransferId, Transport},
};

/// What was done so long ago says nothing any more.
const OLD: Duration = Duration::from_secs(600);

/// What is counted for one object.
#[derive(Default)]
struct Count {
    counts: Counts,
    in_use: Option<String>,
    circle: Option<String>,
    failure: Option<String>,
    undone: bool,
    /// Somebody was there when every room had been looked at, and is still to be brought elsewhere.
    open: bool,
    samples: Samples,
}

/// How far one participant has come, from good to bad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Compliant,
    /// To be done by nobody, for it is only reported.
    Violation,
    /// To be done, and not soon.
    Waits,
    /// To be done.
    Open,
    Failed,
}

impl Count {
    fn add(&mut self, outcome: Outcome, may_be_open: bool) {
        let counts = &mut self.counts;
        counts.participants += 1;
        match outcome {
            Outcome::Compliant => counts.compliant += 1,
            Outcome::Violation => {}
            Outcome::Waits => counts.pending += 1,
            Outcome::Open => {
                counts.pending += 1;
                self.open |= may_be_open;
            }
            Outcome::Failed => counts.failed += 1,
        }
    }

    fn sample(&mut self, transport: Transport, room: &str, identity: &str, to: &str, message: Option<&str>) {
        let field = match transport {
            Transport::Forward => "forward",
            Transport::Move => "move",
        };
        self.samples.add(Sample {
            room: room.to_owned(),
            identity: identity.to_owned(),
            rule: None,
            field: field.to_owned(),
            wanted: Some(to.to_owned()),
            seen: None,
            message: message.map(Into::into),
        });
    }
}

/// The earlier of two texts in the alphabet, so that of many it is always the same.
fn first(known: &mut Option<String>, message: String) {
    if known.as_ref().is_none_or(|known| message < *known) {
        *known = Some(message);
    }
}

impl<S: RoomService> Worker<S> {
    /// What is known of each forward and move.
    pub(in crate::engine::worker) fn report_transfers(&mut self) -> BTreeMap<TransferId, TransferReport> {
        if self.transfers.arrivals.is_empty() {
            return BTreeMap::new();
        }
        self.tidy_transfers();
        self.look_for_ended();
        let now = self.clock.now();
        let mut counts: HashMap<TransferId, Count> = HashMap::new();
        for name in &self.transfers.exits {
            if let Some(room) = self.rooms.get(name) {
                self.count_room(room, now, &mut counts);
            }
        }
        self.count_circles(&mut counts);
        for key in &self.transfers.retiring {
            self.count_retiring(key, &mut counts);
        }
        let instant = Instant::now();
        let mut arrivals = std::mem::take(&mut self.transfers.arrivals);
        let mut reports = BTreeMap::new();
        for (id, arrival) in &mut arrivals {
            let count = counts.remove(id).unwrap_or_default();
            self.settle(arrival, &count, instant);
            let retired = arrival.ending && self.is_gone(&arrival.transfer, arrival.at);
            let left = self.left(&arrival.transfer);
            reports.insert(id.clone(), report(arrival, retired, left, count));
        }
        self.transfers.arrivals = arrivals;
        reports
    }

    /// Sees to it that it becomes known what is left of forwards that have ended.
    fn look_for_ended(&mut self) {
        let transfers = &self.transfers;
        let ending = transfers.arrivals.values().filter(|arrival| arrival.ending).map(|arrival| &arrival.transfer);
        let ended: Vec<_> = ending.chain(transfers.former.iter().map(|(former, _)| former)).collect();
        if !ended.is_empty() {
            let concerned = self.rooms.keys().filter(|room| ended.iter().any(|one| one.concerns(room)));
            let concerned: Vec<_> = concerned.cloned().collect();
            self.make_certain(&concerned);
        }
    }

    /// Destinations of earlier versions of a forward where copies may still stand.
    fn left(&self, present: &Transfer) -> Vec<Arc<str>> {
        let former = self.transfers.former.iter().filter(|(former, _)| former.id == present.id);
        let rooms = former.flat_map(|(former, _)| former.destinations.iter());
        let left: BTreeSet<_> = rooms.filter(|room| !present.leads_to(room)).cloned().collect();
        left.into_iter().collect()
    }

    /// Whether nothing is left of what any version of a forward owned.
    fn is_gone(&self, ending: &Arc<Transfer>, at: Instant) -> bool {
        let former = self.transfers.former.iter().filter(|(former, _)| former.id == ending.id);
        self.is_retired(ending, at) && former.into_iter().all(|(former, at)| self.is_retired(former, *at))
    }

    /// Forgets what was done long ago, and the stops of those who are no more.
    pub(in crate::engine::worker) fn sweep_transfers(&mut self) {
        let now = Instant::now();
        self.transfers.passages.retain(|_, passage| {
            let is_old = |at: Option<Instant>| at.is_none_or(|at| now.saturating_duration_since(at) > OLD);
            let fails = passage.failure.as_ref().is_some_and(|failure| failure.until + OLD > now);
            passage.busy.is_some() || fails || !is_old(passage.made) || !is_old(passage.clear)
        });
        let (rooms, exits) = (&self.rooms, &self.transfers.exits);
        let there = |identity: &str| {
            exits.iter().filter_map(|exit| rooms.get(exit)).any(|room| room.records.contains_key(identity))
        };
        self.transfers.journeys.retain(there);
    }

    /// Forgets what is over.
    fn tidy_transfers(&mut self) {
        self.sweep_transfers();
        let gone: Vec<Key> = (self.transfers.retiring.keys())
            .filter(|key| self.retired_by(&key.room, &key.identity).is_none())
            .cloned()
            .collect();
        for key in gone {
            self.transfers.retiring.remove(&key);
        }
        let over: Vec<Arc<Transfer>> = (self.transfers.former.iter())
            .filter(|(former, at)| self.is_retired(former, *at))
            .map(|(former, _)| Arc::clone(former))
            .collect();
        if !over.is_empty() {
            self.transfers.former.retain(|(former, _)| !over.iter().any(|over| Arc::ptr_eq(over, former)));
            self.take_lines();
        }
    }

    fn count_room(&self, room: &Room, now: Timestamp, counts: &mut HashMap<TransferId, Count>) {
        let Some(ways) = &room.ways else { return };
        for forward in &ways.forwards {
            let count = counts.entry(forward.id.clone()).or_default();
            count.counts.rooms += 1;
            for record in room.present().filter(|record| forward.takes(&record.participant, now).0) {
                let mut worst = Outcome::Compliant;
                for to in forward.destinations.iter().filter(|to| **to != room.name) {
                    let outcome = self.count_place(room, record, forward, to, now, count);
                    worst = worst.max(outcome);
                }
                count.add(worst, self.was_there(forward, record));
            }
        }
        for way in &ways.moves {
            counts.entry(way.transfer.id.clone()).or_default().counts.rooms += 1;
        }
        if ways.moves.is_empty() {
            return;
        }
        for record in room.present() {
            let participant = &record.participant;
            let mut taken = false;
            for way in ways.moves.iter().filter(|way| way.transfer.takes(participant, now).0) {
                let (transfer, acts) = (&way.transfer, way.transfer.acts());
                let Some(to) = transfer.destinations.first() else { continue };
                if acts && taken {
                    continue;
                }
                let count = counts.entry(transfer.id.clone()).or_default();
                let outcome = match self.stopped(transfer, participant) {
                    Some(message) if acts => {
                        count.sample(Transport::Move, &room.name, &participant.identity, to, Some(&message));
                        Outcome::Failed
                    }
                    _ => {
                        taken |= acts;
                        let outcome = self.count_place(room, record, transfer, to, now, count);
                        if way.waits { outcome.min(Outcome::Waits) } else { outcome }
                    }
                };
                count.add(outcome, self.was_there(transfer, record));
            }
        }
    }

    /// Tells of circles, at every move of each.
    fn count_circles(&self, counts: &mut HashMap<TransferId, Count>) {
        for (identity, stop) in self.transfers.journeys.stops() {
            let exits = self.transfers.exits.iter().filter_map(|exit| self.rooms.get(exit)?.records.get(identity));
            let holds = |record: &Record| self.stopped(&stop.stopped, &record.participant).is_some();
            if exits.into_iter().any(|record| holds(record)) {
                for one in stop.with.iter().chain([&stop.stopped]) {
                    first(&mut counts.entry(one.id.clone()).or_default().circle, stop.message());
                }
            }
        }
    }

    /// Why a move has stopped for a participant.
    fn stopped(&self, transfer: &Arc<Transfer>, participant: &Participant) -> Option<String> {
        let stands = |one: &Arc<Transfer>| self.transfers.stands(one);
        self.transfers.journeys.stop_of(transfer, participant, stands).map(|stop| stop.message())
    }

    /// How one participant is in one destination.
    fn count_place(
        &self,
        room: &Room,
        record: &Record,
        transfer: &Transfer,
        to: &Arc<str>,
        now: Timestamp,
        count: &mut Count,
    ) -> Outcome {
        let transport = transfer.id.transport;
        let identity = &*record.participant.identity;
        let told = |count: &mut Count, message: Option<&str>| {
            count.sample(transport, &room.name, identity, to, message);
        };
        match self.presence(to, identity) {
            Presence::Copy if transport == Transport::Forward => return Outcome::Compliant,
            Presence::InUse => {
                let message = format!("{identity} is in {to} already, otherwise than as a copy");
                told(count, Some(&message));
                first(&mut count.in_use, message);
                return Outcome::Failed;
            }
            Presence::Copy | Presence::Absent | Presence::Unknown => {}
        }
        if !transfer.acts() {
            count.counts.violations += 1;
            told(count, None);
            return Outcome::Violation;
        }
        let passage = self.transfers.passages.get(&Key { room: Arc::clone(to), identity: identity.into() });
        let failure = passage.and_then(|passage| passage.failure.as_ref()?.told()).or_else(|| record.told());
        if let Some(failure) = failure {
            told(count, Some(failure));
            first(&mut count.failure, failure.to_string());
            return Outcome::Failed;
        }
        if passage.is_some_and(|passage| passage.corrections.damped_until(now).is_some()) {
            told(count, Some("its copy is ended again and again, so it is forwarded less often"));
            count.undone = true;
            return Outcome::Waits;
        }
        Outcome::Open
    }

    fn count_retiring(&self, (key, retiring): (&Key, &super::Retiring), counts: &mut HashMap<TransferId, Count>) {
        let count = counts.entry(retiring.by.id.clone()).or_default();
        let failure = retiring.failure.as_ref().and_then(|failure| failure.told());
        let message = failure.map_or("its copy is to be removed", |failure| failure);
        count.sample(Transport::Forward, &key.room, &key.identity, &key.room, Some(message));
        match failure {
            Some(failure) => first(&mut count.failure, failure.to_string()),
            None => count.open = true,
        }
    }

    /// Whether a participant was there when everybody had been looked at for the first time since a version came.
    fn was_there(&self, transfer: &Transfer, record: &Record) -> bool {
        let arrival = self.transfers.arrivals.get(&transfer.id);
        arrival.and_then(|arrival| arrival.seen).is_none_or(|seen| record.met <= seen)
    }

    /// Takes note of whether everything that a version wanted when it came has been done or has failed.
    fn settle(&self, arrival: &mut Arrival, count: &Count, now: Instant) {
        if arrival.settled || self.round.listed.is_none_or(|listed| listed < arrival.at) {
            return;
        }
        let transfer = &arrival.transfer;
        let mut concerned = self.rooms.values().filter(|room| transfer.concerns(&room.name));
        if arrival.seen.is_none() && concerned.all(|room| room.listed.is_some() || room.told().is_some()) {
            arrival.seen = Some(now);
        }
        let feature = self.transfers.feature(transfer.id.transport);
        arrival.settled = arrival.seen.is_some() && (!count.open || feature == Feature::Unsupported);
    }
}

fn report(arrival: &Arrival, retired: bool, left: Vec<Arc<str>>, count: Count) -> TransferReport {
    TransferReport {
        transfer: Arc::clone(&arrival.transfer),
        settled: arrival.settled,
        retired,
        left,
        counts: count.counts,
        in_use: count.in_use,
        circle: count.circle,
        undone: count.undone,
        failure: count.failure,
        samples: count.samples,
    }
}
