use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Except, Match, PolicyStatus, Source, StringMatch};

/// What participants of the matching rooms may do and be.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(group = "usher.dev", version = "v1alpha1", kind = "RoomPolicy", namespaced, status = "PolicyStatus")]
#[kube(shortname = "rpol", category = "usher")]
#[serde(rename_all = "camelCase")]
pub struct RoomPolicySpec {
    /// The LiveKitServer whose rooms are governed. Immutable.
    pub server_ref: ServerRef,
    /// Names of rooms, any of.
    pub rooms: Vec<StringMatch>,
    /// Higher speaks first; -1000 to 1000.
    #[serde(default)]
    pub priority: i32,
    /// Whether to act or only to report.
    #[serde(default)]
    pub mode: Mode,
    /// Stops enforcement; participants stay as they are or fall back to the next rule.
    #[serde(default)]
    pub suspend: bool,
    /// The rules, in order.
    pub rules: Vec<PolicyRule>,
}

/// Names a LiveKitServer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerRef {
    /// The object's name.
    pub name: String,
    /// The object's namespace; default the namespace of the referring object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Whether an object acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Act.
    #[default]
    Enforce,
    /// Report what would be done, do nothing.
    Audit,
}

/// One rule: whom it is about, and what holds for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRule {
    /// Unique in the policy; stands in status, Events and logs.
    pub name: String,
    /// Whom the rule is about; default every participant of kind Standard.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub match_: Option<Match>,
    /// Any of these takes the participant out of the rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Except>,
    /// Fields to set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<SetEffect>,
    /// Tracks to mute or unmute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mute: Option<MuteEffect>,
    /// Remove the participant, again each time it comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<RemoveEffect>,
    /// No lower rule removes the participant. Only `true` makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<bool>,
    /// The rule exists from this moment, to the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_from: Option<Time>,
    /// The rule exists until this moment, to the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_until: Option<Time>,
    /// Let names, metadata and attributes that a participant may change itself work in its own favour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_self_updates: Option<bool>,
}

/// Fields of a participant to set through UpdateParticipant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetEffect {
    /// Permission bits; what is not named keeps its present value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<PermissionEffect>,
    /// The participant's metadata. Cannot be cleared through LiveKit's API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// The participant's display name. Cannot be cleared through LiveKit's API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Attributes to set; others stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Attributes to remove.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_attributes: Vec<String>,
}

/// Permission bits to set (`ParticipantPermission` in livekit_models.proto).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PermissionEffect {
    /// May receive tracks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_subscribe: Option<bool>,
    /// May publish tracks. `true` alone means all sources; one field together with `canPublishSources`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_publish: Option<bool>,
    /// May publish tracks of these sources and no others. Implies `canPublish`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub can_publish_sources: Vec<Source>,
    /// May publish data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_publish_data: Option<bool>,
    /// May change its own name, metadata and attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_update_metadata: Option<bool>,
    /// May subscribe to metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_subscribe_metrics: Option<bool>,
    /// May manage agent sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_manage_agent_session: Option<bool>,
}

/// Tracks to mute or unmute through MutePublishedTrack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MuteEffect {
    /// Tracks of these sources; default all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// Mute or unmute; default true. Unmuting needs the server's option `room.enable_remote_unmute`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<bool>,
    /// How often; default Always for mute, OncePerTrack for unmute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
}

/// How often a mute is brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Repeat {
    /// Whenever the track is seen otherwise.
    Always,
    /// Once for each track, best effort; afterwards the participant may undo it.
    OncePerTrack,
}

/// Remove the participant from the room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemoveEffect {
    /// Whether LiveKit Cloud revokes the participant's tokens; default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke_tokens: Option<bool>,
}
