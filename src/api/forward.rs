use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Except, Match, Mode, PolicyStatus, ServerRef, StringMatch};

/// Forwards participants into other rooms for as long as they match (LiveKit Cloud only).
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(group = "usher.dev", version = "v1alpha1", kind = "ParticipantForward", namespaced, status = "PolicyStatus")]
#[kube(shortname = "pfwd", category = "usher")]
#[serde(rename_all = "camelCase")]
pub struct ParticipantForwardSpec {
    /// The LiveKitServer of source and destinations. Immutable.
    pub server_ref: ServerRef,
    /// Who is forwarded.
    pub source: ForwardSource,
    /// Where to; none of them an exact source room.
    pub destination_rooms: Vec<String>,
    /// Whether to act or only to report.
    #[serde(default)]
    pub mode: Mode,
    /// Stops forwarding; the copies stay.
    #[serde(default)]
    pub suspend: bool,
    /// What becomes of the copies when the object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// Whom a forward or a move takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForwardSource {
    /// Names of rooms, any of.
    pub rooms: Vec<StringMatch>,
    /// Whom; default kinds are Standard and Ingress for a forward, Standard for a move.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub match_: Option<Match>,
    /// Any of these takes the participant out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Except>,
    /// Let names, metadata and attributes that a participant may change itself count.
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
