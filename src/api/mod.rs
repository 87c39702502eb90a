//! The custom resources of group `usher.dev`, version `v1alpha1`: their types, schemas and validation rules.
//!
//! No behaviour lives here. What a schema or a CEL rule can refuse is refused by the API server at `kubectl apply`;
//! what only the operator can know (a pattern that does not compile, a missing server) is for [`crate::policy`] and
//! the conditions in status.

mod access;
pub mod condition;
mod crd;
mod duration;
mod effect;
mod forward;
mod r#match;
mod r#move;
mod policy;
mod reason;
mod server;
mod status;
mod string_match;
mod timestamp;

pub use access::{Access, NamespaceGrant};
pub use crd::{CrdYamlError, crd_files, crds, crds_yaml};
pub use duration::{Duration, NotADuration};
pub use effect::{MuteEffect, PermissionEffect, RemoveEffect, Repeat, SetEffect};
pub use forward::{DeletionPolicy, ForwardSource, ParticipantForward, ParticipantForwardSpec};
pub use r#match::{AttributeMatch, Except, Include, Kind, Match, Source, State};
pub use r#move::{ParticipantMove, ParticipantMoveSpec};
pub use policy::{Mode, PolicyRule, RoomPolicy, RoomPolicySpec, ServerRef};
pub use reason::{Outcome, Reason};
pub use server::{
    CaBundle, ConfigMapKeyRef, Credentials, Feature, Features, LiveKitServer, LiveKitServerSpec, LiveKitServerStatus,
    Requests, SecretRef,
};
pub use status::{PolicyStatus, Sample, Summary};
pub use string_match::StringMatch;
pub use timestamp::{NotATimestamp, Timestamp};

/// The API group of every kind.
pub const GROUP: &str = "usher.dev";
/// The only version served so far.
pub const VERSION: &str = "v1alpha1";
/// Annotation that forces a resync now; its last seen value is copied to `status.lastHandledReconcileAt`.
/// The convention is Flux's (`reconcile.fluxcd.io/requestedAt`).
pub const RECONCILE_REQUESTED_AT: &str = "usher.dev/reconcile-requested-at";

/// The finalizer of a ParticipantForward with deletionPolicy Stop, so that its copies are ended before it is gone.
pub const FORWARD_FINALIZER: &str = "usher.dev/forward";
