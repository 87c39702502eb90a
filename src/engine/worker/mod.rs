//! The worker of one server. It owns all that is known of the server's rooms, so that nothing is locked: events,
//! answers and timers come to it one by one, and every request runs in a task of its own.
//!
//! It plans anew after each answer and sends one request at a time for a participant, so that each is computed from
//! the newest truth, and different participants never wait for one another.

mod begin;
mod done;
mod hear;
mod report;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    task::{Id, JoinSet},
    time::Instant,
};

use super::{
    act::Done,
    budget::Budget,
    event::Event,
    pulse::Pulse,
    queue::{Key, Queue, Urgency, Work},
    room::Room,
    service::RoomService,
    stopped,
    view::{Reports, ServerView},
};
use crate::{
    metrics::Metrics,
    policy::{OnceKey, Resolver},
};

/// How long requests that are under way may take to end when the worker is stopped.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// The most events taken in before requests are sent again.
const EVENTS_AT_ONCE: usize = 64;
/// How long a timer sleeps at most before it looks at the clock again, which somebody may have set.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// What a worker is connected to.
pub(super) struct Wires<S> {
    pub(super) view: watch::Receiver<Arc<ServerView<S>>>,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) reports: watch::Sender<Reports>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) metrics: Arc<Metrics>,
}

/// See the module.
pub(super) struct Worker<S> {
    view: Arc<ServerView<S>>,
    reports: watch::Sender<Reports>,
    metrics: Arc<Metrics>,
    rooms: HashMap<Arc<str>, Room>,
    queue: Queue,
    budget: Budget,
    pulse: Pulse,
    running: JoinSet<Done>,
    /// What each running task is for, should it panic.
    tasks: HashMap<Id, Option<Key>>,
    timers: BinaryHeap<Reverse<(Instant, Timer)>>,
    resolver: Resolver,
    /// OncePerTrack effects that were there when the worker began: in the first round they only learn.
    old_keys: HashSet<OnceKey>,
    rooms_round: Round,
    can_unmute: bool,
    /// No request before this moment, for the budget is spent.
    broke_until: Option<Instant>,
    report: report::Ledger,
    /// Somebody asked at this moment for a resync, under this number.
    resync_asked: Option<(Instant, u64)>,
}

/// The state of listing all rooms.
#[derive(Debug)]
struct Round {
    /// A ListRooms is queued or under way.
    listing: bool,
    /// When the last successful one began.
    listed: Option<Instant>,
    /// When the next is due; an older timer is void.
    due: Instant,
    /// Every room of the first successful one, until it has been listed itself.
    first: Option<HashSet<Arc<str>>>,
}

/// What is to be done at a moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Look at a participant.
    Participant(Key),
    /// Look at everybody in a room: a rule begins or ends.
    Line(Arc<str>),
    /// List a room.
    Room(Arc<str>),
    /// List the rooms.
    Rooms,
    /// Report.
    Report,
}

impl<S: RoomService> Worker<S> {
    /// Works until it is stopped.
    pub(super) async fn run(wires: Wires<S>) {
        let Wires { mut view, mut events, reports, mut stop, metrics } = wires;
        let first = Arc::clone(&view.borrow_and_update());
        let mut worker = Self::new(first, reports, metrics);
        let mut batch = Vec::with_capacity(EVENTS_AT_ONCE);
        worker.start();
        loop {
            worker.dispatch();
            worker.report_if_touched();
            let until = worker.next_timer();
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                ended = worker.running.join_next_with_id(), if !worker.running.is_empty() => {
                    if let Some(ended) = ended {
                        worker.ended(ended);
                    }
                }
                count = events.recv_many(&mut batch, EVENTS_AT_ONCE) => {
                    if count == 0 {
                        break;
                    }
                    for event in batch.drain(..) {
                        worker.guarded(Arc::from(event.room.as_str()), |worker| worker.hear(event));
                    }
                }
                changed = view.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let next = Arc::clone(&view.borrow_and_update());
                    worker.take(next);
                }
                () = tokio::time::sleep_until(until) => worker.ring(),
            }
        }
        worker.finish().await;
    }

    fn new(view: Arc<ServerView<S>>, reports: watch::Sender<Reports>, metrics: Arc<Metrics>) -> Self {
        let now = Instant::now();
        Self {
            old_keys: view.policies.once_keys(),
            budget: Budget::new(view.limits),
            report: report::Ledger::new(&view, now),
            view,
            reports,
            metrics,
            rooms: HashMap::new(),
            queue: Queue::default(),
            pulse: Pulse::default(),
            running: JoinSet::new(),
            tasks: HashMap::new(),
            timers: BinaryHeap::new(),
            resolver: Resolver::default(),
            rooms_round: Round { listing: false, listed: None, due: now, first: None },
            can_unmute: true,
            broke_until: None,
            resync_asked: None,
        }
    }

    fn start(&mut self) {
        self.list_rooms_soon(Urgency::Change);
        self.report_soon();
    }

    /// Does something that concerns one room. Should it panic, the room is forgotten, and heard of again by the next
    /// resync; all others go on.
    fn guarded(&mut self, room: Arc<str>, act: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| act(self))).is_err() {
            self.metrics.panics.inc();
            tracing::error!(server = %self.view.server, room = &*room, "panic while working on a room; it starts anew");
            self.rooms.remove(&room);
        }
    }

    /// Queues a participant, unless it is queued as urgently already.
    fn look_at(&mut self, key: Key, urgency: Urgency) {
        let Some(record) = self.rooms.get_mut(&key.room).and_then(|room| room.records.get_mut(&key.identity)) else {
            return;
        };
        if record.queued.is_none_or(|queued| urgency < queued) {
            record.queued = Some(urgency);
            self.queue.push(urgency, Work::Participant(key));
        }
    }

    /// Queues everybody in a room.
    fn look_at_all(&mut self, room: &Arc<str>, urgency: Urgency) {
        let Some(known) = self.rooms.get(room) else { return };
        let identities: Vec<_> = known.records.keys().cloned().collect();
        for identity in identities {
            self.look_at(Key { room: Arc::clone(room), identity }, urgency);
        }
    }

    fn list_rooms_soon(&mut self, urgency: Urgency) {
        if !self.rooms_round.listing {
            self.rooms_round.listing = true;
            self.queue.push(urgency, Work::ListRooms);
        }
    }

    fn list_room_soon(&mut self, name: &Arc<str>, urgency: Urgency) {
        if let Some(room) = self.rooms.get_mut(name)
            && !room.listing
        {
            room.listing = true;
            self.queue.push(urgency, Work::ListRoom(Arc::clone(name)));
        }
    }

    /// Sets when a room is to be listed next.
    fn list_room_at(&mut self, name: &Arc<str>, due: Instant) {
        if let Some(room) = self.rooms.get_mut(name) {
            room.due = due;
            self.set_timer(due, Timer::Room(Arc::clone(name)));
        }
    }

    /// Sets when the rooms are to be listed next.
    fn list_rooms_at(&mut self, due: Instant) {
        self.rooms_round.due = due;
        self.set_timer(due, Timer::Rooms);
    }

    fn set_timer(&mut self, at: Instant, timer: Timer) {
        self.timers.push(Reverse((at, timer)));
    }

    /// The moment on the running clock of a moment of the calendar.
    fn instant(moment: Timestamp) -> Instant {
        let wait = moment.duration_since(Timestamp::now());
        Instant::now() + Duration::try_from(wait).unwrap_or_default().min(LONGEST_SLEEP)
    }

    fn next_timer(&self) -> Instant {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let probe = match self.pulse.admits(Instant::now()) {
            super::pulse::Admission::Nothing(until) => Some(until),
            _ => None,
        };
        let soonest = [timer, probe, self.broke_until].into_iter().flatten().min();
        soonest.unwrap_or_else(|| Instant::now() + LONGEST_SLEEP)
    }

    /// Does what timers ask for.
    fn ring(&mut self) {
        let now = Instant::now();
        if self.broke_until.is_some_and(|until| until <= now) {
            self.broke_until = None;
        }
        while self.timers.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            let Some(Reverse((_, timer))) = self.timers.pop() else { break };
            match timer {
                Timer::Participant(key) => self.ring_for(key),
                Timer::Line(room) => self.ring_for_line(&room),
                Timer::Room(room) => {
                    if self.rooms.get(&room).is_some_and(|room| room.due <= now) {
                        self.list_room_soon(&room, Urgency::Resync);
                    }
                }
                Timer::Rooms if self.rooms_round.due <= now => self.list_rooms_soon(Urgency::Resync),
                Timer::Rooms => {}
                Timer::Report => self.report(),
            }
        }
    }

    fn ring_for(&mut self, key: Key) {
        let Some(record) = self.rooms.get(&key.room).and_then(|room| room.records.get(&key.identity)) else { return };
        match record.wake {
            // It slept only part of the way.
            Some(wake) if wake > Timestamp::now() && record.failure.is_none() => {
                self.set_timer(Self::instant(wake), Timer::Participant(key));
            }
            _ => self.look_at(key, Urgency::Change),
        }
    }

    fn ring_for_line(&mut self, name: &Arc<str>) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        if room.wake.is_some_and(|wake| wake <= Timestamp::now()) {
            room.wake = None;
            self.look_at_all(name, Urgency::Change);
        }
        self.watch_line(name);
    }

    /// Sets the timer for the next rule of a room's line that begins or ends.
    fn watch_line(&mut self, name: &Arc<str>) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.wake = room.line.next_change(Timestamp::now());
        if let Some(wake) = room.wake {
            self.set_timer(Self::instant(wake), Timer::Line(Arc::clone(name)));
        }
    }

    async fn finish(mut self) {
        let all_ended = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORDS, all_ended).await.is_err() {
            tracing::warn!(server = %self.view.server, "stopped while requests were under way");
        }
    }
}
