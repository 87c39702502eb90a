use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{ForwardSource, Mode, PolicyStatus, ServerRef};

/// Moves whoever matches to another room, as long as the object exists.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(group = "usher.dev", version = "v1alpha1", kind = "ParticipantMove", namespaced, status = "PolicyStatus")]
#[kube(shortname = "pmov", category = "usher", plural = "participantmoves", singular = "participantmove")]
#[kube(doc = "ParticipantMove moves whoever matches to another room, as long as the object exists. If moves send a \
    participant back within a minute, the lower-placed of them stops for that participant and both say so. LiveKit \
    Cloud only: elsewhere it is Stalled, reason UnsupportedByServer.")]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!self.source.rooms.exists(from, has(from.exact) && \
        from.exact == self.destinationRoom)")
    .message("destinationRoom is a room that source.rooms names exactly: choose another for one of the two")
    .field_path(".destinationRoom"))]
pub struct ParticipantMoveSpec {
    /// The LiveKitServer of source and destination. Immutable: for another server, create another object.
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("serverRef is immutable: delete the object and create it anew for another server"))]
    pub server_ref: ServerRef,
    /// Who is moved.
    pub source: ForwardSource,
    /// Name of the room to move to, at most 256 bytes in UTF-8; not an exact source room.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("size(bytes(self)) <= 256")
        .message("destinationRoom may have at most 256 bytes in UTF-8: shorten it"))]
    pub destination_room: String,
    /// Enforce, or Audit: report what would be done and do nothing.
    #[serde(default)]
    pub mode: Mode,
    /// Stops moving.
    #[serde(default)]
    pub suspend: bool,
}
