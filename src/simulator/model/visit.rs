//! What participants do: come, publish, change themselves, go.

use std::sync::Arc;

use livekit_protocol::{DisconnectReason, participant_info::State};

use super::{Change, Deadline, JOIN_TIMEOUT, Join, Missing, Model, Participant, Publication, Room, Track};
use crate::simulator::clock::Moment;

/// Why somebody cannot join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// The room is full (`max_participants`).
    Full,
    /// The token was revoked by a removal: LiveKit Cloud only.
    Revoked,
}

impl Model {
    /// Makes a room if there is none.
    pub(super) fn open(&mut self, name: &str, now: Moment) {
        if self.has_room(name) {
            return;
        }
        let room = Room::new(self.sids.make("RM_"), name, now, self.empty_timeout, self.departure_timeout);
        self.rooms.insert(Arc::clone(&room.name), room);
        self.tell_of_room(now, "room_started", name);
        self.mind_end(name, now);
    }

    /// Somebody begins to connect; who has the identity already is thrown out. The answer is the session's sid.
    pub(in crate::simulator) fn join(&mut self, join: Join, now: Moment) -> Result<String, JoinError> {
        let (name, identity) = (join.room.clone(), join.identity.clone());
        let issued = join.issued_at.unwrap_or_else(|| now.seconds());
        if self.revoked.get(&(name.clone(), identity.clone())).is_some_and(|since| issued < *since) {
            return Err(JoinError::Revoked);
        }
        self.open(&name, now);
        self.remove_session(&name, &identity, DisconnectReason::DuplicateIdentity, now);
        let participant = Participant::new(self.sids.make("PA_"), join, now);
        let sid = participant.sid.to_string();
        let Some(room) = self.rooms.get_mut(&*name) else { return Err(JoinError::Full) };
        let limit = usize::try_from(room.max_participants).unwrap_or(usize::MAX);
        if limit > 0 && room.len() >= limit && !participant.is_dependent() {
            return Err(JoinError::Full);
        }
        let abort = Deadline::Abort(Arc::clone(&room.name), Arc::clone(&participant.identity), sid.clone());
        self.deadlines.insert((now.after(JOIN_TIMEOUT), abort));
        self.enter(&name, participant, now);
        Ok(sid)
    }

    /// Puts somebody into a room that there is.
    pub(super) fn enter(&mut self, name: &str, participant: Participant, now: Moment) {
        if let Some(room) = self.rooms.get_mut(name) {
            room.insert(participant);
            room.visited = true;
            self.participants += 1;
        }
        self.mind_end(name, now);
    }

    /// Somebody is connected: what a webhook calls joined.
    pub(in crate::simulator) fn activate(&mut self, room: &str, identity: &str, now: Moment) -> Result<(), Missing> {
        let (sid, joined, info) = self.with(room, identity, |participant| {
            participant.state = State::Active;
            participant.version += 2;
            (participant.sid.to_string(), participant.joined, participant.info())
        })?;
        let abort = Deadline::Abort(room.into(), identity.into(), sid);
        self.deadlines.remove(&(joined.after(JOIN_TIMEOUT), abort));
        self.tell_of_participant(now, "participant_joined", room, Some(info));
        Ok(())
    }

    /// Somebody goes.
    pub(in crate::simulator) fn leave(
        &mut self,
        room: &str,
        identity: &str,
        reason: DisconnectReason,
        now: Moment,
    ) -> Result<(), Missing> {
        if self.remove_session(room, identity, reason, now) { Ok(()) } else { Err(Missing::Participant) }
    }

    /// With what the server's last token says, somebody comes back as they were.
    pub(in crate::simulator) fn claims(&self, room: &str, identity: &str, now: Moment) -> Result<Join, Missing> {
        self.find(room, identity).map(|participant| participant.claims(room, now))
    }

    /// Publishes a track; its sid, or none when that is not allowed.
    pub(in crate::simulator) fn publish(
        &mut self,
        room: &str,
        identity: &str,
        publication: &Publication,
        now: Moment,
    ) -> Result<Option<String>, Missing> {
        let sid = self.sids.make(Track::prefix(publication));
        let published = self.with(room, identity, |participant| {
            let who = participant.who();
            participant.publish(sid, publication, now).map(|track| (track.clone(), who))
        })?;
        let Some((track, who)) = published else { return Ok(None) };
        self.tell_of_track(now, "track_published", room, who, &track);
        self.mirror_tracks(room, identity, now);
        Ok(Some(track.sid.to_string()))
    }

    /// Unpublishes a track; whether there was one.
    pub(in crate::simulator) fn unpublish(
        &mut self,
        room: &str,
        identity: &str,
        track: &str,
        now: Moment,
    ) -> Result<bool, Missing> {
        let gone = self.with(room, identity, |participant| {
            let at = participant.tracks.iter().position(|known| known.sid.to_string() == track)?;
            participant.version += 1;
            Some((participant.tracks.remove(at), participant.who()))
        })?;
        let Some((track, who)) = gone else { return Ok(false) };
        self.tell_of_track(now, "track_unpublished", room, who, &track);
        self.mirror_tracks(room, identity, now);
        Ok(true)
    }

    /// Somebody changes itself; false when it may not.
    pub(in crate::simulator) fn change_self(
        &mut self,
        room: &str,
        identity: &str,
        change: &Change,
    ) -> Result<bool, Missing> {
        if !self.find(room, identity)?.permission.can_update_metadata {
            return Ok(false);
        }
        self.change(room, identity, change)?;
        Ok(true)
    }

    pub(super) fn change(&mut self, room: &str, identity: &str, change: &Change) -> Result<(), Missing> {
        self.with(room, identity, |participant| participant.change(change))?;
        self.mirror_change(room, identity, change);
        Ok(())
    }

    /// Ends a session, its tracks first; whether there was one.
    pub(super) fn remove_session(&mut self, room: &str, identity: &str, reason: DisconnectReason, now: Moment) -> bool {
        let Some(mut participant) = self.rooms.get_mut(room).and_then(|room| room.remove(identity)) else {
            return false;
        };
        self.participants -= 1;
        for track in &std::mem::take(&mut participant.tracks) {
            self.tell_of_track(now, "track_unpublished", room, participant.who(), track);
        }
        let event =
            if participant.state == State::Active { "participant_left" } else { "participant_connection_aborted" };
        participant.leave();
        if self.announces(&participant) {
            self.tell_of_participant(now, event, room, Some(participant.farewell(reason)));
        }
        self.retire_copies(room, &participant, now);
        self.mind_end(room, now);
        true
    }

    /// Ends a room and everybody's session in it.
    pub(super) fn end_room(&mut self, name: &str, reason: DisconnectReason, now: Moment) {
        let Some(room) = self.rooms.get(name) else { return };
        let identities: Vec<_> = room.participants().map(|participant| Arc::clone(&participant.identity)).collect();
        for identity in identities {
            self.remove_session(name, &identity, reason, now);
        }
        self.tell_of_room(now, "room_finished", name);
        if let Some(room) = self.rooms.remove(name)
            && let Some(at) = room.ends
        {
            self.deadlines.remove(&(at, Deadline::End(room.name)));
        }
    }
}

impl Participant {
    /// As the webhooks about tracks name it.
    pub(super) fn who(&self) -> (String, Arc<str>) {
        (self.sid.to_string(), Arc::clone(&self.identity))
    }
}
