use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Except, Match, Mode, PolicyStatus, ServerRef, StringMatch};

/// Forwards participants into other rooms for as long as they match.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(group = "usher.dev", version = "v1alpha1", kind = "ParticipantForward", namespaced, status = "PolicyStatus")]
#[kube(shortname = "pfwd", category = "usher", plural = "participantforwards", singular = "participantforward")]
#[kube(doc = "ParticipantForward forwards the participants that match into other rooms, for as long as they match. \
    LiveKit Cloud only: elsewhere it is Stalled, reason UnsupportedByServer.")]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.destinationRooms.all(to, \
        !self.source.rooms.exists(from, has(from.exact) && from.exact == to))")
    .message("destinationRooms names a room that source.rooms names exactly: remove it from one of the two")
    .field_path(".destinationRooms"))]
pub struct ParticipantForwardSpec {
    /// The LiveKitServer of source and destinations. Immutable: for another server, create another object.
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("serverRef is immutable: delete the object and create it anew for another server"))]
    pub server_ref: ServerRef,
    /// Who is forwarded.
    pub source: ForwardSource,
    /// Names of the rooms to forward to, each at most 256 bytes in UTF-8; none of them an exact source room.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = Rule::new("self.all(room, size(bytes(room)) <= 256)")
        .message("the name of a room in destinationRooms may have at most 256 bytes in UTF-8: shorten it"))]
    pub destination_rooms: Vec<String>,
    /// Enforce, or Audit: report what would be done and do nothing.
    #[serde(default)]
    pub mode: Mode,
    /// Stops forwarding; copies that exist stay.
    #[serde(default)]
    pub suspend: bool,
    /// What becomes of the copies when the object is deleted: Stop removes them, Retain leaves them.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// Whom a forward or a move takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForwardSource {
    /// The rooms to take participants from: those whose name is any of these.
    #[schemars(length(min = 1, max = 64))]
    pub rooms: Vec<StringMatch>,
    /// Whom to take; all given fields must hold. Default kinds are Standard and Ingress for a forward, Standard for a
    /// move. Left out: every Active participant of these kinds.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub match_: Option<Match>,
    /// A participant that matches any of these is not taken. The same fields as in match, but without defaults: any
    /// kind, any state, hidden or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 8))]
    pub except: Vec<Except>,
    /// Let a name, metadata and attributes that the participant may change itself count. Default false: while it may
    /// change them, it is not taken through them. What it wrote before canUpdateMetadata was taken from it stays, and is
    /// trusted from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_self_updates: Option<bool>,
}

/// What becomes of the copies when a forward is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Remove them.
    #[default]
    Stop,
    /// Leave them.
    Retain,
}
