//! The body of a webhook: protobuf's JSON, camel case, defaults left out (protojson.Marshal).
//!
//! The parser that `livekit-protocol` brings fails a whole event on one enumeration value that it does not know, so
//! that an update of LiveKit could silence all webhooks. This one reads only what we use, takes any value, and is
//! faster for it.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use livekit_protocol::participant_info::{Kind, KindDetail, State};
use livekit_protocol::{
    DisconnectReason, ParticipantInfo, ParticipantPermission, Room, TrackInfo, TrackSource, TrackType, WebhookEvent,
};
use serde::Deserialize;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};

/// Stands for an enumeration value whose name we do not know. No enumeration of LiveKit has it, so `try_from` of it
/// fails, and nothing mistakes it for the default.
pub const UNKNOWN: i32 = -1;

/// Whether this participant can be read, changed and written back: false when the webhook named a source to publish
/// that we do not know. Writing the permission back would then lose that source; ask LiveKit for the participant
/// instead, for protobuf keeps the numbers of unknown values.
pub fn is_whole(participant: &ParticipantInfo) -> bool {
    participant.permission.as_ref().is_none_or(|permission| !permission.can_publish_sources.contains(&UNKNOWN))
}

/// Parses a body. Nothing else is told of an error: serde's texts quote what they could not read.
pub(super) fn parse(body: &[u8]) -> Option<WebhookEvent> {
    let event: Event = serde_json::from_slice(body).ok()?;
    if event.event.is_empty() {
        return None;
    }
    Some(WebhookEvent {
        event: event.event,
        id: event.id,
        created_at: event.created_at.0,
        room: event.room.map(Into::into),
        participant: event.participant.map(Into::into),
        track: event.track.map(Into::into),
        ..Default::default()
    })
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Event {
    event: String,
    id: String,
    created_at: Number,
    room: Option<RoomJson>,
    participant: Option<ParticipantJson>,
    track: Option<TrackJson>,
}

/// Without `turnPassword`, which is not even kept.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RoomJson {
    sid: String,
    name: String,
    metadata: String,
    creation_time: Number,
    creation_time_ms: Number,
    num_participants: Number,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ParticipantJson {
    sid: String,
    identity: String,
    state: Enumeration<State>,
    tracks: Vec<TrackJson>,
    metadata: String,
    joined_at: Number,
    joined_at_ms: Number,
    name: String,
    version: Number,
    permission: Option<PermissionJson>,
    region: String,
    is_publisher: bool,
    kind: Enumeration<Kind>,
    attributes: HashMap<String, String>,
    disconnect_reason: Enumeration<DisconnectReason>,
    kind_details: Vec<Enumeration<KindDetail>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PermissionJson {
    can_subscribe: bool,
    can_publish: bool,
    can_publish_data: bool,
    can_publish_sources: Vec<Enumeration<TrackSource>>,
    hidden: bool,
    recorder: bool,
    can_update_metadata: bool,
    agent: bool,
    can_subscribe_metrics: bool,
    can_manage_agent_session: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct TrackJson {
    sid: String,
    r#type: Enumeration<TrackType>,
    name: String,
    muted: bool,
    width: Number,
    height: Number,
    source: Enumeration<TrackSource>,
    mime_type: String,
    mid: String,
    stream: String,
}

impl From<RoomJson> for Room {
    fn from(json: RoomJson) -> Self {
        Self {
            sid: json.sid,
            name: json.name,
            metadata: json.metadata,
            creation_time: json.creation_time.0,
            creation_time_ms: json.creation_time_ms.0,
            num_participants: json.num_participants.small(),
            ..Default::default()
        }
    }
}

impl From<ParticipantJson> for ParticipantInfo {
    fn from(json: ParticipantJson) -> Self {
        Self {
            sid: json.sid,
            identity: json.identity,
            state: json.state.value,
            tracks: json.tracks.into_iter().map(Into::into).collect(),
            metadata: json.metadata,
            joined_at: json.joined_at.0,
            joined_at_ms: json.joined_at_ms.0,
            name: json.name,
            version: json.version.small(),
            permission: json.permission.map(Into::into),
            region: json.region,
            is_publisher: json.is_publisher,
            kind: json.kind.value,
            attributes: json.attributes,
            disconnect_reason: json.disconnect_reason.value,
            kind_details: values(json.kind_details),
            ..Default::default()
        }
    }
}

impl From<PermissionJson> for ParticipantPermission {
    // `recorder` and `agent` are deprecated and still to be carried over when a permission is written back.
    #[allow(deprecated)]
    fn from(json: PermissionJson) -> Self {
        Self {
            can_subscribe: json.can_subscribe,
            can_publish: json.can_publish,
            can_publish_data: json.can_publish_data,
            can_publish_sources: values(json.can_publish_sources),
            hidden: json.hidden,
            recorder: json.recorder,
            can_update_metadata: json.can_update_metadata,
            agent: json.agent,
            can_subscribe_metrics: json.can_subscribe_metrics,
            can_manage_agent_session: json.can_manage_agent_session,
        }
    }
}

impl From<TrackJson> for TrackInfo {
    fn from(json: TrackJson) -> Self {
        Self {
            sid: json.sid,
            r#type: json.r#type.value,
            name: json.name,
            muted: json.muted,
            width: json.width.small(),
            height: json.height.small(),
            source: json.source.value,
            mime_type: json.mime_type,
            mid: json.mid,
            stream: json.stream,
            ..Default::default()
        }
    }
}

fn values<E>(enumerations: Vec<Enumeration<E>>) -> Vec<i32> {
    enumerations.into_iter().map(|enumeration| enumeration.value).collect()
}

/// An integer, written as a number or, as protojson does with 64 bits, as a text.
#[derive(Clone, Copy, Default)]
struct Number(i64);

impl Number {
    fn small(self) -> u32 {
        u32::try_from(self.0).unwrap_or_default()
    }
}

/// A value of the enumeration `E`, by name or number; [`UNKNOWN`] for a name that `E` does not have.
struct Enumeration<E> {
    value: i32,
    of: PhantomData<E>,
}

impl<E> Default for Enumeration<E> {
    fn default() -> Self {
        Self { value: 0, of: PhantomData }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber(|text: &str| text.parse().ok())).map(Self)
    }
}

impl<'de, E: DeserializeOwned + Into<i32>> Deserialize<'de> for Enumeration<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = deserializer.deserialize_any(TextOrNumber(|text: &str| {
            // The generated types know their names, if only by way of serde.
            let name: StrDeserializer<'_, ValueError> = text.into_deserializer();
            Some(E::deserialize(name).map_or(UNKNOWN, Into::into).into())
        }))?;
        Ok(Self { value: i32::try_from(value).unwrap_or(UNKNOWN), of: PhantomData })
    }
}

/// Takes an integer, or a text that the function makes one of.
struct TextOrNumber<F>(F);

impl<F: FnOnce(&str) -> Option<i64>> Visitor<'_> for TextOrNumber<F> {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer or a text")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(|_| E::custom("too large"))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<i64, E> {
        (self.0)(text).ok_or_else(|| E::custom("not an integer"))
    }
}
