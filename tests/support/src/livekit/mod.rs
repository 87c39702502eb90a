//! A real livekit-server.

mod api;
mod token;

pub use self::api::ApiReply;
pub use self::token::{ApiKey, TokenSpec};

use crate::dir::{TestDir, scratch};
use crate::net::free_port;
use crate::process::Launch;
use crate::service::Service;
use crate::stack::stack_binary;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;
use tempfile::TempDir;

/// The name of its file.
const CONFIGURATION: &str = "livekit.yaml";

/// How [`LiveKit::start`] shall start one.
#[derive(Clone, Debug)]
pub struct LiveKitOptions {
    /// Whether an administrator may unmute tracks; by the server's own default he may not.
    pub enable_remote_unmute: bool,
    /// Where webhooks go.
    pub webhook_urls: Vec<String>,
    /// The keys. The first signs webhooks and what this testkit asks of the server.
    pub keys: Vec<ApiKey>,
    /// The greatest metadata, in bytes.
    pub max_metadata_size: Option<u32>,
    /// The greatest attributes, all of a participant's together, in bytes.
    pub max_attributes_size: Option<u32>,
    /// The level of its log.
    pub log_level: String,
    /// Any other configuration, merged over what the rest makes.
    pub extra: Value,
}

impl Default for LiveKitOptions {
    fn default() -> Self {
        Self {
            enable_remote_unmute: false,
            webhook_urls: Vec::new(),
            keys: vec![ApiKey::new("devkey", "a-secret-for-tests-of-at-least-32-bytes")],
            max_metadata_size: None,
            max_attributes_size: None,
            // Every request at `info` costs a line, which a burst of joins feels.
            log_level: "warn".to_owned(),
            extra: Value::Null,
        }
    }
}

/// A server that serves, on loopback alone and without Redis: all its state is lost when it is killed.
///
/// It is a [`Service`]: `kill`, `start`, `restart`, `freeze` and so on are those of it. Mind that its first SIGTERM
/// only makes it wait until the last participant has left.
#[derive(Debug)]
pub struct LiveKit {
    service: Service,
    port: u16,
    options: LiveKitOptions,
    configuration: TempDir,
}

impl Deref for LiveKit {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl LiveKit {
    /// Starts one.
    pub async fn start(options: LiveKitOptions) -> Self {
        let port = free_port();
        let configuration = scratch("livekit");
        let path = configuration.path().join(CONFIGURATION);
        write(&options, port, &path);

        let dir = TestDir::current();
        let launch = Launch::new(stack_binary("livekit-server"), dir.log("livekit-server")).arg("--config").arg(path);
        let health = format!("http://127.0.0.1:{port}/");
        let service = Service::program("livekit-server", launch, Some(health), dir);
        service.start().await;
        Self { service, port, options, configuration }
    }

    /// Gives it other keys, of which the first signs from now on, and starts it anew.
    pub async fn rotate(&mut self, keys: Vec<ApiKey>) {
        self.kill().await;
        self.options.keys = keys;
        write(&self.options, self.port, &self.configuration.path().join(CONFIGURATION));
        self.service.start().await;
    }

    /// Where its API is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where participants join.
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Its keys.
    pub fn keys(&self) -> &[ApiKey] {
        &self.options.keys
    }

    /// The Secret `livekit-keys` with its first key and a LiveKitServer `main` that leads to `url`: its own, or that of
    /// a proxy before it.
    pub fn manifests(&self, namespace: &str, url: &str, resync_interval: &str) -> String {
        let ApiKey { key, secret } = &self.options.keys[0];
        format!(
            "apiVersion: v1
kind: Secret
metadata: {{name: livekit-keys, namespace: {namespace}}}
stringData: {{LIVEKIT_API_KEY: {key}, LIVEKIT_API_SECRET: {secret}}}
---
apiVersion: usher.dev/v1alpha1
kind: LiveKitServer
metadata: {{name: main, namespace: {namespace}}}
spec:
  url: {url}
  credentials: {{secretRef: {{name: livekit-keys}}}}
  resyncInterval: {resync_interval}
"
        )
    }

    /// A token of its first key.
    pub fn token(&self, spec: &TokenSpec) -> String {
        spec.sign(&self.options.keys[0])
    }
}

fn write(options: &LiveKitOptions, port: u16, path: &Path) {
    // JSON is YAML.
    let text = format!("{:#}\n", configure(options, port));
    std::fs::write(path, text).expect("a file can be written to a directory of our own");
}

/// Loopback only: `bind_addresses` is for HTTP alone, media takes every interface unless told otherwise.
fn configure(options: &LiveKitOptions, port: u16) -> Value {
    let keys: BTreeMap<_, _> = options.keys.iter().map(|key| (&key.key, &key.secret)).collect();
    let mut config = json!({
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "rtc": {
            "tcp_port": 0,
            "udp_port": free_port(),
            "node_ip": "127.0.0.1",
            "use_external_ip": false,
            "enable_loopback_candidate": true,
            "interfaces": {"includes": ["lo"]},
        },
        "keys": keys,
        "room": {"auto_create": true, "enable_remote_unmute": options.enable_remote_unmute},
        "logging": {"level": options.log_level, "json": true},
    });
    if !options.webhook_urls.is_empty() {
        config["webhook"] = json!({"api_key": options.keys[0].key, "urls": options.webhook_urls});
    }
    let limits =
        [("max_metadata_size", options.max_metadata_size), ("max_attributes_size", options.max_attributes_size)];
    let limits: Map<_, _> =
        limits.iter().filter_map(|(name, max)| Some(((*name).to_owned(), json!((*max)?)))).collect();
    if !limits.is_empty() {
        config["limit"] = Value::Object(limits);
    }
    merge(&mut config, &options.extra);
    config
}

/// Lays `over` upon `under`: objects field by field, anything else as a whole.
fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (_, Value::Null) => {}
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                merge(under.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}
