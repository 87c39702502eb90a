//! Webhooks.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::Worker;
use crate::{
    engine::{
        event::{Event, What},
        queue::{Key, Urgency, Work},
        record::Noticed,
        service::RoomService,
    },
    policy::{Participant, Track},
};

/// A webhook older than this tells what happened, and no more how things are.
const PROMPT: Duration = Duration::from_secs(5);

impl<S: RoomService> Worker<S> {
    /// Takes in a webhook.
    pub(super) fn hear(&mut self, event: Event) {
        self.pulse.heard(Instant::now());
        let Event { room, what, created_at, received } = event;
        self.guarded(&room, |worker| {
            if let Some(name) = worker.room_of(&room, &what, created_at, received) {
                worker.take_event(name, what, created_at, received);
            }
        });
    }

    fn take_event(&mut self, name: Arc<str>, what: What, created_at: Timestamp, received: Instant) {
        let Some(room) = self.rooms.get_mut(&name) else { return };
        match what {
            What::RoomStarted => {}
            What::RoomFinished => {
                // Another room of the name may have begun meanwhile.
                room.finished(created_at, received);
                if room.records.is_empty() {
                    self.forget_room(&name);
                    return;
                }
            }
            What::Joined { participant, whole } => {
                self.joined(&name, *participant, whole, created_at, received);
            }
            What::Left { identity, sid } => {
                room.left(&identity, &sid, received);
                self.stir(&name, Some(&identity));
            }
            What::TrackPublished { identity, sid, track } => self.published(&name, &identity, sid, track, received),
            What::TrackUnpublished { identity, track } => {
                if let Some(record) = room.records.get_mut(identity.as_str())
                    && record.unpublished(&track, received)
                {
                    let identity = identity.as_str().into();
                    self.look_at(Key { room: Arc::clone(&name), identity }, Urgency::Change);
                }
            }
        }
        self.report.touch(&name);
    }

    /// The room of an event, if it is governed and the event shows that it is there.
    fn room_of(&mut self, room: &str, what: &What, created_at: Timestamp, received: Instant) -> Option<Arc<str>> {
        if let Some((name, _)) = self.rooms.get_key_value(room) {
            return Some(Arc::clone(name));
        }
        let begins = match what {
            What::RoomStarted => self.is_prompt(created_at),
            What::Joined { .. } | What::TrackPublished { .. } => false,
            What::RoomFinished | What::Left { .. } | What::TrackUnpublished { .. } => return None,
        };
        let name = self.govern(room)?;
        if !self.role.leads() {
            return Some(name);
        }
        if begins {
            let due = self.next_listing(true);
            if let Some(room) = self.rooms.get_mut(&name) {
                room.begins(received);
            }
            self.list_room_at(&name, due);
        } else {
            // Its beginning was missed, and who knows who else is there.
            self.list_room_soon(&name, Urgency::Change);
        }
        Some(name)
    }

    fn is_prompt(&self, created_at: Timestamp) -> bool {
        self.clock.now().duration_since(created_at).unsigned_abs() <= PROMPT
    }

    fn joined(
        &mut self,
        name: &Arc<str>,
        participant: Participant,
        whole: bool,
        created_at: Timestamp,
        received: Instant,
    ) {
        let is_prompt = self.is_prompt(created_at);
        let Some(room) = self.rooms.get_mut(name) else { return };
        let known = room.records.get_mut(&participant.identity);
        if let Some(record) = known.filter(|record| record.participant.sid == participant.sid) {
            // A listing showed it before it was active, which no other webhook tells.
            let identity = Arc::clone(&participant.identity);
            if record.hear(participant, whole, received) {
                record.noticed.get_or_insert(Noticed { at: received, by: Urgency::Join, acted: false });
                self.look_at(Key { room: Arc::clone(name), identity }, Urgency::Join);
            }
            return;
        }
        if !room.is_news(&participant.identity, &participant.sid, Some(participant.joined_at)) {
            return;
        }
        // Of two sessions that began in the same moment nobody knows which is the last.
        let is_last = (room.records.get(&participant.identity))
            .is_none_or(|known| known.participant.joined_at < participant.joined_at);
        if !(whole && is_prompt && is_last) {
            let identity = Arc::clone(&participant.identity);
            return self.meet(name, identity, participant.sid.into(), None, received);
        }
        let identity = room.insert(participant, received, received);
        room.strangers.remove(&identity);
        if let Some(record) = room.records.get_mut(&identity) {
            record.noticed = Some(Noticed { at: received, by: Urgency::Join, acted: false });
        }
        self.look_at(Key { room: Arc::clone(name), identity }, Urgency::Join);
    }

    fn published(&mut self, name: &Arc<str>, identity: &str, sid: String, track: Track, received: Instant) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        if let Some(record) = room.records.get_mut(identity).filter(|record| *record.participant.sid == *sid) {
            if record.published(track, received) {
                record.noticed.get_or_insert(Noticed { at: received, by: Urgency::Join, acted: false });
                self.look_at(Key { room: Arc::clone(name), identity: identity.into() }, Urgency::Join);
            }
        } else if room.is_news(identity, &sid, None) {
            self.meet(name, identity.into(), sid, Some(track.sid), received);
        }
    }

    /// Asks for a session of which too little is known to act on.
    pub(super) fn meet(
        &mut self,
        name: &Arc<str>,
        identity: Arc<str>,
        sid: String,
        track: Option<String>,
        received: Instant,
    ) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.stranger(&identity, sid, track, received);
        self.queue.push(Urgency::Join, Work::Meet(Key { room: Arc::clone(name), identity }));
    }
}
