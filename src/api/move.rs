use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{ForwardSource, Mode, PolicyStatus, ServerRef};

/// Moves whoever matches to another room, as long as the object exists (LiveKit Cloud only).
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(group = "usher.dev", version = "v1alpha1", kind = "ParticipantMove", namespaced, status = "PolicyStatus")]
#[kube(shortname = "pmov", category = "usher")]
#[serde(rename_all = "camelCase")]
pub struct ParticipantMoveSpec {
    /// The LiveKitServer of source and destination. Immutable.
    pub server_ref: ServerRef,
    /// Who is moved.
    pub source: ForwardSource,
    /// Where to; not an exact source room.
    pub destination_room: String,
    /// Whether to act or only to report.
    #[serde(default)]
    pub mode: Mode,
    /// Stops moving.
    #[serde(default)]
    pub suspend: bool,
}
