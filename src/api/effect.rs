use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Source;

/// Fields of a participant to set. What is not named stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.permission) || has(self.metadata) || has(self.name) || \
        has(self.attributes) || has(self.removeAttributes)")
    .message("give at least one of permission, metadata, name, attributes and removeAttributes"))]
#[x_kube(validation = Rule::new("!has(self.attributes) || !has(self.removeAttributes) || \
        self.removeAttributes.all(key, !(key in self.attributes))")
    .message("removeAttributes names a key that attributes sets: leave it in one of the two")
    .field_path(".removeAttributes"))]
pub struct SetEffect {
    /// Permission bits; what is not named keeps its present value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<PermissionEffect>,
    /// The participant's metadata, at most 32768 bytes in UTF-8. LiveKit's API cannot clear it, so it may not be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32768))]
    #[x_kube(validation = Rule::new("size(bytes(self)) <= 32768")
        .message("metadata may have at most 32768 bytes in UTF-8: shorten it"))]
    pub metadata: Option<String>,
    /// The participant's display name, at most 256 bytes in UTF-8. LiveKit's API cannot clear it, so it may not be
    /// empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("size(bytes(self)) <= 256")
        .message("name may have at most 256 bytes in UTF-8: shorten it"))]
    pub name: Option<String>,
    /// Attributes to set, 1 to 32; others stay. No value may be empty (see removeAttributes); keys and values have at
    /// most 256 bytes in UTF-8; keys that begin with lk., sip. or ingress. belong to LiveKit.
    // The schema counts the characters of keys: Kubernetes cannot bound a map's keys, so `bytes(key)` is too dear by
    // its estimate. The bytes are counted when the rule is compiled.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "attributes")]
    #[x_kube(validation = Rule::new("self.all(key, key != '' && size(key) <= 256)")
        .message("a key of attributes has 1 to 256 characters"))]
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('lk.') && !key.startsWith('sip.') && \
            !key.startsWith('ingress.'))")
        .message("keys that begin with lk., sip. or ingress. are LiveKit's own: choose another key for attributes"))]
    pub attributes: BTreeMap<String, String>,
    /// Keys of attributes to remove, 1 to 32. None that attributes sets, none that begins with lk., sip. or ingress.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('lk.') && !key.startsWith('sip.') && \
            !key.startsWith('ingress.'))")
        .message("keys that begin with lk., sip. or ingress. are LiveKit's own: removeAttributes may not name them"))]
    pub remove_attributes: Vec<String>,
}

/// schemars has no attributes for the size of a map or the length of its values.
fn attributes(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 32,
        "additionalProperties": {
            "type": "string",
            "minLength": 1,
            "maxLength": 256,
            "x-kubernetes-validations": [{
                "rule": "size(bytes(self)) <= 256",
                "message": "the value of an attribute may have at most 256 bytes in UTF-8: shorten it",
            }],
        },
    })
}

/// Permission bits to set. LiveKit replaces a permission as a whole; what is not named here is read before and keeps
/// its present value.
// `ParticipantPermission` in livekit_models.proto.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.canSubscribe) || has(self.canPublish) || has(self.canPublishSources) || \
        has(self.canPublishData) || has(self.canUpdateMetadata) || has(self.canSubscribeMetrics) || \
        has(self.canManageAgentSession)")
    .message("give at least one permission, like canPublish: false, or leave permission out"))]
#[x_kube(validation = Rule::new("!has(self.canPublishSources) || !has(self.canPublish) || self.canPublish")
    .message("canPublish: false forbids every source: remove canPublishSources, or make canPublish true")
    .field_path(".canPublishSources"))]
pub struct PermissionEffect {
    /// May receive tracks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_subscribe: Option<bool>,
    /// May publish tracks. True alone means of all sources; canPublish and canPublishSources are decided as one field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_publish: Option<bool>,
    /// May publish tracks of these sources and no others. Implies canPublish.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 4))]
    #[x_kube(merge_strategy = ListMerge::Set)]
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

/// Tracks to mute or unmute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.muted) || self.muted || !has(self.repeat) || self.repeat != 'Always'")
    .message("muted: false allows only repeat: OncePerTrack, for a participant may always mute itself")
    .field_path(".repeat"))]
pub struct MuteEffect {
    /// Tracks of these sources; default all. Audio labelled neither Microphone nor ScreenShareAudio counts as
    /// Microphone, video labelled neither Camera nor ScreenShare as Camera.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 4))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub sources: Vec<Source>,
    /// Mute (true, the default) or unmute (false). Unmuting needs the option room.enable_remote_unmute of the LiveKit
    /// server; without it the policy is Ready=False, RemoteUnmuteDisabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<bool>,
    /// Always: whenever the track is seen otherwise. OncePerTrack: once for each track, best effort, and the
    /// participant may undo it. Which tracks had their turn is remembered by the operator's process: a restart, or a
    /// change of the replica that leads, mutes none again, and of two replicas each may mute a track once. Default
    /// Always; for muted: false OncePerTrack, the only one allowed there.
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
    /// Whether LiveKit Cloud revokes the participant's tokens; default true. False where they must stay valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke_tokens: Option<bool>,
}
