//! What is sent next.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Timer, Worker};
use crate::{
    engine::{
        act::{Request, same},
        budget::Grant,
        pulse::Admission,
        queue::{Key, Urgency, Work},
        room::{Failure, Record},
        service::RoomService,
    },
    policy::{Action, Circumstances, plan},
};

/// What became of a piece of work.
enum Begun {
    /// A request is under way, or there was nothing to do.
    Yes,
    /// It has to wait.
    Wait,
}

impl<S: RoomService> Worker<S> {
    /// Begins as much work as may be begun.
    pub(super) fn dispatch(&mut self) {
        if self.view.suspended || self.broke_until.is_some_and(|until| until > Instant::now()) {
            return;
        }
        match self.pulse.admits(Instant::now()) {
            Admission::Nothing(_) => return,
            Admission::Probe => {
                if self.running.is_empty() {
                    self.rooms_round.listing = true;
                    self.begin(Urgency::Join, Work::ListRooms);
                }
                return;
            }
            Admission::All => {}
        }
        while let Some((urgency, work)) = self.queue.pop(Urgency::Resync) {
            if matches!(self.begin(urgency, work), Begun::Wait) {
                break;
            }
        }
    }

    fn begin(&mut self, urgency: Urgency, work: Work) -> Begun {
        match &work {
            Work::ListRooms => self.send(urgency, Request::Rooms, work),
            Work::ListRoom(room) => match self.rooms.contains_key(room) {
                true => self.send(urgency, Request::Room(Arc::clone(room)), work),
                false => Begun::Yes,
            },
            Work::Meet(key) => {
                let known = self.rooms.get(&key.room).is_none_or(|room| room.records.contains_key(&key.identity));
                if known { Begun::Yes } else { self.send(urgency, Request::Look(key.clone()), work) }
            }
            Work::Participant(key) => {
                let mut begun = Begun::Yes;
                let (key, room) = (key.clone(), Arc::clone(&key.room));
                self.guarded(room, |worker| {
                    if let Some(request) = worker.next_request(&key, urgency) {
                        begun = worker.send(urgency, request, work);
                    }
                });
                begun
            }
        }
    }

    /// Sends a request if the budget allows it, else puts the work back.
    fn send(&mut self, urgency: Urgency, request: Request, work: Work) -> Begun {
        match self.budget.ask(urgency) {
            Grant::Now => {}
            Grant::WhenOneEnds => {
                self.put_back(urgency, work);
                return Begun::Wait;
            }
            Grant::At(until) => {
                self.broke_until = Some(until);
                self.put_back(urgency, work);
                return Begun::Wait;
            }
        }
        let key = match &request {
            Request::Look(key) | Request::Act { key, .. } => Some(key.clone()),
            Request::Rooms | Request::Room(_) => None,
        };
        if let Some(record) = key.as_ref().and_then(|key| self.record(key)) {
            record.busy = true;
        }
        let task = self.running.spawn(request.send(urgency, Arc::clone(&self.view.service)));
        self.tasks.insert(task.id(), key);
        Begun::Yes
    }

    fn put_back(&mut self, urgency: Urgency, work: Work) {
        if let Work::Participant(key) = &work
            && let Some(record) = self.record(key)
        {
            record.queued = Some(urgency);
        }
        self.queue.put_back(urgency, work);
    }

    pub(super) fn record(&mut self, key: &Key) -> Option<&mut Record> {
        self.rooms.get_mut(&key.room)?.records.get_mut(&key.identity)
    }

    /// Plans for a participant; the first request of the plan.
    fn next_request(&mut self, key: &Key, urgency: Urgency) -> Option<Request> {
        let (now, instant) = (Timestamp::now(), Instant::now());
        let room = self.rooms.get_mut(&key.room)?;
        let record = room.records.get_mut(&key.identity)?;
        record.queued = None;
        // Its answer will bring it here again.
        if record.busy {
            return None;
        }
        let resolution = self.resolver.resolve(&room.line.enforced, &record.participant, now);
        let circumstances = Circumstances {
            session: &record.session,
            removed_at: room.removals.get(&key.identity).copied(),
            can_unmute: self.can_unmute,
            unknown_from: room.line.unknown_from.as_ref(),
            now,
        };
        let plan = plan(&resolution, &record.participant, circumstances);
        for (track, once) in plan.settled {
            record.session.set_done(&track, [once]);
        }
        let wake = if plan.wake == record.wake { None } else { plan.wake };
        record.wake = plan.wake;
        let request = match plan.actions.into_iter().next() {
            None => {
                record.failure = None;
                if let Some((since, noticed)) = record.since.take()
                    && record.carried_out.is_some()
                {
                    self.metrics.enforced(noticed.label(), instant.saturating_duration_since(since));
                }
                None
            }
            Some(_) if record.failure.as_ref().is_some_and(|failure| failure.until > instant) => None,
            Some(action) if record.carried_out.as_ref().is_some_and(|done| same(done, &action)) => {
                // Sending it again and again would not help: the server said yes and shows no.
                let message = "the server accepted the change and does not show it";
                record.failure = Some(Failure::another(record.failure.as_ref(), message.into(), None, instant));
                record.carried_out = None;
                None
            }
            Some(action) => {
                record.since.get_or_insert((instant, urgency));
                Some(request(record, key, action, instant))
            }
        };
        let retry = record.failure.as_ref().map(|failure| failure.until).filter(|until| *until > instant);
        self.report.touch(&key.room);
        for at in [wake.map(Self::instant), retry].into_iter().flatten() {
            self.set_timer(at, Timer::Participant(key.clone()));
        }
        request
    }
}

fn request(record: &Record, key: &Key, action: Action, now: Instant) -> Request {
    if action.needs_fresh_base() && !record.is_fresh(now) {
        Request::Look(key.clone())
    } else {
        Request::Act { key: key.clone(), sid: record.participant.sid.as_str().into(), action }
    }
}
