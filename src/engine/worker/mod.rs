//! The worker of one server. It owns all that is known of the server's rooms, so that nothing is locked: events,
//! answers and timers come to it one by one, and every request runs in a task of its own.
//!
//! It plans anew after each answer and sends one request at a time for a participant, so that each is computed from
//! the newest truth, and different participants never wait for one another.

mod begin;
mod done;
mod hear;
mod lead;
mod listing;
mod ping;
mod report;
mod transfer;
mod view;
mod wake;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use super::{
    act::{Done, Ticket},
    budget::Budget,
    clock::Clock,
    event::Event,
    leader::{Leadership, Role},
    meter::Meter,
    pulse::Pulse,
    queue::{Key, Queue, Urgency, Work},
    record::{Failure, Record},
    room::{CERTAIN, Room},
    service::RoomService,
    stopped,
    timers::Timers,
    view::{Audience, Reports, ServerView},
};
use crate::{
    api::Feature,
    metrics::Metrics,
    policy::{OnceKey, Resolver},
};

/// How long requests that are under way may take to end when the worker is stopped.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// The most events taken in before requests are sent again.
const EVENTS_AT_ONCE: usize = 64;

/// What a worker is connected to.
pub(super) struct Wires<S> {
    pub(super) view: watch::Receiver<Arc<ServerView<S>>>,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) reports: watch::Sender<Reports>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
    pub(super) audience: Option<Audience>,
    pub(super) leadership: Leadership,
}

/// See the module.
pub(super) struct Worker<S> {
    view: Arc<ServerView<S>>,
    reports: watch::Sender<Reports>,
    stop: watch::Receiver<bool>,
    metrics: Arc<Metrics>,
    meter: Meter,
    audience: Option<Audience>,
    leadership: Leadership,
    /// What the replica was when the worker last looked.
    role: Role,
    last_look: Instant,
    /// Nothing is sent before this moment.
    rest_until: Option<Instant>,
    /// When a follower next looks for what may be forgotten; any other timer is void.
    sweep_at: Instant,
    clock: Clock,
    /// In order, like all that is gone through here: the same events then lead to the same requests.
    /// Boxed, for a tree has places that are empty.
    rooms: BTreeMap<Arc<str>, Box<Room>>,
    /// When somebody was last removed, or was to be; of the last seconds only. Not with the room, which may be forgotten
    /// and found again within the second.
    removed: HashMap<Key, Timestamp>,
    queue: Queue,
    budget: Budget,
    pulse: Pulse,
    running: JoinSet<Done>,
    next_ticket: Ticket,
    /// The first ticket of the present service: what comes back under an earlier one comes from another.
    first_ticket: Ticket,
    timers: Timers<Instant, wake::Timer>,
    /// Timers of the calendar, which somebody may set: they are looked at anew every now and then.
    wakes: Timers<Timestamp, wake::Wake>,
    resolver: Resolver,
    /// OncePerTrack effects that were there when the worker began: in the first round they only learn.
    old_keys: Vec<OnceKey>,
    round: Round,
    silence: ping::Silence,
    remote_unmute: Feature,
    transfers: transfer::Transfers,
    report: report::Ledger,
    /// Somebody asked at this moment for a resync, under this number.
    resync_asked: Option<(Instant, u64)>,
}

/// The state of listing all rooms.
#[derive(Debug)]
struct Round {
    /// When somebody last asked for one.
    asked: Instant,
    /// The ListRooms that is under way.
    listing: Option<Ticket>,
    /// Somebody asked for another one while it was under way.
    again: Option<Urgency>,
    /// When the last successful one began.
    listed: Option<Instant>,
    /// How many were successful, as far as that matters: one may be wrong.
    listings: u8,
    /// The last one failed.
    failure: Option<Failure>,
    /// When the next is due; any other timer is void.
    due: Instant,
    /// Every room of the first successful one, until it has been listed itself.
    first: HashSet<Arc<str>>,
}

impl Round {
    fn new(now: Instant) -> Self {
        Self {
            asked: now,
            listing: None,
            again: None,
            listed: None,
            listings: 0,
            failure: None,
            due: now,
            first: HashSet::new(),
        }
    }

    /// Whether the rooms have been listed so often that one that is not known is not in session.
    fn is_certain(&self) -> bool {
        self.listings >= CERTAIN
    }
}

impl<S: RoomService> Worker<S> {
    /// Works until it is stopped.
    pub(super) async fn run(wires: Wires<S>) {
        let Wires { mut view, mut events, reports, mut stop, metrics, clock, audience, mut leadership } = wires;
        let first = Arc::clone(&view.borrow_and_update());
        let mut worker = Self::new(first, reports, stop.clone(), metrics, clock, leadership.clone());
        worker.audience = audience;
        let mut batch = Vec::with_capacity(EVENTS_AT_ONCE);
        worker.start();
        loop {
            worker.look_up();
            // Whatever else comes in without end: answers, timers and requests have their turn each time.
            while let Some(ended) = worker.running.try_join_next() {
                worker.ended(ended);
            }
            worker.ring();
            worker.dispatch();
            worker.report_if_touched();
            worker.go_on_reporting();
            let until = worker.next_timer();
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                () = leadership.changed() => {}
                changed = view.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let next = Arc::clone(&view.borrow_and_update());
                    worker.take(next);
                }
                count = events.recv_many(&mut batch, EVENTS_AT_ONCE) => {
                    if count == 0 {
                        break;
                    }
                    for event in batch.drain(..) {
                        worker.hear(event);
                    }
                }
                Some(ended) = worker.running.join_next() => worker.ended(ended),
                () = tokio::task::yield_now(), if worker.is_reporting() => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
        worker.finish().await;
    }

    fn new(
        view: Arc<ServerView<S>>,
        reports: watch::Sender<Reports>,
        stop: watch::Receiver<bool>,
        metrics: Arc<Metrics>,
        clock: Clock,
        leadership: Leadership,
    ) -> Self {
        let now = Instant::now();
        Self {
            old_keys: view.policies.once_keys().into_iter().collect(),
            budget: Budget::new(view.limits),
            report: report::Ledger::new(&view, now),
            transfers: transfer::Transfers::new(&view.transfers, now),
            resync_asked: Some((now, view.resync_request)),
            meter: Meter::new(metrics.server(&view.server)),
            view,
            reports,
            stop,
            metrics,
            audience: None,
            role: leadership.role(),
            leadership,
            last_look: now,
            rest_until: None,
            sweep_at: now,
            clock,
            rooms: BTreeMap::new(),
            removed: HashMap::new(),
            queue: Queue::default(),
            pulse: Pulse::default(),
            running: JoinSet::new(),
            next_ticket: Ticket::FIRST,
            first_ticket: Ticket::FIRST,
            timers: Timers::default(),
            wakes: Timers::default(),
            resolver: Resolver::default(),
            round: Round::new(now),
            silence: ping::Silence::new(now),
            remote_unmute: Feature::Unknown,
        }
    }

    fn start(&mut self) {
        self.ping_later();
        if self.role.leads() {
            self.list_rooms_soon(Urgency::Change);
            self.report_soon();
        } else {
            self.sweep_later();
        }
    }

    /// Does something that concerns one room. Should it panic, the room is forgotten, and heard of again by the next
    /// resync; all others go on.
    fn guarded<T: Default>(&mut self, room: &str, act: impl FnOnce(&mut Self) -> T) -> T {
        catch_unwind(AssertUnwindSafe(|| act(self))).unwrap_or_else(|_| {
            self.metrics.panics.inc();
            tracing::error!(server = %self.view.server, room, "panic while working on a room; it starts anew");
            self.forget_room(room);
            T::default()
        })
    }

    /// Forgets a room that is no more, or no more governed.
    fn forget_room(&mut self, name: &str) {
        if let Some((name, _)) = self.rooms.remove_entry(name) {
            self.report.touch(&name);
        }
        self.round.first.remove(name);
        self.transfers.forget_room(name);
    }

    fn room(&self, name: &str) -> Option<&Room> {
        self.rooms.get(name).map(|room| &**room)
    }

    fn record(&mut self, key: &Key) -> Option<&mut Record> {
        self.rooms.get_mut(&key.room)?.records.get_mut(&key.identity).map(|record| &mut **record)
    }

    /// Notes a removal.
    fn note_removal(&mut self, key: &Key) {
        let now = self.clock.now();
        self.removed.retain(|_, at| now.duration_since(*at).as_secs() < 2);
        self.removed.insert(key.clone(), now);
    }

    /// Queues a participant.
    fn look_at(&mut self, key: Key, urgency: Urgency) {
        self.queue.push(urgency, Work::Participant(key));
    }

    /// Queues a participant before others, because what is known of it is new now and will not stay so.
    fn go_on_with(&mut self, key: Key, urgency: Urgency) {
        self.queue.push_next(urgency, Work::Participant(key));
    }

    /// Queues everybody in a room.
    fn look_at_all(&mut self, room: &Arc<str>, urgency: Urgency) {
        self.queue.push(urgency, Work::Everybody(Arc::clone(room)));
    }

    async fn finish(mut self) {
        let all_ended = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORDS, all_ended).await.is_err() {
            tracing::warn!(server = %self.view.server, "stopped while requests were under way");
        }
    }
}
