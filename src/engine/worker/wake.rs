//! What happens because its moment has come.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::Worker;
use crate::engine::{
    pulse::Admission,
    queue::{Key, Urgency, Work},
    room::Room,
    service::RoomService,
};

/// How long the worker sleeps at most before it looks at the clocks again: somebody may have set the calendar, or have
/// frozen the process.
const LONGEST_SLEEP: Duration = Duration::from_secs(2);

/// What is to be done at a moment of the running clock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Try again what failed for a participant.
    Retry(Key),
    /// List a room.
    Room(Arc<str>),
    /// List the rooms.
    Rooms,
    /// See whether the server still answers.
    Ping,
    /// Report.
    Report,
    /// Forget.
    Sweep,
}

/// What is to be done at a moment of the calendar.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wake {
    /// Look at a participant.
    Participant(Key),
    /// Look at everybody in a room: a rule begins or ends.
    Line(Arc<str>),
}

impl<S: RoomService> Worker<S> {
    pub(super) fn next_timer(&self) -> Instant {
        let now = Instant::now();
        let wake = self.wakes.next().map(|at| now + self.clock.until(at).min(LONGEST_SLEEP));
        let probe = match self.pulse.admits(now) {
            Admission::Nothing(until) if !self.view.suspended => Some(until),
            _ => None,
        };
        let soonest =
            [self.timers.next(), wake, probe, self.budget.next(now), self.rest_until].into_iter().flatten().min();
        soonest.map_or(now + LONGEST_SLEEP, |soonest| soonest.min(now + LONGEST_SLEEP))
    }

    /// Does what timers ask for.
    pub(super) fn ring(&mut self) {
        let now = Instant::now();
        while let Some((at, timer)) = self.timers.due(now) {
            if self.is_set(at, &timer) {
                self.ring_timer(timer);
            }
        }
        if self.wakes.next().is_some() {
            let now = self.clock.now();
            while let Some((at, wake)) = self.wakes.due(now) {
                if self.is_awaited(at, &wake) {
                    self.ring_wake(wake);
                }
            }
        }
    }

    fn ring_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Retry(key) => {
                let Some(room) = self.rooms.get_mut(&key.room) else { return };
                // There may be both: another session is known than the one that is to be met.
                if room.strangers.contains_key(&key.identity) {
                    self.queue.push(Urgency::Change, Work::Meet(key.clone()));
                }
                if let Some(record) = room.records.get_mut(&key.identity) {
                    record.retry = None;
                    self.look_at(key, Urgency::Change);
                }
            }
            Timer::Room(room) => self.list_room_soon(&room, Urgency::Resync),
            Timer::Rooms => self.list_rooms_soon(Urgency::Resync),
            Timer::Ping => self.queue.push(Urgency::Resync, Work::Ping),
            Timer::Report => self.report(),
            Timer::Sweep => self.sweep(),
        }
    }

    fn ring_wake(&mut self, wake: Wake) {
        match wake {
            Wake::Participant(key) => {
                if let Some(record) = self.record(&key) {
                    record.wake = None;
                    self.look_at(key, Urgency::Change);
                }
            }
            Wake::Line(name) => {
                if let Some(room) = self.rooms.get_mut(&name) {
                    room.wake = None;
                    self.look_at_present(&name);
                    self.watch_line(&name);
                    self.report.touch(&name);
                }
            }
        }
    }

    /// Whether a timer is the one that was set last.
    fn is_set(&self, at: Instant, timer: &Timer) -> bool {
        match timer {
            Timer::Retry(key) => self.rooms.get(&key.room).is_some_and(|room| {
                let record = room.records.get(&key.identity);
                let stranger = room.strangers.get(&key.identity).and_then(|stranger| stranger.failure.as_ref());
                record.is_some_and(|record| record.retry == Some(at))
                    || stranger.is_some_and(|failure| failure.until == at)
            }),
            Timer::Room(name) => self.rooms.get(name).is_some_and(|room| room.due == at),
            Timer::Rooms => self.round.due == at,
            Timer::Ping => self.silence.is_due(at),
            Timer::Report => self.report.is_due(at),
            Timer::Sweep => !self.role.leads() && self.sweep_at == at,
        }
    }

    /// The same of the calendar.
    fn is_awaited(&self, at: Timestamp, wake: &Wake) -> bool {
        match wake {
            Wake::Participant(key) => {
                let record = self.rooms.get(&key.room).and_then(|room| room.records.get(&key.identity));
                record.is_some_and(|record| record.wake == Some(at))
            }
            Wake::Line(name) => self.rooms.get(name).is_some_and(|room| room.wake == Some(at)),
        }
    }

    pub(super) fn set_timer(&mut self, at: Instant, timer: Timer) {
        self.timers.set(at, timer);
        if self.timers.is_crowded() {
            let mut timers = std::mem::take(&mut self.timers);
            timers.retain(|at, timer| self.is_set(at, timer));
            self.timers = timers;
        }
    }

    fn set_wake(&mut self, at: Timestamp, wake: Wake) {
        self.wakes.set(at, wake);
        if self.wakes.is_crowded() {
            let mut wakes = std::mem::take(&mut self.wakes);
            wakes.retain(|at, wake| self.is_awaited(at, wake));
            self.wakes = wakes;
        }
    }

    /// Sees to it that a participant is looked at at a moment, or sooner.
    pub(super) fn wake_at(&mut self, key: &Key, at: Timestamp) {
        let Some(record) = self.record(key) else { return };
        if record.wake.is_none_or(|set| at < set) {
            record.wake = Some(at);
            self.set_wake(at, Wake::Participant(key.clone()));
        }
    }

    /// Sets when what failed for a participant is tried again.
    pub(super) fn retry_at(&mut self, key: &Key, at: Instant) {
        if let Some(record) = self.record(key).filter(|record| record.retry != Some(at)) {
            record.retry = Some(at);
            self.set_timer(at, Timer::Retry(key.clone()));
        }
    }

    /// Sets the timer for the next rule of a room's line that begins or ends.
    pub(super) fn watch_line(&mut self, name: &Arc<str>) {
        let now = self.clock.now();
        let Some(room) = self.rooms.get_mut(name) else { return };
        let next = room.line.next_change(now);
        if next != room.wake {
            room.wake = next;
            if let Some(at) = next {
                self.set_wake(at, Wake::Line(Arc::clone(name)));
            }
        }
    }

    /// Throws out work for those who have left, when there is much of it.
    pub(super) fn tidy_queue(&mut self) {
        if !self.queue.is_crowded() {
            return;
        }
        let rooms = &self.rooms;
        let has =
            |key: &Key, has: fn(&Room, &str) -> bool| rooms.get(&key.room).is_some_and(|room| has(room, &key.identity));
        self.queue.retain(|work| match work {
            Work::Participant(key) | Work::Retire(key) => {
                has(key, |room, identity| room.records.contains_key(identity))
            }
            Work::Meet(key) => has(key, |room, identity| room.strangers.contains_key(identity)),
            Work::Everybody(name) | Work::ListRoom(name) => rooms.contains_key(name),
            Work::ListRooms | Work::Ping => true,
        });
    }
}
