//! What comes back.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;
use tokio::{
    task::{Id, JoinError},
    time::Instant,
};

use super::Worker;
use crate::{
    engine::{
        act::{Answer, Done, Request},
        pulse::Admission,
        queue::{Key, Urgency},
        room::Failure,
        service::RoomService,
    },
    livekit::{Class, Error, Feature},
    policy::Action,
};

impl<S: RoomService> Worker<S> {
    /// Takes in the end of a task.
    pub(super) fn ended(&mut self, ended: Result<(Id, Done), JoinError>) {
        self.budget.ended();
        match ended {
            Ok((id, done)) => {
                self.tasks.remove(&id);
                let room = match &done.request {
                    Request::Rooms => "".into(),
                    Request::Room(room) => Arc::clone(room),
                    Request::Look(key) | Request::Act { key, .. } => Arc::clone(&key.room),
                };
                self.guarded(room, |worker| worker.done(done));
            }
            Err(error) => {
                self.metrics.panics.inc();
                tracing::error!(server = %self.view.server, "panic in a request");
                if let Some(Some(key)) = self.tasks.remove(&error.id()) {
                    self.fail(&key, "internal error", None);
                }
            }
        }
    }

    fn done(&mut self, done: Done) {
        let Done { request, urgency, begun, result } = done;
        let now = Instant::now();
        match &result {
            Ok(_) => {
                if self.pulse.answered() {
                    self.returned();
                }
            }
            Err(error) => {
                let before = self.pulse.admits(now);
                self.pulse.failed(error, now);
                if before == Admission::All && self.pulse.admits(now) != Admission::All {
                    tracing::warn!(server = %self.view.server, %error, "the server does not answer as it should; probing it");
                    self.report_soon();
                }
            }
        }
        match (request, result) {
            (Request::Rooms, result) => self.listed_rooms(result, begun),
            (Request::Room(name), result) => self.listed_room(&name, result, begun),
            (Request::Look(key), result) => self.looked(key, result, urgency, begun),
            (Request::Act { key, sid, action }, result) => self.acted(key, &sid, action, result, urgency, begun),
        }
    }

    /// The server is there again, maybe without its memory: nothing that was known counts.
    fn returned(&mut self) {
        tracing::info!(server = %self.view.server, "the server answers again");
        let names: Vec<_> = self.rooms.keys().cloned().collect();
        for name in names {
            self.list_room_soon(&name, Urgency::Resync);
        }
        self.list_rooms_soon(Urgency::Resync);
        self.report_soon();
    }

    fn listed_rooms(&mut self, result: Result<Answer, Error>, begun: Instant) {
        self.rooms_round.listing = false;
        let now = Instant::now();
        let names = match result {
            Ok(Answer::Rooms(names)) => names,
            Ok(_) => return,
            Err(error) => {
                if matches!(error.class(), Class::Refused | Class::Gone | Class::Unsupported(_)) {
                    self.pulse.strange(&error, now);
                }
                self.report_soon();
                let pause = Failure::another(None, "".into(), None, now).until;
                self.list_rooms_at(pause);
                return;
            }
        };
        let governed: HashSet<Arc<str>> = names.iter().filter_map(|name| self.govern(name)).collect();
        for (name, room) in &mut self.rooms {
            if governed.contains(name) {
                room.missed = 0;
            } else if room.since < begun && room.records.values().all(|record| record.changed < begun) {
                room.missed += 1;
            }
        }
        let gone: Vec<_> =
            self.rooms.values().filter(|room| room.missed > 1).map(|room| Arc::clone(&room.name)).collect();
        for name in gone {
            self.report.touch(&name);
            self.rooms.remove(&name);
        }
        if self.rooms_round.listed.is_none() {
            self.rooms_round.first = Some(governed.clone());
        }
        self.rooms_round.listed = Some(begun);
        let mut unknown: Vec<_> = governed
            .into_iter()
            .filter(|name| self.rooms.get(name).is_some_and(|room| room.listed.is_none()))
            .collect();
        unknown.sort_unstable();
        for name in unknown {
            self.list_room_soon(&name, Urgency::Change);
        }
        let due = self.jittered(now);
        self.list_rooms_at(due);
        self.report_soon();
    }

    fn listed_room(&mut self, name: &Arc<str>, result: Result<Answer, Error>, begun: Instant) {
        let now = Instant::now();
        let participants = match result {
            Ok(Answer::Participants(participants)) => participants,
            // LiveKit Cloud says so of a room that has ended, where the open-source server lists nobody.
            Err(error) if error.class() == Class::Gone => Vec::new(),
            Ok(_) => return,
            Err(error) => {
                tracing::debug!(server = %self.view.server, room = &**name, %error, "cannot list the room");
                let Some(room) = self.rooms.get_mut(name) else { return };
                room.listing = false;
                self.list_room_at(name, Failure::another(None, "".into(), None, now).until);
                return;
            }
        };
        let learns = self.rooms_round.first.as_mut().is_some_and(|first| first.remove(name));
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.listing = false;
        let urgency = if room.listed.is_none() && !room.whole { Urgency::Change } else { Urgency::Resync };
        let keys = || if learns { self.old_keys.iter().copied().collect() } else { Vec::new() };
        let listed = room.list(participants, begun, now, &keys);
        for identity in listed.look {
            self.look_at(Key { room: Arc::clone(name), identity }, urgency);
        }
        let due = self.jittered(now);
        self.list_room_at(name, due);
        self.report.touch(name);
    }

    fn looked(&mut self, key: Key, result: Result<Answer, Error>, urgency: Urgency, begun: Instant) {
        let now = Instant::now();
        let Some(room) = self.rooms.get_mut(&key.room) else { return };
        match result {
            Ok(Answer::Participant(participant)) => {
                let identity = room.observed(*participant, begun, now);
                if let Some(record) = room.records.get_mut(&identity) {
                    record.busy = false;
                    record.missed = 0;
                }
                self.look_at(key, urgency);
            }
            Ok(_) => {}
            Err(error) if error.class() == Class::Gone => {
                room.records.remove(&key.identity);
                self.report.touch(&key.room);
            }
            Err(error) => self.failed(&key, &error),
        }
    }

    fn acted(
        &mut self,
        key: Key,
        sid: &str,
        action: Action,
        result: Result<Answer, Error>,
        urgency: Urgency,
        begun: Instant,
    ) {
        let (now, instant) = (Timestamp::now(), Instant::now());
        self.report.touch(&key.room);
        let Some(room) = self.rooms.get_mut(&key.room) else { return };
        let record = room.records.get_mut(&key.identity).filter(|record| record.participant.sid == sid);
        if result.is_ok() {
            log(&self.view.server, &key, &action);
        }
        match (result, record) {
            (Ok(Answer::Removed), record) => {
                if let Some((since, noticed)) = record.and_then(|record| record.since) {
                    self.metrics.enforced(noticed.label(), instant.saturating_duration_since(since));
                }
                room.removals.retain(|_, at| now.duration_since(*at).as_secs() < 2);
                room.removals.insert(Arc::clone(&key.identity), now);
                room.left(&key.identity, sid);
            }
            (Ok(Answer::Participant(participant)), Some(record)) if participant.sid == sid => {
                record.busy = false;
                record.failure = None;
                record.session.carried_out(&action, now);
                record.show(*participant, begun, instant);
                record.carried_out = Some(action);
                self.look_at(key, urgency);
            }
            (Ok(Answer::Participant(participant)), _) => {
                // The identity has another session by now, and the request went to that.
                let identity = room.observed(*participant, begun, instant);
                self.look_at(Key { identity, ..key }, urgency);
            }
            (Ok(Answer::Muted(there)), Some(record)) => {
                record.busy = false;
                record.failure = None;
                record.changed = instant;
                record.session.carried_out(&action, now);
                if let Action::Mute { track, muted, .. } = &action {
                    record.participant.tracks.retain(|known| there || known.sid != *track);
                    for known in record.participant.tracks.iter_mut().filter(|known| known.sid == *track) {
                        known.muted = *muted;
                    }
                }
                record.carried_out = Some(action);
                self.look_at(key, urgency);
            }
            (Ok(_), _) => {}
            (Err(error), record) => match (error.class(), action) {
                (Class::Gone, action) => {
                    let known_for = record.map(|record| instant.saturating_duration_since(record.changed));
                    room.left(&key.identity, sid);
                    // It may have been asked of a server that had not heard of the participant yet (livekit#3763).
                    if !matches!(action, Action::Remove { .. }) && known_for.is_some_and(|age| age.as_secs() < 5) {
                        self.list_room_at(&key.room, instant + std::time::Duration::from_secs(1));
                    }
                }
                (Class::Refused, Action::Update(update)) => {
                    let Some(record) = record else { return };
                    record.busy = false;
                    tracing::warn!(server = %self.view.server, room = &*key.room, identity = &*key.identity, %error, "update refused");
                    record.session.was_refused(&update, error.to_string().into(), now);
                    self.look_at(key, urgency);
                }
                (Class::Unsupported(Feature::RemoteUnmute), _) => {
                    if let Some(record) = record {
                        record.busy = false;
                    }
                    self.can_unmute = false;
                    tracing::warn!(server = %self.view.server, %error, "tracks cannot be unmuted");
                    self.look_at(key, urgency);
                }
                _ => self.failed(&key, &error),
            },
        }
    }

    fn failed(&mut self, key: &Key, error: &Error) {
        tracing::debug!(server = %self.view.server, room = &*key.room, identity = &*key.identity, %error, "request failed; it is repeated");
        let asked = match error.class() {
            Class::Transient { retry_after } => retry_after,
            _ => None,
        };
        self.fail(key, &error.to_string(), asked);
    }

    /// Notes a failure and sets the timer for another try.
    fn fail(&mut self, key: &Key, message: &str, asked: Option<std::time::Duration>) {
        let Some(record) = self.record(key) else { return };
        record.busy = false;
        // What was seen before the failure is no base for the next try.
        record.observed = None;
        let failure = Failure::another(record.failure.as_ref(), message.into(), asked, Instant::now());
        let until = failure.until;
        record.failure = Some(failure);
        self.report.touch(&key.room);
        self.set_timer(until, super::Timer::Participant(key.clone()));
    }
}

/// Says what was done to whom and by which rules. Fields only, no values: metadata is personal.
fn log(server: &crate::policy::ObjectName, key: &Key, action: &Action) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    let why = action.why();
    let list = |text: &dyn Fn(&crate::policy::Decision) -> String| {
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
