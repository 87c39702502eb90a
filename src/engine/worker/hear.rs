//! What comes from outside: webhooks and other views.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Worker;
use crate::{
    engine::{
        event::{Event, What},
        pulse::Pulse,
        queue::{Key, Urgency, Work},
        room::{PROMPT, Room},
        service::RoomService,
        view::ServerView,
    },
    policy::{Line, Standing},
};

impl<S: RoomService> Worker<S> {
    /// Takes in a webhook.
    pub(super) fn hear(&mut self, event: Event) {
        self.pulse.heard(Instant::now());
        let known = self.rooms.contains_key(event.room.as_str());
        let Some(name) = self.govern(&event.room) else { return };
        if !known && !matches!(event.what, What::RoomStarted) {
            // Its beginning was missed, and who knows what else.
            self.list_room_soon(&name, Urgency::Resync);
        }
        let Some(room) = self.rooms.get_mut(&name) else { return };
        let received = event.received;
        self.report.touch(&name);
        match event.what {
            What::RoomStarted => room.whole |= !known,
            What::RoomFinished => {
                // Another room of the name may have begun meanwhile; a listing tells.
                room.records.retain(|_, record| record.participant.joined_at > event.created_at);
                if room.records.is_empty() {
                    self.rooms.remove(&name);
                }
            }
            What::Joined { participant, whole } => {
                let prompt = Timestamp::now().duration_since(event.created_at).abs()
                    <= SignedDuration::try_from(PROMPT).unwrap_or_default();
                let base = (prompt && whole).then_some(received);
                if let Some(identity) = room.joined(*participant, base, received) {
                    if let Some(record) = room.records.get_mut(&identity) {
                        record.since = Some((received, Urgency::Join));
                    }
                    self.look_at(Key { room: name, identity }, Urgency::Join);
                }
            }
            What::Left { identity, sid } => room.left(&identity, &sid),
            What::TrackPublished { identity, sid, track } => {
                let key = Key { room: Arc::clone(&name), identity: identity.as_str().into() };
                match room.records.get_mut(identity.as_str()) {
                    Some(record) if record.participant.sid == sid => {
                        if record.published(track, received) {
                            record.since.get_or_insert((received, Urgency::Join));
                            self.look_at(key, Urgency::Join);
                        }
                    }
                    // Of another session: the newer one is known.
                    Some(_) => {}
                    None => self.queue.push(Urgency::Join, Work::Meet(key)),
                }
            }
            What::TrackUnpublished { identity, track } => {
                if let Some(record) = room.records.get_mut(identity.as_str()) {
                    record.participant.tracks.retain(|known| known.sid != track);
                    record.changed = received;
                }
            }
        }
    }

    /// The shared name of a room that some policy governs; `None` of any other room.
    pub(super) fn govern(&mut self, name: &str) -> Option<Arc<str>> {
        if let Some((name, _)) = self.rooms.get_key_value(name) {
            return Some(Arc::clone(name));
        }
        let line = self.view.policies.line(name)?;
        let name: Arc<str> = name.into();
        self.rooms.insert(Arc::clone(&name), Room::new(Arc::clone(&name), Arc::new(line), Instant::now()));
        self.watch_line(&name);
        let due = self.jittered(Instant::now());
        self.list_room_at(&name, due);
        Some(name)
    }

    /// Takes another view: what has changed is looked at, and nothing else.
    pub(super) fn take(&mut self, view: Arc<ServerView<S>>) {
        let before = std::mem::replace(&mut self.view, view);
        self.budget.set(self.view.limits);
        if !Arc::ptr_eq(&before.service, &self.view.service) {
            self.pulse = Pulse::default();
            self.can_unmute = true;
            self.broke_until = None;
            self.list_rooms_soon(Urgency::Change);
        }
        if !Arc::ptr_eq(&before.policies, &self.view.policies) {
            self.report.arrived(&self.view, Instant::now());
            self.take_lines();
            self.list_rooms_soon(Urgency::Change);
        }
        if before.resync_request != self.view.resync_request {
            self.resync_asked = Some((Instant::now(), self.view.resync_request));
        }
        if before.resync_request != self.view.resync_request || before.suspended != self.view.suspended {
            for name in self.rooms.keys().cloned().collect::<Vec<_>>() {
                self.list_room_soon(&name, Urgency::Change);
            }
            self.list_rooms_soon(Urgency::Change);
        }
        self.report_soon();
    }

    /// Finds out what holds in each room now, and looks at everybody where that is something else.
    fn take_lines(&mut self) {
        let names: Vec<_> = self.rooms.keys().cloned().collect();
        for name in names {
            let Some(line) = self.view.policies.line(&name) else {
                self.rooms.remove(&name);
                self.report.touch(&name);
                continue;
            };
            let Some(room) = self.rooms.get_mut(&name) else { continue };
            if same_line(&room.line, &line) {
                continue;
            }
            room.line = Arc::new(line);
            // What the server refused before may be another wish now, and deserves another try at once.
            room.records.values_mut().for_each(|record| record.failure = None);
            self.report.touch(&name);
            self.watch_line(&name);
            self.look_at_all(&name, Urgency::Change);
        }
    }

    /// A moment about one resync interval later: a tenth sooner or later, so that rooms spread.
    pub(super) fn jittered(&self, from: Instant) -> Instant {
        from + self.view.resync_interval.mul_f64(0.9 + 0.2 * fastrand::f64())
    }
}

/// Whether the same policies speak in the same order.
fn same_line(a: &Line, b: &Line) -> bool {
    let same = |a: &[Standing], b: &[Standing]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(&a.policy, &b.policy) && a.place == b.place)
    };
    same(&a.enforced, &b.enforced)
        && a.unknown_from == b.unknown_from
        && a.audited.len() == b.audited.len()
        && a.audited.iter().zip(&b.audited).all(|(a, b)| a.subject == b.subject && same(&a.members, &b.members))
}
