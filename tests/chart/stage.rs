//! An operator that the chart has made, and a livekit-server that it governs from one namespace.

use serde_json::{Value, json};
use usher_testkit::{Cluster, LiveKit, LiveKitOptions, Operator, WebhookRelay, free_port};

use crate::image;

/// How the operator is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// As any program.
    Plainly,
    /// As a container of the image.
    Contained,
}

pub struct Stage<'a> {
    pub cluster: &'a Cluster,
    /// Of the objects.
    pub namespace: String,
    pub operator: Operator,
    pub livekit: LiveKit,
}

impl<'a> Stage<'a> {
    pub async fn set(cluster: &'a Cluster, system: &str, watches_all: bool, run: Run) -> Self {
        let namespace = cluster.namespace("rooms").await;
        let ports = [free_port(), free_port()];
        let watched: &[&str] = if watches_all { &[] } else { &[&namespace] };
        let values = json!({
            "crds": {"enabled": watches_all},
            "watchNamespaces": watched,
            "serverNamespaces": [{"namespace": namespace, "secrets": ["livekit-keys"], "configMaps": ["livekit-ca"]}],
            "listenAddress": "127.0.0.1",
            "containerPorts": {"webhooks": ports[0], "admin": ports[1]},
            "log": {"level": "info,usher=trace"},
        });
        let release = cluster.install_chart(system, "usher", &values).await;
        let relay = WebhookRelay::start();
        relay.set_target(&format!("http://127.0.0.1:{}", ports[0]));
        let webhook_urls = vec![relay.url(&format!("/webhooks/{namespace}/main"))];
        let livekit = LiveKit::start(LiveKitOptions { webhook_urls, ..LiveKitOptions::default() }).await;
        let container = release.container(cluster).await;
        let operator = match run {
            Run::Plainly => {
                let kubeconfig = cluster.kubeconfig_for_service_account(system, &container.service_account).await;
                Operator::start_container(env!("CARGO_BIN_EXE_usher").as_ref(), &kubeconfig, &container).await
            }
            Run::Contained => image::start(cluster, system, &container).await,
        };
        Self { cluster, namespace, operator, livekit }
    }

    pub async fn apply(&self, kind: &str, name: &str, spec: Value) {
        self.cluster.apply(&object(kind, &self.namespace, name, spec)).await;
    }

    pub async fn wait(&self, condition: &str, what: &str) {
        let condition = format!("--for=condition={condition}");
        let said =
            self.cluster.kubectl(&["-n", &self.namespace, "wait", &condition, "--timeout=45s", what], None).await;
        assert!(said.success, "{}\n{}", said.stderr, self.operator.log());
    }
}

/// An object of ours.
pub fn object(kind: &str, namespace: &str, name: &str, spec: Value) -> String {
    let metadata = json!({"name": name, "namespace": namespace});
    json!({"apiVersion": "usher.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}).to_string()
}
