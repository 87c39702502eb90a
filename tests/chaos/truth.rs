//! What the simulated server holds, read without the engine's help.

use jiff::Timestamp;
use livekit_protocol::{
    ParticipantInfo, TrackInfo, TrackSource, TrackType,
    participant_info::{Kind as WireKind, KindDetail, State as WireState},
};
use usher::{
    api::{Kind, Source, State},
    policy::{Media, Participant, Permission, Sources, Track},
    simulator::Simulator,
};

/// Everybody in a room who has not left.
pub fn everybody(simulator: &Simulator, room: &str) -> Vec<Participant> {
    simulator.participants(room).iter().map(participant).collect()
}

/// Somebody in a room.
pub fn somebody(simulator: &Simulator, room: &str, identity: &str) -> Option<Participant> {
    simulator.participant(room, identity).as_ref().map(participant)
}

fn participant(info: &ParticipantInfo) -> Participant {
    let kind = match info.kind() {
        WireKind::Standard => Kind::Standard,
        WireKind::Ingress => Kind::Ingress,
        WireKind::Egress => Kind::Egress,
        WireKind::Sip => Kind::Sip,
        WireKind::Agent => Kind::Agent,
        WireKind::Connector => Kind::Connector,
        WireKind::Bridge => Kind::Bridge,
    };
    let state = match info.state() {
        WireState::Joining => State::Joining,
        WireState::Joined => State::Joined,
        WireState::Active | WireState::Disconnected => State::Active,
    };
    let given = info.permission.clone().expect("the simulator always shows the permission");
    #[allow(deprecated, reason = "LiveKit still has them")]
    let (recorder, agent) = (given.recorder, given.agent);
    Participant {
        sid: info.sid.as_str().into(),
        identity: info.identity.as_str().into(),
        name: info.name.as_str().into(),
        metadata: info.metadata.as_str().into(),
        attributes: info.attributes.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect(),
        kind: Some(kind),
        state,
        permission: Permission {
            can_subscribe: given.can_subscribe,
            can_publish: given.can_publish,
            sources: Sources::from_numbers(&given.can_publish_sources),
            can_publish_data: given.can_publish_data,
            can_update_metadata: given.can_update_metadata,
            can_subscribe_metrics: given.can_subscribe_metrics,
            can_manage_agent_session: given.can_manage_agent_session,
            hidden: given.hidden,
            recorder,
            agent,
        },
        tracks: info.tracks.iter().map(track).collect(),
        joined_at: Timestamp::from_millisecond(info.joined_at_ms).expect("a moment"),
        forwarded: info.kind_details.contains(&KindDetail::Forwarded.into()),
        version: info.version,
    }
}

pub fn track(info: &TrackInfo) -> Track {
    let claimed = match info.source() {
        TrackSource::Camera => Some(Source::Camera),
        TrackSource::Microphone => Some(Source::Microphone),
        TrackSource::ScreenShare => Some(Source::ScreenShare),
        TrackSource::ScreenShareAudio => Some(Source::ScreenShareAudio),
        TrackSource::Unknown => None,
    };
    let media = match info.r#type() {
        TrackType::Audio => Media::Audio,
        TrackType::Video => Media::Video,
        TrackType::Data => Media::Data,
    };
    Track { sid: info.sid.as_str().into(), media, claimed, muted: info.muted }
}
