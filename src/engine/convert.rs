//! LiveKit's messages in the planner's terms, and back.

use std::collections::HashMap;

use jiff::Timestamp;
use livekit_protocol::{
    ParticipantInfo, ParticipantPermission, TrackInfo, TrackSource, TrackType,
    participant_info::{Kind as WireKind, KindDetail, State as WireState},
};

use crate::{
    api::{Kind, Source, State},
    policy::{Attributes, Media, Participant, Permission, Sources, Track},
};

/// A participant; `None` for one that has left (state DISCONNECTED), or is in a state this version does not know.
pub(super) fn participant(info: ParticipantInfo) -> Option<Participant> {
    let state = match WireState::try_from(info.state) {
        Ok(WireState::Joining) => State::Joining,
        Ok(WireState::Joined) => State::Joined,
        Ok(WireState::Active) => State::Active,
        Ok(WireState::Disconnected) | Err(_) => return None,
    };
    let kind = WireKind::try_from(info.kind).ok().map(|kind| match kind {
        WireKind::Standard => Kind::Standard,
        WireKind::Ingress => Kind::Ingress,
        WireKind::Egress => Kind::Egress,
        WireKind::Sip => Kind::Sip,
        WireKind::Agent => Kind::Agent,
        WireKind::Connector => Kind::Connector,
        WireKind::Bridge => Kind::Bridge,
    });
    let joined_at = match info.joined_at_ms {
        // Servers before 1.8 know only seconds.
        0 => Timestamp::from_second(info.joined_at),
        milliseconds => Timestamp::from_millisecond(milliseconds),
    };
    Some(Participant {
        sid: info.sid.into(),
        identity: info.identity.into(),
        name: info.name.into(),
        metadata: info.metadata.into(),
        attributes: attributes(info.attributes),
        kind,
        state,
        permission: info.permission.as_ref().map(seen_permission).unwrap_or_default(),
        tracks: info.tracks.into_iter().map(track).collect(),
        joined_at: joined_at.unwrap_or(Timestamp::UNIX_EPOCH),
        forwarded: info.kind_details.contains(&(KindDetail::Forwarded as i32)),
        version: info.version,
    })
}

/// In no more memory than they need.
fn attributes(given: HashMap<String, String>) -> Attributes {
    let mut sorted: Vec<_> = given.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
    sorted.sort_unstable();
    Attributes::from_sorted_store_unchecked(sorted)
}

/// A track.
pub(super) fn track(info: TrackInfo) -> Track {
    let claimed = match TrackSource::try_from(info.source) {
        Ok(TrackSource::Camera) => Some(Source::Camera),
        Ok(TrackSource::Microphone) => Some(Source::Microphone),
        Ok(TrackSource::ScreenShare) => Some(Source::ScreenShare),
        Ok(TrackSource::ScreenShareAudio) => Some(Source::ScreenShareAudio),
        Ok(TrackSource::Unknown) | Err(_) => None,
    };
    let media = match TrackType::try_from(info.r#type) {
        Ok(TrackType::Audio) => Media::Audio,
        Ok(TrackType::Video) => Media::Video,
        Ok(TrackType::Data) | Err(_) => Media::Data,
    };
    Track { sid: info.sid, media, claimed, muted: info.muted }
}

fn seen_permission(permission: &ParticipantPermission) -> Permission {
    #[allow(deprecated, reason = "recorder and agent are to be carried over as long as LiveKit has them")]
    Permission {
        can_subscribe: permission.can_subscribe,
        can_publish: permission.can_publish,
        sources: Sources::from_numbers(&permission.can_publish_sources),
        can_publish_data: permission.can_publish_data,
        can_update_metadata: permission.can_update_metadata,
        can_subscribe_metrics: permission.can_subscribe_metrics,
        can_manage_agent_session: permission.can_manage_agent_session,
        hidden: permission.hidden,
        recorder: permission.recorder,
        agent: permission.agent,
    }
}

/// A permission as it is sent: whole, for LiveKit replaces the whole of it.
pub(super) fn permission(permission: &Permission) -> ParticipantPermission {
    #[allow(deprecated, reason = "recorder and agent are to be carried over as long as LiveKit has them")]
    ParticipantPermission {
        can_subscribe: permission.can_subscribe,
        can_publish: permission.can_publish,
        can_publish_sources: permission.sources.numbers().collect(),
        can_publish_data: permission.can_publish_data,
        can_update_metadata: permission.can_update_metadata,
        can_subscribe_metrics: permission.can_subscribe_metrics,
        can_manage_agent_session: permission.can_manage_agent_session,
        hidden: permission.hidden,
        recorder: permission.recorder,
        agent: permission.agent,
    }
}
