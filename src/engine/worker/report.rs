//! What the worker says of its work.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Timer, Worker};
use crate::{
    api::{Feature, Features},
    engine::{
        service::RoomService,
        view::{PolicyReport, ServerReport, ServerView},
    },
    policy::{Circumstances, Line, ObjectName, Policy, PolicyTally, RoomTally},
};

/// A report comes at most this often.
const PACE: Duration = Duration::from_millis(200);

/// What of the report is up to date, and what is known of each policy's progress.
pub(super) struct Ledger {
    /// Rooms whose tally is out of date.
    touched: HashSet<Arc<str>>,
    tallies: HashMap<Arc<str>, BTreeMap<ObjectName, PolicyTally>>,
    arrivals: HashMap<ObjectName, Arrival>,
    due: bool,
    resynced_at: Option<Timestamp>,
    resync_done: u64,
}

/// The version of a policy that is in force.
struct Arrival {
    policy: Arc<Policy>,
    at: Instant,
    settled: bool,
}

impl Ledger {
    pub(super) fn new<S>(view: &ServerView<S>, now: Instant) -> Self {
        let mut ledger = Self {
            touched: HashSet::new(),
            tallies: HashMap::new(),
            arrivals: HashMap::new(),
            due: false,
            resynced_at: None,
            resync_done: 0,
        };
        ledger.arrived(view, now);
        ledger
    }

    /// Says that something in a room may have changed.
    pub(super) fn touch(&mut self, room: &Arc<str>) {
        if !self.touched.contains(room) {
            self.touched.insert(Arc::clone(room));
        }
    }

    /// Takes note of the policies of a view, and of when each one's present version came.
    pub(super) fn arrived<S>(&mut self, view: &ServerView<S>, now: Instant) {
        let mut before = std::mem::take(&mut self.arrivals);
        for member in view.policies.members() {
            let policy = &member.policy;
            let known = before.remove(&policy.name).filter(|known| Arc::ptr_eq(&known.policy, policy));
            let arrival = known.unwrap_or_else(|| Arrival { policy: Arc::clone(policy), at: now, settled: false });
            self.arrivals.insert(policy.name.clone(), arrival);
        }
    }
}

impl<S: RoomService> Worker<S> {
    /// Sees to it that a report comes, soon and not too soon.
    pub(super) fn report_soon(&mut self) {
        if !self.report.due {
            self.report.due = true;
            self.set_timer(Instant::now() + PACE, Timer::Report);
        }
    }

    /// The same, if there is anything new.
    pub(super) fn report_if_touched(&mut self) {
        if !self.report.touched.is_empty() {
            self.report_soon();
        }
    }

    /// Reports, if there is anything to say.
    pub(super) fn report(&mut self) {
        self.report.due = false;
        let touched = std::mem::take(&mut self.report.touched);
        for name in touched {
            match self.tally(&name) {
                Some(tally) => drop(self.report.tallies.insert(name, tally)),
                None => drop(self.report.tallies.remove(&name)),
            }
        }
        self.note_resync();
        let report = self.sum_up();
        if let Some(at) = report.resynced_at {
            self.metrics.resynced(&self.view.server, at);
        }
        let name = &self.view.server;
        self.reports.send_if_modified(|reports| {
            let differs = reports.get(name).is_none_or(|known| **known != report);
            if differs {
                reports.insert(name.clone(), Arc::new(report));
            }
            differs
        });
    }

    /// What a room contributes; `None` of a room that is no more.
    fn tally(&mut self, name: &Arc<str>) -> Option<BTreeMap<ObjectName, PolicyTally>> {
        let room = self.rooms.get(name)?;
        let mut tally = RoomTally::new(name, &room.line);
        let now = Timestamp::now();
        for record in room.present() {
            let circumstances = Circumstances {
                session: &record.session,
                removed_at: room.removals.get(record.participant.identity.as_str()).copied(),
                can_unmute: self.can_unmute,
                unknown_from: room.line.unknown_from.as_ref(),
                now,
            };
            let failure = record.failure.as_ref().map(|failure| &*failure.message);
            let _plan = tally.add(&mut self.resolver, &record.participant, circumstances, failure);
        }
        Some(tally.into_parts().collect())
    }

    /// Notes when every governed room has been listed since the rooms were.
    fn note_resync(&mut self) {
        let Some(listed) = self.rooms_round.listed else { return };
        let oldest =
            self.rooms.values().map(|room| room.listed).try_fold(listed, |oldest, room| Some(oldest.min(room?)));
        let Some(oldest) = oldest else { return };
        let age = jiff::SignedDuration::try_from(oldest.elapsed()).unwrap_or_default();
        // To the second: a report is not new for a difference that nobody sees.
        let at = Timestamp::now().checked_sub(age).ok().and_then(|at| Timestamp::from_second(at.as_second()).ok());
        self.report.resynced_at = self.report.resynced_at.max(at);
        if self.resync_asked.is_some_and(|(asked, _)| oldest >= asked) {
            self.report.resync_done = self.resync_asked.take().map_or(0, |(_, request)| request);
        }
    }

    fn sum_up(&mut self) -> ServerReport {
        let mut sums: HashMap<&ObjectName, PolicyTally> = HashMap::new();
        for (name, tally) in self.report.tallies.values().flatten() {
            sums.entry(name).or_default().merge(tally.clone());
        }
        let mut policies = BTreeMap::new();
        for (name, arrival) in &mut self.report.arrivals {
            let tally = sums.remove(name).unwrap_or_default();
            let looked_at = self.rooms_round.listed.is_some_and(|listed| listed >= arrival.at)
                && self
                    .rooms
                    .values()
                    .all(|room| room.listed.is_some() || room.whole || !speaks_in(&arrival.policy, &room.line));
            arrival.settled |= looked_at && tally.pending == 0;
            policies.insert(name.clone(), policy_report(arrival, tally));
        }
        let participants: usize = self.rooms.values().map(|room| room.present().count()).sum();
        ServerReport {
            health: self.pulse.health().clone(),
            features: Features {
                remote_unmute: if self.can_unmute { Feature::Unknown } else { Feature::Unsupported },
                ..Features::default()
            },
            rooms: u32::try_from(self.rooms.len()).unwrap_or(u32::MAX),
            participants: u32::try_from(participants).unwrap_or(u32::MAX),
            resynced_at: self.report.resynced_at,
            resync_done: self.report.resync_done,
            policies,
        }
    }
}

fn speaks_in(policy: &Arc<Policy>, line: &Line) -> bool {
    let audited = line.audited.iter().map(|line| &line.members[line.subject]);
    line.enforced.iter().chain(audited).any(|standing| Arc::ptr_eq(&standing.policy, policy))
}

fn policy_report(arrival: &Arrival, tally: PolicyTally) -> PolicyReport {
    PolicyReport {
        policy: Arc::clone(&arrival.policy),
        settled: arrival.settled,
        rooms: tally.rooms,
        overridden_by: tally.overridden_by().cloned(),
        participants: tally.participants,
        compliant: tally.compliant,
        pending: tally.pending,
        failed: tally.failed,
        violations: tally.violations,
        failure: tally.failure,
        remote_unmute_disabled: tally.remote_unmute_disabled,
        samples: tally.samples.into_iter().collect(),
    }
}
