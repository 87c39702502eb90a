use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, StringMatch};

/// A LiveKit deployment, self-hosted or LiveKit Cloud, and who may govern its rooms.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(group = "usher.dev", version = "v1alpha1", kind = "LiveKitServer", namespaced, status = "LiveKitServerStatus")]
#[kube(shortname = "lks", category = "usher", plural = "livekitservers", singular = "livekitserver")]
#[serde(rename_all = "camelCase")]
pub struct LiveKitServerSpec {
    /// The server's address: http, https, ws or wss.
    pub url: String,
    /// Where the API key and secret are. May be left out for `usher run --from` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// A private CA to trust instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<CaBundle>,
    /// How often a governed room is listed even when no webhook arrives; 5s to 1h.
    #[serde(default = "default_resync_interval")]
    pub resync_interval: Duration,
    /// Limits on the requests made to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Requests>,
    /// What other namespaces may govern here; the own namespace governs all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<Access>,
    /// Stops everything on this server.
    #[serde(default)]
    pub suspend: bool,
}

fn default_resync_interval() -> Duration {
    Duration::from_secs(30)
}

/// Where the API key and secret are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The Secret, in the same namespace.
    pub secret_ref: SecretRef,
    /// The Secret's key that holds the API key; default `LIVEKIT_API_KEY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_key: Option<String>,
    /// The Secret's key that holds the API secret; default `LIVEKIT_API_SECRET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_secret_key: Option<String>,
    /// The Secret's key that holds lines `apiKey: secret`, the shape LiveKit's own Helm chart uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_file_key: Option<String>,
    /// With `keysFileKey`: which line signs our calls; default the first. All verify webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
}

/// Names a Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretRef {
    /// The Secret's name.
    pub name: String,
}

/// A private CA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaBundle {
    /// The ConfigMap with PEM certificates, in the same namespace.
    pub config_map_ref: ConfigMapKeyRef,
}

/// Names a key of a ConfigMap of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigMapKeyRef {
    /// The ConfigMap's name.
    pub name: String,
    /// The key that holds the certificates.
    pub key: String,
}

/// Limits on the requests made to a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Requests {
    /// Requests a second; unlimited by default, 12 for `*.livekit.cloud`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<u32>,
    /// How many may be made at once after a pause; default twice `perSecond`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// How long one request may take; 100ms to 60s, default 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// How many may be under way at the same time; default 32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
}

/// Lets other namespaces govern some rooms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Unique in the list; stands in conditions.
    pub name: String,
    /// Which namespaces.
    pub namespaces: NamespaceGrant,
    /// Which rooms they may govern.
    pub rooms: Vec<StringMatch>,
    /// Their policies' priority counts as this at most; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_priority: Option<i32>,
}

/// Which namespaces an access entry is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NamespaceGrant {
    /// By name.
    Names(Vec<String>),
    /// By label. Not in namespaced installs, which may not read namespaces.
    Selector(LabelSelector),
}

/// What the operator has found out about a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveKitServerStatus {
    /// The generation the conditions speak of; -1 before the first look.
    #[serde(default)]
    pub observed_generation: i64,
    /// Ready, Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// What the server can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Features>,
    /// Governed rooms in session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rooms: Option<u32>,
    /// Participants in them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participants: Option<u32>,
    /// Policies, forwards and moves that refer to this server and may act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<u32>,
    /// The last handled value of the reconcile annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// What a server can do beyond what every LiveKit server can.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    /// ForwardParticipant.
    pub forward: Feature,
    /// MoveParticipant.
    #[serde(rename = "move")]
    pub move_: Feature,
    /// MutePublishedTrack with `muted: false`.
    pub remote_unmute: Feature,
}

/// Whether a server can do something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Feature {
    /// It did it.
    Supported,
    /// It refused as something it cannot do.
    Unsupported,
    /// It has not been asked.
    #[default]
    Unknown,
}
