//! What the RoomService does to rooms and participants.

use livekit_protocol::{
    CreateRoomRequest, DisconnectReason, ParticipantInfo, ParticipantPermission, Room as RoomInfo, TrackInfo,
};

use super::{Change, Missing, Model, Track};
use crate::simulator::clock::Moment;

impl Model {
    /// Makes a room; one that is there stays as it is.
    pub(in crate::simulator) fn create_room(&mut self, request: &CreateRoomRequest, now: Moment) -> RoomInfo {
        let name = request.name.as_str();
        let fresh = !self.has_room(name);
        if fresh {
            let defaults = (self.empty_timeout, self.departure_timeout);
            let given = |given: u32, default: u32| if given == 0 { default } else { given };
            self.empty_timeout = given(request.empty_timeout, defaults.0);
            self.departure_timeout = given(request.departure_timeout, defaults.1);
            self.open(name, now);
            (self.empty_timeout, self.departure_timeout) = defaults;
        }
        match self.rooms.get_mut(name) {
            Some(room) => {
                if fresh {
                    room.metadata = request.metadata.as_str().into();
                    room.max_participants = request.max_participants;
                }
                room.info()
            }
            None => RoomInfo::default(),
        }
    }

    /// Ends a room.
    pub(in crate::simulator) fn delete_room(&mut self, room: &str, now: Moment) -> Result<(), Missing> {
        if !self.has_room(room) {
            return Err(Missing::Room);
        }
        self.end_room(room, DisconnectReason::RoomDeleted, now);
        Ok(())
    }

    /// Replaces a room's metadata, by nothing too.
    pub(in crate::simulator) fn set_room_metadata(&mut self, room: &str, metadata: &str) -> Result<RoomInfo, Missing> {
        let room = self.rooms.get_mut(room).ok_or(Missing::Room)?;
        room.metadata = metadata.into();
        Ok(room.info())
    }

    /// Changes a participant: first what describes it, then what it may do.
    pub(in crate::simulator) fn update(
        &mut self,
        room: &str,
        identity: &str,
        change: &Change,
        permission: Option<&ParticipantPermission>,
        now: Moment,
    ) -> Result<ParticipantInfo, Missing> {
        self.change(room, identity, change)?;
        if let Some(permission) = permission {
            let (unpublished, who) =
                self.with(room, identity, |participant| (participant.permit(permission), participant.who()))?;
            for track in &unpublished {
                self.tell_of_track(now, "track_unpublished", room, who.clone(), track);
            }
            if !unpublished.is_empty() {
                self.mirror_tracks(room, identity, now);
            }
            self.mind_end(room, now);
        }
        self.get(room, identity)
    }

    /// Disconnects a participant. In the cloud, tokens issued before `revoke_before` (in seconds; zero: a minute from
    /// now) are good no more.
    pub(in crate::simulator) fn remove(
        &mut self,
        room: &str,
        identity: &str,
        revoke_before: i64,
        now: Moment,
    ) -> Result<(), Missing> {
        self.leave(room, identity, DisconnectReason::ParticipantRemoved, now)?;
        if self.cloud.is_some() {
            let before = if revoke_before == 0 { now.seconds() + 60 } else { revoke_before };
            self.revoke(room, identity, before, now);
        }
        Ok(())
    }

    /// Mutes or unmutes a track; none when there is no such track, which is no error.
    pub(in crate::simulator) fn mute(
        &mut self,
        room: &str,
        identity: &str,
        track: &str,
        muted: bool,
        now: Moment,
    ) -> Result<Option<TrackInfo>, Missing> {
        let track = self.with(room, identity, |participant| participant.mute(track, muted).map(Track::info))?;
        if track.is_some() {
            self.mirror_tracks(room, identity, now);
        }
        Ok(track)
    }
}
