use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Access, Duration, status};

/// A LiveKit deployment, self-hosted or LiveKit Cloud, and who may govern its rooms.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(group = "usher.dev", version = "v1alpha1", kind = "LiveKitServer", namespaced, status = "LiveKitServerStatus")]
#[kube(shortname = "lks", category = "usher", plural = "livekitservers", singular = "livekitserver")]
#[kube(
    doc = "LiveKitServer is a LiveKit deployment, self-hosted or LiveKit Cloud: where it is, with which keys it is \
    asked, and which namespaces may govern which of its rooms. Let LiveKit send its webhooks to \
    /webhooks/<namespace>/<name>."
)]
#[serde(rename_all = "camelCase")]
pub struct LiveKitServerSpec {
    /// The server's address: http, https, ws or wss, like wss://livekit.example.com.
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = Rule::new("isURL(self) && url(self).getScheme() in ['http', 'https', 'ws', 'wss'] && \
            url(self).getHostname() != ''")
        .message("url must be an address with scheme http, https, ws or wss and a host, like wss://livekit.example.com"))]
    #[x_kube(validation = Rule::new("!self.contains('@') && !self.contains('?') && !self.contains('#')")
        .message("url may hold no user, query or fragment; keys belong into the Secret that credentials names"))]
    pub url: String,
    /// Where the API key and secret are. May be left out for `usher run --from` only; in a cluster the object is then
    /// Ready=False, SecretNotFound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// A private CA that signed the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<CaBundle>,
    /// How often a governed room is listed even when no webhook arrives; 5s to 1h.
    #[serde(default = "default_resync_interval")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('5s') && duration(self) <= duration('1h')")
        .message("resyncInterval must be from 5s to 1h"))]
    pub resync_interval: Duration,
    /// Limits on the requests made to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Requests>,
    /// What other namespaces may govern here; the own namespace governs all. A namespace that no entry covers gets
    /// NotPermitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub access: Vec<Access>,
    /// Stops everything on this server. Its policies are then Ready, reason Suspended.
    #[serde(default)]
    pub suspend: bool,
}

fn default_resync_interval() -> Duration {
    Duration::from_secs(30)
}

/// Where the API key and secret are: by default the keys LIVEKIT_API_KEY and LIVEKIT_API_SECRET of a Secret. If that
/// Secret also has LIVEKIT_URL, its host must be that of url.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.apiKeyKey) == has(self.apiSecretKey)")
    .message("give both apiKeyKey and apiSecretKey, or neither"))]
#[x_kube(validation = Rule::new("!has(self.keysFileKey) || !has(self.apiKeyKey) && !has(self.apiSecretKey)")
    .message("keysFileKey holds key and secret together: remove apiKeyKey and apiSecretKey, or keysFileKey"))]
#[x_kube(validation = Rule::new("!has(self.apiKey) || has(self.keysFileKey)")
    .message("apiKey chooses a line of the file that keysFileKey names: give keysFileKey, or remove apiKey")
    .field_path(".apiKey"))]
pub struct Credentials {
    /// The Secret, in the same namespace. When it changes, the new keys take effect at once.
    pub secret_ref: SecretRef,
    /// The Secret's key that holds the API key; default LIVEKIT_API_KEY. Only together with apiSecretKey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub api_key_key: Option<String>,
    /// The Secret's key that holds the API secret; default LIVEKIT_API_SECRET. Only together with apiKeyKey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub api_secret_key: Option<String>,
    /// Instead of apiKeyKey and apiSecretKey: the Secret's key that holds lines "apiKey: secret", the shape LiveKit's
    /// own Helm chart uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub keys_file_key: Option<String>,
    /// With keysFileKey: which line signs our calls; default the first. All of them verify webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub api_key: Option<String>,
}

/// Names a Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
}

/// A private CA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaBundle {
    /// The ConfigMap that holds the certificates, in the same namespace.
    pub config_map_ref: ConfigMapKeyRef,
}

/// Names a key of a ConfigMap of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigMapKeyRef {
    /// The ConfigMap's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// The key that holds one or more certificates as PEM, like ca.crt.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// Limits on the requests made to a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.perSecond) || has(self.burst) || has(self.timeout) || has(self.maxInFlight)")
    .message("give at least one of perSecond, burst, timeout and maxInFlight, or leave requests out"))]
pub struct Requests {
    /// Requests a second, 1 to 1000000; unlimited by default, 12 for *.livekit.cloud. A server from which nothing else
    /// has come for three seconds is asked whether it is there, with at most a tenth of these requests: where nothing
    /// happens that is 20 a minute, and 6 a minute with perSecond 1. Each further replica asks twice or thrice a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub per_second: Option<u32>,
    /// How many may be made at once after a pause, 1 to 1000000; default twice perSecond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst: Option<u32>,
    /// How long one request may take; 100ms to 60s, default 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('100ms') && duration(self) <= duration('60s')")
        .message("timeout must be from 100ms to 60s"))]
    pub timeout: Option<Duration>,
    /// How many may be under way at the same time, 1 to 1000000; default 32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_in_flight: Option<u32>,
}

/// What the operator has found out about a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveKitServerStatus {
    /// The generation the conditions speak of; -1 before the first look.
    #[serde(default = "status::not_observed")]
    pub observed_generation: i64,
    /// Ready always; Reconciling and Stalled only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "status::conditions")]
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
    /// The last handled value of the annotation usher.dev/reconcile-requested-at, which forces a resync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

impl Default for LiveKitServerStatus {
    fn default() -> Self {
        Self {
            observed_generation: status::not_observed(),
            conditions: Vec::new(),
            features: None,
            rooms: None,
            participants: None,
            policies: None,
            last_handled_reconcile_at: None,
        }
    }
}

/// What a server can do beyond what every LiveKit server can.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    /// ForwardParticipant, which LiveKit Cloud has: Supported (it did it), Unsupported (it refused as something it
    /// cannot do), Unknown (it has not been asked).
    pub forward: Feature,
    /// MoveParticipant, which LiveKit Cloud has; values as for forward.
    #[serde(rename = "move")]
    pub move_: Feature,
    /// Unmuting, which needs the server's option room.enable_remote_unmute; values as for forward.
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
