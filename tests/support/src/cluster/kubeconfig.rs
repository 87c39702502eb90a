//! Kubeconfig files.

use super::pki::Identity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::Path;

/// Writes a kubeconfig for a user who is `user`: a client certificate or a token. JSON is YAML.
pub(super) fn write(path: &Path, server: &str, ca: &str, user: &Value, namespace: &str) {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "test",
            "cluster": {"server": server, "certificate-authority-data": STANDARD.encode(ca)},
        }],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user", "namespace": namespace}}],
        "current-context": "test",
    });
    std::fs::write(path, format!("{config:#}\n")).expect("a kubeconfig can be written");
}

/// A user who is known by a client certificate.
pub(super) fn by_certificate(identity: &Identity) -> Value {
    json!({
        "client-certificate-data": STANDARD.encode(&identity.certificate),
        "client-key-data": STANDARD.encode(&identity.key),
    })
}

/// A user who is known by a bearer token.
pub(super) fn by_token(token: &str) -> Value {
    json!({"token": token})
}
