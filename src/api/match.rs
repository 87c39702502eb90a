use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, StringMatch};

/// Which participants a rule is about. All given fields must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// Identities, any of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<StringMatch>,
    /// Display names, any of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<StringMatch>,
    /// The participant's metadata as one string, any of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<StringMatch>,
    /// Attributes, all of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<AttributeMatch>,
    /// Kinds, any of; default Standard alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Kind>,
    /// Connection states, any of; default Active alone, for `remove` all three.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<State>,
    /// Has a track of one of these sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publishing: Vec<Source>,
    /// This session is at least this old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined_for: Option<Duration>,
    /// Whom to see who is otherwise never seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<Include>,
}

/// An exception: the same fields as [`Match`], without defaults (any kind, state, hidden or not).
pub type Except = Match;

/// A condition on one attribute: a value, presence or absence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttributeMatch {
    /// The attribute's key.
    pub key: String,
    /// The value is any of these. Left out: the key is present.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<StringMatch>,
    /// The key is absent. Only `true` makes sense, and never together with `values`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<bool>,
}

/// What kind of client a participant is (`ParticipantInfo.Kind` in livekit_models.proto).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// An ordinary client.
    Standard,
    /// Media ingested by LiveKit Ingress.
    Ingress,
    /// A recorder or streamer of LiveKit Egress.
    Egress,
    /// A telephone call.
    Sip,
    /// A LiveKit agent.
    Agent,
    /// A connector to another messaging network.
    Connector,
    /// A bridge to another media system.
    Bridge,
}

/// How far a participant's connection has come (`ParticipantInfo.State`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum State {
    /// The websocket is connected, the answer not yet sent.
    Joining,
    /// The server has answered, the media connection is not up yet.
    Joined,
    /// The media connection is up.
    Active,
}

/// What a track shows or carries (`TrackSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Source {
    /// A camera.
    Camera,
    /// A microphone.
    Microphone,
    /// A shared screen.
    ScreenShare,
    /// The sound of a shared screen.
    ScreenShareAudio,
}

/// Participants that are otherwise never seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Include {
    /// Participants whose permission says hidden.
    Hidden,
    /// Copies made by ForwardParticipant (kind detail FORWARDED).
    Forwarded,
}
