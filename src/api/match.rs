use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Duration, StringMatch};

/// Which participants are meant. All given fields must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.identities) || has(self.names) || has(self.metadata) || \
        has(self.attributes) || has(self.kinds) || has(self.states) || has(self.publishing) || has(self.joinedFor) || \
        has(self.include)")
    .message("give at least one field; to mean everybody leave match out, or write identities: [{glob: \"*\"}]"))]
pub struct Match {
    /// The identity is any of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 128))]
    pub identities: Vec<StringMatch>,
    /// The display name is any of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 128))]
    pub names: Vec<StringMatch>,
    /// The participant's metadata, taken as one string, is any of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 128))]
    pub metadata: Vec<StringMatch>,
    /// Conditions on attributes; all of them must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32))]
    pub attributes: Vec<AttributeMatch>,
    /// The kind is any of these. Left out: in match Standard alone (in a forward's source Standard and Ingress), in
    /// except any kind. Agents, egress, ingress and SIP participants are never touched unless named here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 7))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub kinds: Vec<Kind>,
    /// The connection state is any of these: Joining (the signal connection stands), Joined (the server has
    /// answered), Active (the media connection stands). Left out: in match Active alone, with remove all three; in
    /// except any state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 3))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub states: Vec<State>,
    /// Publishes a track of any of these sources. A source is what the client claims, so audio labelled neither
    /// Microphone nor ScreenShareAudio counts as Microphone, and video labelled neither Camera nor ScreenShare as
    /// Camera.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 4))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub publishing: Vec<Source>,
    /// This session is at least this old, like 90s or 1h30m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined_for: Option<Duration>,
    /// In match: see participants who are otherwise never seen, Hidden ones (their permission says hidden) and
    /// Forwarded ones (copies made by a forward). In except they are always seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub include: Vec<Include>,
}

/// An exception: the same fields as [`Match`], without defaults (any kind, state, hidden or not).
pub type Except = Match;

/// The schema of a list of exceptions inside a list of rules. Attribute values are so deep there that
/// [`StringMatch::cheap_schema`] is all that the API server's cost budget allows.
pub(super) fn except_of_rules(generator: &mut SchemaGenerator) -> Schema {
    let mut except = Except::json_schema(generator).to_value();
    if let Some(values) = except.pointer_mut("/properties/attributes/items/properties/values/items") {
        *values = StringMatch::cheap_schema().to_value();
    }
    json_schema!({ "type": "array", "minItems": 1, "maxItems": 8, "items": except })
}

/// A condition on one attribute: its value is any of `values`, or it is `absent`, or (with neither) it is present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.values) || !has(self.absent)")
    .message("give values or absent: true, not both: an absent attribute has no value"))]
pub struct AttributeMatch {
    /// The attribute's key.
    #[schemars(length(min = 1, max = 256))]
    pub key: String,
    /// The value is any of these. Left out: the key is present, whatever its value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 128))]
    pub values: Vec<StringMatch>,
    /// The participant has no attribute of this key. Only true can be given, and never together with values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self")
        .message("absent can only be true; leave it out to ask for a present attribute"))]
    pub absent: Option<bool>,
}

/// What kind of client a participant is.
// `ParticipantInfo.Kind` in livekit_models.proto.
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

/// How far a participant's connection has come.
// `ParticipantInfo.State` in livekit_models.proto.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum State {
    /// The websocket is connected, the answer not yet sent.
    Joining,
    /// The server has answered, the media connection is not up yet.
    Joined,
    /// The media connection is up.
    Active,
}

/// What a track shows or carries, by the claim of the client.
// `TrackSource` in livekit_models.proto.
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
