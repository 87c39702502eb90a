//! Answers in JSON, as LiveKit's Twirp writes them: names in snake case, defaults written out, enumerations by name,
//! 64-bit integers as texts. The JSON that `livekit-protocol` brings is that of webhooks: the opposite in all but the
//! last two.

use livekit_protocol::{
    BackupCodecPolicy, DisconnectReason, ParticipantInfo, ParticipantPermission, Room, SimulcastCodecInfo,
    TimedVersion, TrackInfo, TrackSource, TrackType, encryption,
    participant_info::{Kind, KindDetail, State},
    video_layer,
};
use serde_json::{Value, json};

use crate::simulator::service::Answer;

pub(super) fn answer(answer: &Answer) -> Value {
    match answer {
        Answer::Nothing => json!({}),
        Answer::Room(answer) => room(answer),
        Answer::Rooms(answer) => json!({"rooms": answer.rooms.iter().map(room).collect::<Vec<_>>()}),
        Answer::Participant(answer) => participant(answer),
        Answer::Participants(answer) => {
            json!({"participants": answer.participants.iter().map(participant).collect::<Vec<_>>()})
        }
        Answer::Track(answer) => json!({"track": answer.as_deref().map(track)}),
    }
}

/// An enumeration's value: its name, or the number where it has none.
macro_rules! name {
    ($type:ty, $value:expr) => {
        <$type>::try_from($value).map_or_else(|_| json!($value), |value| json!(value.as_str_name()))
    };
}

fn room(room: &Room) -> Value {
    let codec = |codec: &livekit_protocol::Codec| json!({"mime": codec.mime, "fmtp_line": codec.fmtp_line});
    json!({
        "sid": room.sid,
        "name": room.name,
        "empty_timeout": room.empty_timeout,
        "departure_timeout": room.departure_timeout,
        "max_participants": room.max_participants,
        "creation_time": room.creation_time.to_string(),
        "creation_time_ms": room.creation_time_ms.to_string(),
        "turn_password": room.turn_password,
        "enabled_codecs": room.enabled_codecs.iter().map(codec).collect::<Vec<_>>(),
        "metadata": room.metadata,
        "num_participants": room.num_participants,
        "num_publishers": room.num_publishers,
        "active_recording": room.active_recording,
        "version": room.version.as_ref().map(version),
    })
}

fn participant(participant: &ParticipantInfo) -> Value {
    json!({
        "sid": participant.sid,
        "identity": participant.identity,
        "state": name!(State, participant.state),
        "tracks": participant.tracks.iter().map(track).collect::<Vec<_>>(),
        "metadata": participant.metadata,
        "joined_at": participant.joined_at.to_string(),
        "joined_at_ms": participant.joined_at_ms.to_string(),
        "name": participant.name,
        "version": participant.version,
        "permission": participant.permission.as_ref().map(permission),
        "region": participant.region,
        "is_publisher": participant.is_publisher,
        "kind": name!(Kind, participant.kind),
        "attributes": participant.attributes,
        "disconnect_reason": name!(DisconnectReason, participant.disconnect_reason),
        "kind_details": participant.kind_details.iter().map(|kind| name!(KindDetail, *kind)).collect::<Vec<_>>(),
        // Nobody here has any.
        "data_tracks": [],
        "client_protocol": participant.client_protocol,
        "capabilities": [],
    })
}

#[allow(deprecated, reason = "LiveKit still writes them")]
fn permission(permission: &ParticipantPermission) -> Value {
    let source = |source: &i32| name!(TrackSource, *source);
    json!({
        "can_subscribe": permission.can_subscribe,
        "can_publish": permission.can_publish,
        "can_publish_data": permission.can_publish_data,
        "can_publish_sources": permission.can_publish_sources.iter().map(source).collect::<Vec<_>>(),
        "hidden": permission.hidden,
        "recorder": permission.recorder,
        "can_update_metadata": permission.can_update_metadata,
        "agent": permission.agent,
        "can_subscribe_metrics": permission.can_subscribe_metrics,
        "can_manage_agent_session": permission.can_manage_agent_session,
    })
}

#[allow(deprecated, reason = "LiveKit still writes them")]
fn track(track: &TrackInfo) -> Value {
    json!({
        "sid": track.sid,
        "type": name!(TrackType, track.r#type),
        "name": track.name,
        "muted": track.muted,
        "width": track.width,
        "height": track.height,
        "simulcast": track.simulcast,
        "disable_dtx": track.disable_dtx,
        "source": name!(TrackSource, track.source),
        "layers": [],
        "mime_type": track.mime_type,
        "mid": track.mid,
        "codecs": track.codecs.iter().map(codec).collect::<Vec<_>>(),
        "stereo": track.stereo,
        "disable_red": track.disable_red,
        "encryption": name!(encryption::Type, track.encryption),
        "stream": track.stream,
        "version": track.version.as_ref().map(version),
        "audio_features": [],
        "backup_codec_policy": name!(BackupCodecPolicy, track.backup_codec_policy),
        "packet_trailer_features": [],
    })
}

fn codec(codec: &SimulcastCodecInfo) -> Value {
    json!({
        "mime_type": codec.mime_type,
        "mid": codec.mid,
        "cid": codec.cid,
        "layers": [],
        "video_layer_mode": name!(video_layer::Mode, codec.video_layer_mode),
        "sdp_cid": codec.sdp_cid,
    })
}

fn version(version: &TimedVersion) -> Value {
    json!({"unix_micro": version.unix_micro.to_string(), "ticks": version.ticks})
}
