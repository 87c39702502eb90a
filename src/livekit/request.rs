//! The requests, as messages.

use livekit_protocol::{
    ForwardParticipantRequest, MoveParticipantRequest, MuteRoomTrackRequest, RoomParticipantIdentity,
    UpdateParticipantRequest,
};

use super::ParticipantUpdate;

pub(crate) fn who(room: &str, identity: &str) -> RoomParticipantIdentity {
    RoomParticipantIdentity { room: room.to_owned(), identity: identity.to_owned(), ..Default::default() }
}

pub(crate) fn update(room: &str, identity: &str, update: ParticipantUpdate) -> UpdateParticipantRequest {
    UpdateParticipantRequest {
        room: room.to_owned(),
        identity: identity.to_owned(),
        metadata: update.metadata.unwrap_or_default(),
        permission: update.permission,
        name: update.name.unwrap_or_default(),
        attributes: update.attributes,
    }
}

pub(crate) fn remove(room: &str, identity: &str, revoke_token_ts: Option<i64>) -> RoomParticipantIdentity {
    RoomParticipantIdentity { revoke_token_ts: revoke_token_ts.unwrap_or_default(), ..who(room, identity) }
}

pub(crate) fn mute(room: &str, identity: &str, track_sid: &str, muted: bool) -> MuteRoomTrackRequest {
    MuteRoomTrackRequest {
        room: room.to_owned(),
        identity: identity.to_owned(),
        track_sid: track_sid.to_owned(),
        muted,
    }
}

pub(crate) fn forward(room: &str, identity: &str, destination: &str) -> ForwardParticipantRequest {
    ForwardParticipantRequest {
        room: room.to_owned(),
        identity: identity.to_owned(),
        destination_room: destination.to_owned(),
    }
}

pub(crate) fn move_to(room: &str, identity: &str, destination: &str) -> MoveParticipantRequest {
    MoveParticipantRequest {
        room: room.to_owned(),
        identity: identity.to_owned(),
        destination_room: destination.to_owned(),
    }
}
