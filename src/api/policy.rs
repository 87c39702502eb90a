use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Except, Match, MuteEffect, PolicyStatus, RemoveEffect, SetEffect, StringMatch, Timestamp, r#match};

/// What participants of some rooms may do and be.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(group = "usher.dev", version = "v1alpha1", kind = "RoomPolicy", namespaced, status = "PolicyStatus")]
#[kube(shortname = "rpol", category = "usher", plural = "roompolicies", singular = "roompolicy")]
#[kube(doc = "RoomPolicy says what the participants of some LiveKit rooms may do and be, and keeps it so.")]
#[serde(rename_all = "camelCase")]
pub struct RoomPolicySpec {
    /// The LiveKitServer whose rooms are governed. Immutable: to govern another server, create another object.
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("serverRef is immutable: delete the object and create it anew for another server"))]
    pub server_ref: ServerRef,
    /// The rooms that are governed: those whose name is any of these.
    #[schemars(length(min = 1, max = 64))]
    pub rooms: Vec<StringMatch>,
    /// Which policy speaks first where several match a participant: the higher one. -1000 to 1000.
    #[serde(default)]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: i32,
    /// Enforce, or Audit: report what would be done and do nothing.
    #[serde(default)]
    pub mode: Mode,
    /// Stops enforcement. What the next policy says then holds; where none speaks, participants stay as they are.
    #[serde(default)]
    pub suspend: bool,
    /// The rules, in order: of two that speak of the same field of a participant the upper one decides.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub rules: Vec<PolicyRule>,
}

/// Names a LiveKitServer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerRef {
    /// The LiveKitServer's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// The LiveKitServer's namespace; default the namespace of the referring object. Another namespace needs an
    /// access entry of that LiveKitServer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
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

/// One rule: whom it is about, and what holds for them. At least one of set, mute, remove and keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.set) || has(self.mute) || has(self.remove) || has(self.keep)")
    .message("a rule needs an effect: give at least one of set, mute, remove and keep"))]
#[x_kube(validation = Rule::new("!has(self.remove) || !has(self.set) && !has(self.mute) && !has(self.keep)")
    .message("remove excludes set, mute and keep: put them into a rule of their own"))]
#[x_kube(validation = Rule::new("!has(self.remove) || has(self.match) && (has(self.match.identities) || \
        has(self.match.names) || has(self.match.metadata) || has(self.match.attributes))")
    .message("remove needs identities, names, metadata or attributes in match; to remove everybody write \
        match: {identities: [{glob: \"*\"}]}"))]
#[x_kube(validation = Rule::new("!has(self.activeFrom) || !has(self.activeUntil) || self.activeFrom < self.activeUntil")
    .message("activeUntil must be later than activeFrom, or the rule never exists")
    .field_path(".activeUntil"))]
pub struct PolicyRule {
    /// Unique in the policy; stands in status, Events and logs.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// Whom the rule is about; all given fields must hold. Left out: every Active participant of kind Standard.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub match_: Option<Match>,
    /// A participant that matches any of these is not meant by the rule. The same fields as in match, but without
    /// defaults: any kind, any state, hidden or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "r#match::except_of_rules")]
    pub except: Vec<Except>,
    /// Fields of the participant to set. Only what is named here is touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<SetEffect>,
    /// Tracks to mute or unmute. `mute: {}` mutes all tracks, always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mute: Option<MuteEffect>,
    /// Remove the participant from the room, again each time it comes back. Excludes all other effects, and needs
    /// identities, names, metadata or attributes in match. `remove: {}` is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<RemoveEffect>,
    /// No lower rule removes the participant. Only true can be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message("keep can only be true; leave it out where lower rules may remove"))]
    pub keep: Option<bool>,
    /// The rule exists from this moment, to the second. RFC 3339 with a zone, like "2026-12-31T00:00:00Z".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_from: Option<Timestamp>,
    /// The rule exists until this moment, to the second. RFC 3339 with a zone, like "2026-12-31T00:00:00Z".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_until: Option<Timestamp>,
    /// Let a name, metadata and attributes that the participant may change itself work in its own favour. Default
    /// false: while it may change them, a rule that keeps or permits does not match through them, and no except
    /// takes it out of a rule that narrows, mutes or removes. What it wrote before canUpdateMetadata was taken from it
    /// stays, and is trusted from then on: for who once had that right, select on what only the app sets, or let the
    /// app write the values anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_self_updates: Option<bool>,
}
