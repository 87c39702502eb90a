//! What the worker says of its work.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Worker, wake::Timer};
use crate::{
    api::{Feature, Features},
    engine::{
        queue::Key,
        room::Room,
        service::RoomService,
        view::{Health, PolicyReport, ServerReport, ServerView},
    },
    policy::{Circumstances, Line, MAX_SAMPLES, ObjectName, Policy, PolicyTally, RoomTally, Samples},
};

/// A report comes at most this often.
const PACE: Duration = Duration::from_millis(200);
/// The same while every policy that came has settled. What is new then are counts, which nobody waits for and which
/// status shows later still.
const CALM: Duration = Duration::from_secs(1);
/// Reports may take one part in so many of the time.
const SHARE: u32 = 20;
/// So many participants are gone through for a report before whatever else has come has its turn: some tenths of a
/// millisecond.
const AT_ONCE: usize = 256;
/// So often what was touched while a report was made is gone through in this way, each time much less than before. The
/// rest is gone through at once, for a report has an end.
const PASSES: u8 = 4;
/// So many failures in a row to list the rooms are told, even if all else is answered.
const TOLD: u32 = 3;

/// What of the report is up to date, and what is known of each policy's progress.
pub(super) struct Ledger {
    /// Rooms whose account is out of date.
    touched: BTreeSet<Arc<str>>,
    /// The report that is being made.
    begun: Option<Begun>,
    /// In order: samples are those of the first rooms.
    accounts: BTreeMap<Arc<str>, Account>,
    arrivals: HashMap<ObjectName, Arrival>,
    /// When the next one is due; any other timer is void.
    due: Option<Instant>,
    pace: Duration,
    resynced_at: Option<Timestamp>,
    resync_done: u64,
    /// The resync interval that is told, as a multiple of the declared one.
    stretch: u32,
}

/// A report that is being made, a few rooms at a time: joins do not wait for all of them.
struct Begun {
    /// Rooms that are still to be gone through.
    rooms: BTreeSet<Arc<str>>,
    /// How often what was touched meanwhile has been added.
    passes: u8,
    /// What is not as declared; sought when every account is up to date, in the few rooms that show enough of it.
    samples: Option<HashMap<ObjectName, Samples>>,
    /// The time that has been spent on it.
    spent: Duration,
}

/// What one room contributes. Without samples: of many rooms they would take more memory than all else that is known.
#[derive(Default)]
struct Account {
    participants: usize,
    tallies: Vec<(ObjectName, PolicyTally)>,
}

/// The version of a policy that is in force.
struct Arrival {
    policy: Arc<Policy>,
    at: Instant,
    /// When every room had been looked at for the first time since.
    seen: Option<Instant>,
    settled: bool,
}

impl Ledger {
    pub(super) fn new<S>(view: &ServerView<S>, now: Instant) -> Self {
        let mut ledger = Self {
            touched: BTreeSet::new(),
            begun: None,
            accounts: BTreeMap::new(),
            arrivals: HashMap::new(),
            due: None,
            pace: PACE,
            resynced_at: None,
            resync_done: 0,
            stretch: 1,
        };
        ledger.arrived(view, now);
        ledger
    }

    /// Whether the next report is due at this moment.
    pub(super) fn is_due(&self, at: Instant) -> bool {
        self.due == Some(at)
    }

    /// Says that something in a room may have changed.
    pub(super) fn touch(&mut self, room: &Arc<str>) {
        if !self.touched.contains(room) {
            self.touched.insert(Arc::clone(room));
        }
    }

    /// For each policy, the first rooms that have as many samples together as a status has.
    fn showing(&self) -> BTreeSet<Arc<str>> {
        let mut shown: HashMap<&ObjectName, usize> = HashMap::new();
        let mut rooms = BTreeSet::new();
        for (room, account) in &self.accounts {
            for (policy, tally) in account.tallies.iter().filter(|(_, tally)| tally.counts.open() > 0) {
                let shown = shown.entry(policy).or_default();
                if *shown < MAX_SAMPLES {
                    *shown += tally.counts.open();
                    rooms.insert(Arc::clone(room));
                }
            }
        }
        rooms
    }

    /// Takes note of the policies of a view, and of when each one's present version came.
    pub(super) fn arrived<S>(&mut self, view: &ServerView<S>, now: Instant) {
        let mut before = std::mem::take(&mut self.arrivals);
        for member in view.policies.members() {
            let policy = &member.policy;
            let known = before.remove(&policy.name).filter(|known| Arc::ptr_eq(&known.policy, policy));
            let new = || Arrival { policy: Arc::clone(policy), at: now, seen: None, settled: false };
            self.arrivals.insert(policy.name.clone(), known.unwrap_or_else(new));
        }
    }
}

impl Arrival {
    /// Takes note of whether everything that the policy wanted when it came has been done or has failed. What comes
    /// up later in rooms where participants come and go has no end, and does not count.
    fn settle(&mut self, rooms: &BTreeMap<Arc<str>, Box<Room>>, listed: Option<Instant>, now: Instant) {
        if self.settled || listed.is_none_or(|listed| listed < self.at) {
            return;
        }
        let spoken = || rooms.values().filter(|room| speaks_in(&self.policy, &room.line));
        if self.seen.is_none() && spoken().all(|room| room.listed.is_some() || room.told().is_some()) {
            self.seen = Some(now);
        }
        self.settled = self.seen.is_some_and(|seen| {
            let mut records = spoken().flat_map(|room| room.records.values());
            !records.any(|record| record.is_open(self.at, seen))
        });
    }
}

impl<S: RoomService> Worker<S> {
    /// Sees to it that a report comes, soon and not too soon.
    pub(super) fn report_soon(&mut self) {
        self.report_within(PACE);
    }

    /// Sees to it that a report comes if there is anything new.
    pub(super) fn report_if_touched(&mut self) {
        if self.report.due.is_none() && !self.report.touched.is_empty() {
            let settled = self.report.arrivals.values().all(|arrival| arrival.settled);
            self.report_within(if settled { CALM } else { PACE });
        }
    }

    fn report_within(&mut self, pace: Duration) {
        let at = Instant::now() + self.report.pace.max(pace);
        if self.report.due.is_none_or(|due| due > at) {
            self.report.due = Some(at);
            self.set_timer(at, Timer::Report);
        }
    }

    /// Begins to report, if there is anything to say.
    pub(super) fn report(&mut self) {
        self.report.due = None;
        if !self.role.leads() {
            return self.report.touched.clear();
        }
        // Who does not know yet which rooms there are would tell of those that webhooks named.
        if self.round.listed.is_none() && self.health() == Health::Good && !self.view.suspended {
            return;
        }
        // What is touched while one is being made is part of it.
        if self.report.begun.is_none() {
            let rooms = std::mem::take(&mut self.report.touched);
            self.report.begun = Some(Begun { rooms, passes: 0, samples: None, spent: Duration::ZERO });
        }
    }

    /// Whether a report is being made.
    pub(super) fn is_reporting(&self) -> bool {
        self.report.begun.is_some()
    }

    /// Goes on with the report that is being made, and sends it when every account is up to date.
    pub(super) fn go_on_reporting(&mut self) {
        let Some(mut begun) = self.report.begun.take().filter(|_| self.role.leads()) else { return };
        let since = Instant::now();
        let mut participants = 0;
        while participants < AT_ONCE || begun.samples.is_none() && begun.passes >= PASSES {
            let Some(name) = begun.rooms.pop_first() else {
                match begun.samples {
                    None if self.report.touched.is_empty() => {
                        begun.rooms = self.report.showing();
                        begun.samples = Some(HashMap::new());
                    }
                    None => {
                        begun.rooms = std::mem::take(&mut self.report.touched);
                        begun.passes += 1;
                    }
                    Some(samples) => {
                        self.send_report(samples);
                        self.report.pace = PACE.max((begun.spent + since.elapsed()) * SHARE);
                        return;
                    }
                }
                continue;
            };
            let with_samples = begun.samples.is_some();
            let account = self.guarded(&name, |worker| worker.account(&name, with_samples));
            participants += 1 + account.as_ref().map_or(0, |account| account.participants);
            match (account, &mut begun.samples) {
                (Some(account), Some(samples)) => {
                    for (policy, tally) in account.tallies {
                        samples.entry(policy).or_default().extend(tally.samples);
                    }
                }
                (Some(account), None) => drop(self.report.accounts.insert(name, account)),
                (None, _) => drop(self.report.accounts.remove(&name)),
            }
        }
        begun.spent += since.elapsed();
        self.report.begun = Some(begun);
    }

    fn send_report(&mut self, samples: HashMap<ObjectName, Samples>) {
        self.note_resync();
        self.note_stretch();
        let report = self.sum_up(samples);
        let (name, interval) = (&self.view.server, self.view.resync_interval);
        self.reports.send_if_modified(|reports| {
            // Whoever stops a worker then takes back its report, and does not want another.
            if *self.stop.borrow() {
                return false;
            }
            if let Some(at) = report.resynced_at {
                self.metrics.resynced(name, at);
            }
            let differs = reports.get(name).is_none_or(|known| differ(known, &report, interval));
            if differs {
                reports.insert(name.clone(), Arc::new(report));
            }
            differs
        });
    }

    /// What a room contributes; `None` of a room that is no more.
    fn account(&mut self, name: &Arc<str>, with_samples: bool) -> Option<Account> {
        let room = self.rooms.get(name)?;
        let mut tally = RoomTally::new(name, &room.line, with_samples);
        let now = self.clock.now();
        let mut participants = 0;
        for record in room.present() {
            // Of nearly everybody there is nothing to look up.
            let removed_at = if self.removed.is_empty() {
                None
            } else {
                let identity = Arc::clone(&record.participant.identity);
                self.removed.get(&Key { room: Arc::clone(name), identity }).copied()
            };
            let circumstances = Circumstances {
                session: &record.session,
                removed_at,
                can_unmute: self.remote_unmute != Feature::Unsupported,
                unknown_from: room.line.unknown_from.as_ref(),
                now,
            };
            let failure = record.told().map(|message| &**message);
            let _plan = tally.add(&mut self.resolver, &record.participant, circumstances, failure);
            participants += 1;
        }
        let mut tallies: Vec<_> = tally.into_parts().collect();
        tallies.shrink_to_fit();
        if let Some(message) = room.told() {
            for (_, tally) in &mut tallies {
                tally.failure.get_or_insert_with(|| message.to_string());
            }
        }
        Some(Account { participants, tallies })
    }

    /// Notes when every governed room has been listed since the rooms were.
    fn note_resync(&mut self) {
        let Some(listed) = self.round.listed else { return };
        let oldest =
            self.rooms.values().map(|room| room.listed).try_fold(listed, |oldest, room| Some(oldest.min(room?)));
        let Some(oldest) = oldest else { return };
        // To the second: a report is not new for a difference that nobody sees.
        let at = self.clock.now().checked_sub(oldest.elapsed()).ok();
        let at = at.and_then(|at| Timestamp::from_second(at.as_second()).ok());
        self.report.resynced_at = self.report.resynced_at.max(at);
        if let Some((_, request)) = self.resync_asked.take_if(|(asked, _)| oldest >= *asked) {
            self.report.resync_done = request;
        }
    }

    /// Notes whether the budget is too short for the declared resync interval. What is told stays as it is while it is
    /// nearly right: rooms come and go, and a status does not tick.
    fn note_stretch(&mut self) {
        let interval = self.resync_interval();
        self.meter.resyncs_every(interval);
        let needed = interval.as_secs_f64() / self.view.resync_interval.as_secs_f64();
        let told = f64::from(self.report.stretch);
        if needed > told || needed < told - 1.5 || needed <= 1.0 {
            self.report.stretch = needed.ceil() as u32;
        }
    }

    fn sum_up(&mut self, mut samples: HashMap<ObjectName, Samples>) -> ServerReport {
        let mut sums: HashMap<&ObjectName, PolicyTally> = HashMap::new();
        for (name, tally) in self.report.accounts.values().flat_map(|account| &account.tallies) {
            sums.entry(name).or_default().merge(tally);
        }
        let now = Instant::now();
        let mut policies = BTreeMap::new();
        for (name, arrival) in &mut self.report.arrivals {
            let tally = sums.remove(name).unwrap_or_default();
            arrival.settle(&self.rooms, self.round.listed, now);
            policies.insert(name.clone(), policy_report(arrival, tally, samples.remove(name).unwrap_or_default()));
        }
        let transfers = self.report_transfers();
        let participants: usize = self.report.accounts.values().map(|account| account.participants).sum();
        ServerReport {
            health: self.health(),
            features: Features { remote_unmute: self.remote_unmute, ..self.transfers.features() },
            rooms: u32::try_from(self.rooms.len()).unwrap_or(u32::MAX),
            participants: u32::try_from(participants).unwrap_or(u32::MAX),
            resynced_at: self.report.resynced_at,
            resync_done: self.report.resync_done,
            stretched: (self.report.stretch > 1).then(|| self.view.resync_interval * self.report.stretch),
            policies,
            transfers,
        }
    }

    fn health(&self) -> Health {
        let health = self.pulse.health();
        match &self.round.failure {
            // It answers, but not the question on which all else rests.
            Some(failure) if failure.times >= TOLD && matches!(health, Health::Unknown | Health::Good) => {
                Health::Unreachable(failure.told().map(ToString::to_string).unwrap_or_default())
            }
            _ => health.clone(),
        }
    }
}

/// Whether a report says something new. The moment of the last resync alone moves with every listing, and is told
/// once in a round.
fn differ(known: &ServerReport, report: &ServerReport, interval: Duration) -> bool {
    let is_late = match (known.resynced_at, report.resynced_at) {
        (Some(known), Some(at)) => at.duration_since(known).unsigned_abs() >= interval,
        (known, at) => known != at,
    };
    is_late
        || known.stretched != report.stretched
        || (&known.health, &known.features, known.rooms, known.participants, known.resync_done)
            != (&report.health, &report.features, report.rooms, report.participants, report.resync_done)
        || known.policies != report.policies
        || known.transfers != report.transfers
}

fn speaks_in(policy: &Arc<Policy>, line: &Line) -> bool {
    let audited = line.audited.iter().map(|line| &line.members[line.subject]);
    line.enforced.iter().chain(audited).any(|standing| Arc::ptr_eq(&standing.policy, policy))
}

fn policy_report(arrival: &Arrival, tally: PolicyTally, samples: Samples) -> PolicyReport {
    PolicyReport {
        policy: Arc::clone(&arrival.policy),
        settled: arrival.settled,
        counts: tally.counts,
        overridden_by: tally.overridden_by().cloned(),
        failure: tally.failure,
        remote_unmute_disabled: tally.remote_unmute_disabled,
        samples,
    }
}
