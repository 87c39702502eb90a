//! What a token allows (livekit/protocol auth/grants.go, pkg/service/auth.go).

use std::{collections::BTreeMap, fmt};

use livekit_protocol::{
    ParticipantPermission, TrackSource,
    participant_info::{Kind, KindDetail},
};
use serde::Deserialize;

use super::Refusal;
use crate::simulator::model::Join;

/// The claims of a token. What only the signature is about is looked at before, see `http/token.rs`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Claims {
    pub(in crate::simulator) iss: String,
    sub: String,
    jti: String,
    pub(in crate::simulator) exp: Option<f64>,
    pub(in crate::simulator) nbf: Option<f64>,
    name: String,
    metadata: String,
    kind: String,
    kind_details: Vec<String>,
    attributes: BTreeMap<String, String>,
    video: Option<Video>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(clippy::struct_excessive_bools, reason = "they are LiveKit's")]
struct Video {
    room_create: bool,
    room_list: bool,
    room_admin: bool,
    room_join: bool,
    room: String,
    destination_room: String,
    can_publish: Option<bool>,
    can_subscribe: Option<bool>,
    can_publish_data: Option<bool>,
    can_publish_sources: Vec<String>,
    can_update_own_metadata: bool,
    can_subscribe_metrics: bool,
    can_manage_agent_session: bool,
    hidden: bool,
    recorder: bool,
    agent: bool,
}

/// Who calls.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Somebody in this process, who needs no token.
    Trusted,
    /// The bearer of a token, or of none.
    Bearer(Option<Box<Claims>>),
}

impl Caller {
    fn check(&self, holds: impl FnOnce(&Video) -> bool) -> Result<(), Refusal> {
        match self {
            Self::Trusted => Ok(()),
            Self::Bearer(claims) => {
                let video = claims.as_ref().and_then(|claims| claims.video.as_ref());
                if video.is_some_and(holds) { Ok(()) } else { Err(Refusal::denied()) }
            }
        }
    }

    pub(super) fn may_create(&self) -> Result<(), Refusal> {
        self.check(|video| video.room_create)
    }

    pub(super) fn may_list(&self) -> Result<(), Refusal> {
        self.check(|video| video.room_list)
    }

    /// Names are compared exactly: there is no token for all rooms.
    pub(super) fn may_administer(&self, room: &str) -> Result<(), Refusal> {
        self.check(|video| video.room_admin && video.room == room)
    }

    pub(super) fn may_transfer(&self, room: &str, destination: &str) -> Result<(), Refusal> {
        self.check(|video| video.room_admin && video.room == room && video.destination_room == destination)
    }
}

/// Why a token admits nobody to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdmitted {
    /// It does not grant `roomJoin`.
    Grant,
    /// It names nobody.
    Identity,
    /// It names no room.
    Room,
}

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grant => "permissions denied",
            Self::Identity => "identity cannot be empty",
            Self::Room => "no room name",
        })
    }
}

impl Claims {
    /// What a participant that joins with this token is like.
    pub(in crate::simulator) fn into_join(self) -> Result<Join, NotAdmitted> {
        let identity = if self.sub.is_empty() { self.jti } else { self.sub };
        let video = self.video.filter(|video| video.room_join).ok_or(NotAdmitted::Grant)?;
        if identity.is_empty() {
            return Err(NotAdmitted::Identity);
        }
        if video.room.is_empty() {
            return Err(NotAdmitted::Room);
        }
        let kind_details = self.kind_details.iter().filter_map(|name| KindDetail::from_str_name(&name.to_uppercase()));
        Ok(Join {
            identity,
            name: self.name,
            metadata: self.metadata,
            attributes: self.attributes,
            kind: Kind::from_str_name(&self.kind.to_uppercase()).unwrap_or(Kind::Standard),
            kind_details: kind_details.collect(),
            permission: video.permission(),
            #[allow(clippy::cast_possible_truncation, reason = "a time in seconds")]
            issued_at: self.nbf.map(|nbf| nbf as i64),
            room: video.room,
        })
    }
}

impl Video {
    #[allow(deprecated, reason = "LiveKit still has them")]
    fn permission(&self) -> ParticipantPermission {
        let can_publish = self.can_publish.unwrap_or(true);
        let source = |name: &String| TrackSource::from_str_name(&name.to_uppercase()).unwrap_or(TrackSource::Unknown);
        ParticipantPermission {
            can_subscribe: self.can_subscribe.unwrap_or(true),
            can_publish,
            can_publish_data: self.can_publish_data.unwrap_or(can_publish),
            can_publish_sources: self.can_publish_sources.iter().map(|name| source(name).into()).collect(),
            hidden: self.hidden,
            recorder: self.recorder,
            can_update_metadata: self.can_update_own_metadata,
            agent: self.agent,
            can_subscribe_metrics: self.can_subscribe_metrics,
            can_manage_agent_session: self.can_manage_agent_session,
        }
    }
}
