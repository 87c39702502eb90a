//! What comes back.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinError, time::Instant};

use super::{Worker, wake::Timer};
use crate::{
    api,
    engine::{
        act::{Answer, Done, Request, Ticket, Trouble},
        pulse::Turn,
        queue::{Key, Urgency},
        record::{Failure, Noticed},
        service::RoomService,
        view::{self, Deed},
    },
    livekit::{Class, Error, Feature},
    policy::{Action, Decision, ObjectName, Participant},
};

/// A server may not have heard yet of somebody who joined so short a time ago (livekit#3763).
const YOUNG: Duration = Duration::from_secs(5);
/// The pause before such a server is asked again.
const GROW_UP: Duration = Duration::from_secs(1);

impl<S: RoomService> Worker<S> {
    /// Takes in the end of a task.
    pub(super) fn ended(&mut self, ended: Result<Done, JoinError>) {
        // An error means that the task was aborted, which nobody does before the worker ends.
        let Ok(done) = ended else { return };
        self.budget.ended(done.urgency);
        if matches!(done.result, Err(Trouble::Panic)) {
            self.metrics.panics.inc();
            tracing::error!(server = %self.view.server, "panic in a request");
        }
        // It comes from a server that is not asked any more.
        if done.ticket < self.first_ticket {
            return;
        }
        self.feel_pulse(&done);
        let Done { ticket, request, urgency, begun, result } = done;
        match request {
            Request::Ping => self.pong(ticket),
            Request::Rooms => self.listed_rooms(ticket, result, begun),
            Request::Room(name) => {
                self.guarded(&name, |worker| worker.listed_room(&name, ticket, result, urgency, begun));
            }
            Request::Meet(key) => {
                self.guarded(&key.room, |worker| worker.met(&key, ticket, result, urgency, begun));
            }
            Request::Look(key) => {
                self.guarded(&key.room, |worker| worker.looked(&key, ticket, result, urgency, begun));
            }
            Request::Act(key, action) => {
                self.guarded(&key.room, |worker| worker.acted(&key, ticket, action, result, urgency, begun));
            }
            Request::Transfer(key, step) => {
                self.guarded(&key.room, |worker| worker.transferred(&key, ticket, step, result, urgency, begun));
            }
        }
    }

    fn feel_pulse(&mut self, done: &Done) {
        let now = Instant::now();
        let turn = match &done.result {
            Ok(_) => self.pulse.answered(done.begun, now),
            // LiveKit looks for a participant to mute, forward or move for three seconds: who allows less learns nothing
            // of the server.
            Err(Trouble::Error(Error::Timeout(_))) if done.request.may_take_long() => Turn::None,
            Err(Trouble::Error(error))
                if matches!(done.request, Request::Ping | Request::Rooms) && is_strange(error) =>
            {
                self.pulse.strange(error, now)
            }
            Err(Trouble::Error(error)) => self.pulse.failed(error, done.begun, now),
            Err(Trouble::Panic) => Turn::None,
        };
        let server = &self.view.server;
        match turn {
            Turn::None => return,
            Turn::Down => {
                tracing::warn!(%server, health = ?self.pulse.health(), "the server does not answer as it should; probing it");
            }
            Turn::Up => tracing::info!(%server, "the server answers again"),
            Turn::Back => {
                tracing::info!(%server, "the server is there again; listing everything");
                // It may have been started anew, with other options, and without its memory.
                self.remote_unmute = api::Feature::Unknown;
                self.list_all_soon(Urgency::Resync);
            }
        }
        self.report_soon();
    }

    fn met(&mut self, key: &Key, ticket: Ticket, result: Result<Answer, Trouble>, urgency: Urgency, begun: Instant) {
        let now = Instant::now();
        let learns = self.learns(&key.room);
        let Some(room) = self.rooms.get_mut(&key.room) else { return };
        let Some(stranger) = room.strangers.get_mut(&key.identity) else { return };
        if stranger.busy.take_if(|awaited| *awaited == ticket).is_none() {
            return;
        }
        match result {
            Ok(Answer::Participant(participant)) => {
                let heard = stranger.heard;
                room.observed(*participant, begun, now);
                let stranger = room.strangers.remove(&key.identity);
                let record = room.records.get_mut(&key.identity).filter(|record| record.planned.is_none());
                if let (Some(record), Some(stranger)) = (record, stranger) {
                    record.noticed.get_or_insert(Noticed { at: heard, by: Urgency::Join, acted: false });
                    if learns {
                        record.learn(&self.old_keys, &stranger.tracks);
                    }
                }
                self.go_on_with(key.clone(), urgency);
                self.stir(&key.room, Some(&key.identity));
            }
            Ok(_) => drop(room.strangers.remove(&key.identity)),
            Err(trouble) if trouble.class() == Class::Gone => {
                let young = now.saturating_duration_since(stranger.heard) < YOUNG;
                room.strangers.remove(&key.identity);
                self.stir(&key.room, Some(&key.identity));
                if young {
                    self.list_room_by(&key.room, now + GROW_UP);
                }
            }
            Err(trouble) => {
                let message = trouble.to_string().into();
                let failure = Failure::another(stranger.failure.as_ref(), message, trouble.class(), now);
                let until = failure.until;
                stranger.failure = Some(failure);
                self.set_timer(until, Timer::Retry(key.clone()));
            }
        }
        self.report.touch(&key.room);
    }

    fn looked(&mut self, key: &Key, ticket: Ticket, result: Result<Answer, Trouble>, urgency: Urgency, begun: Instant) {
        let now = Instant::now();
        let Some(room) = self.rooms.get_mut(&key.room) else { return };
        let Some(record) = room.records.get_mut(&key.identity) else { return };
        if record.busy.take_if(|awaited| *awaited == ticket).is_none() {
            return;
        }
        self.report.touch(&key.room);
        match result {
            Ok(Answer::Participant(participant)) if participant.joined_at < record.participant.joined_at => {
                self.fail(key, &"the server shows an earlier session", Class::Transient { retry_after: None }, None);
            }
            Ok(Answer::Participant(participant)) if participant.sid != record.participant.sid => {
                room.observed(*participant, begun, now);
                self.go_on_with(key.clone(), urgency);
            }
            Ok(Answer::Participant(participant)) => {
                record.missed = 0;
                if record.show(*participant, begun, now) {
                    self.go_on_with(key.clone(), urgency);
                } else {
                    self.fail(
                        key,
                        &"the server shows an older state than before",
                        Class::Transient { retry_after: None },
                        None,
                    );
                }
            }
            Ok(_) => {}
            Err(trouble) if trouble.class() == Class::Gone => self.gone(key, now),
            Err(trouble) => self.failed(key, &trouble, None),
        }
    }

    fn acted(
        &mut self,
        key: &Key,
        ticket: Ticket,
        action: Action,
        result: Result<Answer, Trouble>,
        urgency: Urgency,
        begun: Instant,
    ) {
        let (now, instant, allowed) = (self.clock.now(), Instant::now(), self.role.corrections());
        if result.is_ok() {
            log(&self.view.server, key, &action);
            self.tell_of(key, &action, instant);
        }
        let unmutes = matches!(action, Action::Mute { muted: false, .. });
        if unmutes && result.is_ok() {
            self.remote_unmute = api::Feature::Supported;
        }
        match &result {
            Ok(Answer::Removed) => self.note_removal(key),
            Err(trouble) if matches!(action, Action::Remove { .. }) && trouble.class() != Class::Gone => {
                self.removed.remove(key);
            }
            _ => {}
        }
        self.report.touch(&key.room);
        let Some(room) = self.rooms.get_mut(&key.room) else { return };
        let record = room.records.get_mut(&key.identity);
        let Some(record) = record.filter(|record| record.busy.is_some_and(|awaited| awaited == ticket)) else {
            if let Ok(Answer::Participant(participant)) = result {
                return self.acted_on_another(key, *participant, urgency, begun);
            }
            return;
        };
        record.busy = None;
        match result {
            Ok(Answer::Removed) => {
                let sid = std::mem::take(&mut record.participant.sid);
                if let Some(Noticed { at, by, .. }) = record.noticed {
                    self.metrics.enforced(by.label(), instant.saturating_duration_since(at));
                }
                room.records.remove(&key.identity);
                room.left(&key.identity, &sid, instant);
            }
            Ok(Answer::Participant(participant)) => {
                if participant.sid != record.participant.sid {
                    return self.acted_on_another(key, *participant, urgency, begun);
                }
                record.session.carried_out(&action, now, allowed);
                record.show(*participant, begun, instant);
                record.has_acted(action, instant);
                self.go_on_with(key.clone(), urgency);
            }
            Ok(Answer::Muted(there)) => {
                record.session.carried_out(&action, now, allowed);
                if let Action::Mute { track, muted, .. } = &action {
                    record.participant.tracks.retain(|known| there || known.sid != *track);
                    for known in record.participant.tracks.iter_mut().filter(|known| known.sid == *track) {
                        known.muted = *muted;
                    }
                }
                record.has_acted(action, instant);
                self.go_on_with(key.clone(), urgency);
            }
            Ok(_) => {}
            Err(trouble) => match (trouble.class(), action) {
                (Class::Gone, _) => self.gone(key, instant),
                (Class::Refused, Action::Update(update)) => {
                    tracing::warn!(server = %self.view.server, room = &*key.room, identity = &*key.identity, %trouble, "update refused");
                    record.session.was_refused(&update, trouble.to_string().into(), now);
                    self.go_on_with(key.clone(), urgency);
                }
                (Class::Unsupported(Feature::RemoteUnmute), _) => {
                    tracing::warn!(server = %self.view.server, %trouble, "tracks cannot be unmuted");
                    self.remote_unmute = api::Feature::Unsupported;
                    self.rooms.keys().for_each(|name| self.report.touch(name));
                    self.go_on_with(key.clone(), urgency);
                }
                (class @ (Class::Refused | Class::Unsupported(_)), action) => {
                    tracing::warn!(server = %self.view.server, room = &*key.room, identity = &*key.identity, %trouble, "refused");
                    record.was_refused(action, Failure::another(None, trouble.to_string().into(), class, instant));
                    self.go_on_with(key.clone(), urgency);
                }
                (_, action) => self.failed(key, &trouble, Some(action)),
            },
        }
    }

    /// Tells of what was done to a participant, if anybody listens and has room for it.
    pub(super) fn tell(&self, key: &Key, what: view::Done, after: Option<Duration>) {
        if let Some(audience) = &self.audience {
            let (room, identity) = (Arc::clone(&key.room), Arc::clone(&key.identity));
            let _ = audience.deeds.try_send(Deed { server: self.view.server.clone(), room, identity, what, after });
        }
    }

    /// Tells of an action that has been carried out.
    fn tell_of(&self, key: &Key, action: &Action, now: Instant) {
        let what = match action {
            Action::Remove { why, .. } => view::Done::Removed(why.by.clone()),
            _ if self.audience.as_ref().is_some_and(|audience| audience.of_changes) => {
                view::Done::Changed(action.why().to_vec())
            }
            _ => return,
        };
        let record = self.rooms.get(&key.room).and_then(|room| room.records.get(&key.identity));
        let noticed = record.and_then(|record| record.noticed);
        self.tell(key, what, noticed.map(|noticed| now.saturating_duration_since(noticed.at)));
    }

    /// An update went to another session of the identity than it was meant for.
    fn acted_on_another(&mut self, key: &Key, participant: Participant, urgency: Urgency, begun: Instant) {
        if let Some(room) = self.rooms.get_mut(&key.room) {
            room.observed(participant, begun, Instant::now());
            self.go_on_with(key.clone(), urgency);
        }
    }

    /// The server knows nothing of a participant.
    fn gone(&mut self, key: &Key, now: Instant) {
        let Some(room) = self.rooms.get_mut(&key.room) else { return };
        let Some(record) = room.records.remove(&key.identity) else { return };
        room.left(&key.identity, &record.participant.sid, now);
        if now.saturating_duration_since(record.met) < YOUNG {
            self.list_room_by(&key.room, now + GROW_UP);
        }
        self.stir(&key.room, Some(&key.identity));
    }

    fn failed(&mut self, key: &Key, trouble: &Trouble, action: Option<Action>) {
        tracing::debug!(server = %self.view.server, room = &*key.room, identity = &*key.identity, %trouble, "request failed; it is repeated");
        self.fail(key, trouble, trouble.class(), action);
    }

    /// Notes a failure and sets the timer for another try.
    fn fail(&mut self, key: &Key, message: &dyn ToString, class: Class, action: Option<Action>) {
        let Some(record) = self.record(key) else { return };
        // What was seen before the failure is no base for the next try.
        record.observed = None;
        let failure = Failure::another(record.failure.as_deref(), message.to_string().into(), class, Instant::now());
        let until = failure.until;
        record.failure = Some(Box::new(failure.of(action)));
        self.retry_at(key, until);
    }
}

/// Whether whoever answers the simplest of questions so is no LiveKit.
fn is_strange(error: &Error) -> bool {
    matches!(error.class(), Class::Refused | Class::Gone | Class::Unsupported(_))
        && !matches!(error, Error::TooLarge { .. })
}

/// Says what was done to whom and by which rules. Fields only, no values: metadata is personal.
fn log(server: &ObjectName, key: &Key, action: &Action) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    let why = action.why();
    let list = |text: &dyn Fn(&Decision) -> String| {
        let mut list: Vec<_> = why.iter().map(text).collect();
        list.dedup();
        list.join(" ")
    };
    let what = match action {
        Action::Remove { .. } => "removed",
        Action::Update(_) => "updated",
        Action::Mute { muted: true, .. } => "muted",
        Action::Mute { muted: false, .. } => "unmuted",
    };
    tracing::info!(
        %server,
        room = &*key.room,
        identity = &*key.identity,
        fields = list(&|decision| decision.field.to_string()),
        rules = list(&|decision| decision.by.to_string()),
        "{what}",
    );
}
