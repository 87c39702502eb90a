//! What is sent next.

use std::sync::Arc;

use tokio::time::Instant;

use super::Worker;
use crate::{
    api::Feature,
    engine::{
        act::{Request, same},
        pulse::Admission,
        queue::{Key, Turn, Urgency, Work},
        record::{FRESH, Failure, Noticed},
        service::RoomService,
    },
    livekit::Class,
    policy::{Action, Circumstances, plan},
};

/// So many participants of a room are asked for one by one at about the same time; for more it is less to list it.
pub(super) const LOOKS: usize = 4;

impl<S: RoomService> Worker<S> {
    /// Begins as much work as may be begun.
    pub(super) fn dispatch(&mut self) {
        let now = Instant::now();
        if !self.view.suspended && self.rest_until.is_none() {
            match self.pulse.admits(now) {
                Admission::Nothing(_) => {}
                Admission::Probe => {
                    if self.round.listing.is_none() {
                        self.send(Request::Rooms, Turn { urgency: Urgency::Join, work: Work::ListRooms, since: now });
                    }
                }
                Admission::All => {
                    while let Some(least) = self.budget.least(now)
                        && let Some(turn) = self.queue.pop(least)
                    {
                        self.begin(turn);
                    }
                    self.meter.held_back(&self.queue, self.budget.least(now));
                }
            }
        }
        self.tidy_queue();
        self.meter.waiting(&self.queue);
    }

    fn begin(&mut self, turn: Turn) {
        let urgency = turn.urgency;
        match &turn.work {
            // What was asked for twice, or more urgently meanwhile, has been done once.
            Work::ListRooms if self.round.listed.is_some_and(|listed| listed >= self.round.asked) => {}
            Work::Ping => {
                if self.is_to_be_pinged() {
                    self.send(Request::Ping, turn);
                }
            }
            Work::ListRooms => match self.round.listing {
                None => self.send(Request::Rooms, turn),
                Some(_) => self.round.again = Some(self.round.again.map_or(urgency, |again| again.min(urgency))),
            },
            Work::ListRoom(name) => {
                let Some(room) = self.rooms.get_mut(name) else { return };
                if room.listed.is_some_and(|listed| listed >= room.asked) {
                    return;
                }
                match room.listing {
                    None => self.send(Request::Room(Arc::clone(name)), turn),
                    Some(_) => room.again = Some(room.again.map_or(urgency, |again| again.min(urgency))),
                }
            }
            Work::Meet(key) => {
                if self.is_to_be_met(key) {
                    self.send(Request::Meet(key.clone()), turn);
                }
            }
            Work::Everybody(name) => {
                let Some(room) = self.rooms.get(name) else { return };
                // The last first, for each goes before all others.
                for identity in room.records.keys().rev() {
                    let key = Key { room: Arc::clone(name), identity: Arc::clone(identity) };
                    self.queue.push_next(urgency, Work::Participant(key));
                }
            }
            Work::Participant(key) => {
                let request = self.guarded(&key.room, |worker| worker.next_request(key, urgency));
                if let Some(request) = request {
                    self.send(request, turn);
                }
            }
            Work::Retire(key) => {
                let request = self.guarded(&key.room, |worker| worker.next_retirement(key));
                if let Some(request) = request {
                    self.send(request, turn);
                }
            }
        }
    }

    /// Sends a request if the budget allows it, else puts the work back.
    fn send(&mut self, request: Request, turn: Turn) {
        let (now, urgency) = (Instant::now(), turn.urgency);
        if !self.budget.take(urgency, now) {
            return self.queue.put_back(turn);
        }
        self.meter.sent(&turn, now);
        let ticket = self.next_ticket.draw();
        match &request {
            Request::Ping => self.silence.pinged(ticket),
            Request::Rooms => self.round.listing = Some(ticket),
            Request::Room(name) => {
                if let Some(room) = self.rooms.get_mut(name) {
                    room.listing = Some(ticket);
                }
            }
            Request::Meet(key) => {
                let room = self.rooms.get_mut(&key.room);
                if let Some(stranger) = room.and_then(|room| room.strangers.get_mut(&key.identity)) {
                    stranger.busy = Some(ticket);
                }
            }
            Request::Look(key) | Request::Act(key, _) => {
                if matches!(request, Request::Act(_, Action::Remove { .. })) {
                    // Now, for its answer may come after the next session of the identity.
                    self.note_removal(key);
                }
                if let Some(record) = self.record(key) {
                    record.busy = Some(ticket);
                }
            }
            Request::Transfer(key, step) => self.transfers_begun(key, step, ticket),
        }
        self.running.spawn(request.send(ticket, urgency, Arc::clone(&self.view.service)));
    }

    /// Whether a stranger is still one, and may be asked for now.
    fn is_to_be_met(&mut self, key: &Key) -> bool {
        let Some(room) = self.rooms.get_mut(&key.room) else { return false };
        let Some(stranger) = room.strangers.get(&key.identity) else { return false };
        if room.records.get(&key.identity).is_some_and(|record| *record.participant.sid == *stranger.sid) {
            room.strangers.remove(&key.identity);
            return false;
        }
        let waits = stranger.failure.as_ref().is_some_and(|failure| failure.until > Instant::now());
        stranger.busy.is_none() && !waits
    }

    /// Plans for a participant; the first request of the plan.
    fn next_request(&mut self, key: &Key, urgency: Urgency) -> Option<Request> {
        let (now, instant) = (self.clock.now(), Instant::now());
        let room = self.rooms.get_mut(&key.room)?;
        let record = room.records.get_mut(&key.identity)?;
        // Its answer will bring it here again.
        if record.busy.is_some() {
            return None;
        }
        record.planned = Some(instant);
        let resolution = self.resolver.resolve(&room.line.enforced, &record.participant, now);
        let circumstances = Circumstances {
            session: &record.session,
            removed_at: self.removed.get(key).copied(),
            can_unmute: self.remote_unmute != Feature::Unsupported,
            unknown_from: room.line.unknown_from.as_ref(),
            now,
        };
        let plan = plan(&resolution, &record.participant, circumstances);
        let may_stay = !plan.actions.iter().any(|action| matches!(action, Action::Remove { .. }));
        let goes_anywhere = may_stay && room.ways.is_some();
        for (track, once) in plan.settled {
            record.session.set_done(&track, [once]);
        }
        let mut retry = None;
        let mut list = false;
        let mut actions = plan.actions.into_iter();
        // What the server will not do must not stand before what it may.
        let action = actions.find(|action| {
            let until = record.refused_until(action, instant);
            retry = retry.into_iter().chain(until).min();
            until.is_none()
        });
        let request = match action {
            None => {
                record.failure = None;
                // It shows. There are many who are as declared, and an action is large.
                record.carried_out = None;
                if let Some(Noticed { at, by, acted: true }) = record.noticed.take()
                    && plan.open.is_empty()
                    && retry.is_none()
                {
                    self.metrics.enforced(by.label(), instant.saturating_duration_since(at));
                }
                if retry.is_none() {
                    record.forgive();
                }
                None
            }
            Some(action) if record.waits_until(&action, instant).is_some() => {
                retry = record.waits_until(&action, instant);
                None
            }
            Some(action) if record.carried_out.as_ref().is_some_and(|done| same(done, &action)) => {
                // Sending it again and again would not help: the server said yes and shows no.
                let message = "the server accepted the change and does not show it".into();
                let class = Class::Transient { retry_after: None };
                let failure = Failure::another(record.failure.as_deref(), message, class, instant).of(Some(action));
                retry = Some(failure.until);
                record.failure = Some(Box::new(failure));
                record.carried_out = None;
                None
            }
            Some(action) => {
                retry = None;
                if record.noticed.is_none() && urgency == Urgency::Resync {
                    self.meter.drifted();
                }
                record.noticed.get_or_insert(Noticed { at: instant, by: urgency, acted: false });
                if !action.needs_fresh_base() || record.is_fresh(instant) {
                    Some(Request::Act(key.clone(), action))
                } else if room.failure.is_none() && room.looks.within(FRESH, instant) >= LOOKS {
                    list = room.listing.is_none();
                    None
                } else {
                    room.looks.add();
                    Some(Request::Look(key.clone()))
                }
            }
        };
        self.report.touch(&key.room);
        if list {
            self.list_room_soon(&key.room, urgency);
        }
        if let Some(at) = plan.wake {
            self.wake_at(key, at);
        }
        if let Some(at) = retry {
            self.retry_at(key, at);
        }
        match request {
            None if goes_anywhere && !list => self.next_transfer(key, urgency),
            request => request,
        }
    }
}

impl Request {
    /// Whether LiveKit itself may wait for something before it answers.
    pub(super) fn may_take_long(&self) -> bool {
        match self {
            Self::Act(_, action) => matches!(action, Action::Mute { .. }),
            Self::Transfer(_, step) => step.transport().is_some(),
            Self::Ping | Self::Rooms | Self::Room(_) | Self::Meet(_) | Self::Look(_) => false,
        }
    }
}
