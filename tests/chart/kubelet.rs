//! Plays the kubelet for Pods that hooks of helm wait for: runs the program with what their container says, and then
//! tells the API server that it has ended.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use usher_testkit::{Cluster, Container, Launch, TestDir, eventually};

use crate::SOON;

/// A Pod whose program has run and succeeded, which the API server has not been told.
pub struct Finished<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
    name: String,
    container: Container,
    /// What the program wrote.
    pub log: String,
}

/// Runs the Pod that has a component's label, as soon as it is there. `addresses` stand for Services: whatever names
/// one goes to its address instead.
pub async fn run_pod<'a>(
    cluster: &'a Cluster,
    namespace: &'a str,
    component: &str,
    addresses: &BTreeMap<String, String>,
) -> Finished<'a> {
    let selector = format!("app.kubernetes.io/component={component}");
    let look = async || -> Result<Value, String> {
        let found = cluster.kubectl(&["-n", namespace, "get", "pods", "-l", &selector, "-o", "json"], None).await;
        let mut found: Value = serde_json::from_str(&found.stdout).map_err(|error| error.to_string())?;
        match found["items"].as_array().map(Vec::len) {
            Some(1) => Ok(found["items"][0].take()),
            _ => Err(found.to_string()),
        }
    };
    let pod = eventually(SOON, "a Pod of a hook", look).await;
    let mut container = Container::of(&pod, namespace);
    for argument in &mut container.args {
        for (service, address) in addresses {
            *argument = argument.replace(service, address);
        }
    }
    let kubeconfig = cluster.kubeconfig_for_service_account(namespace, &container.service_account).await;
    let dir = TestDir::current();
    let mut launch = Launch::new(env!("CARGO_BIN_EXE_usher"), dir.log(component))
        .args(&container.args)
        .env("KUBECONFIG", kubeconfig);
    for (name, value) in &container.env {
        launch = launch.env(name, value);
    }
    let process = launch.start();
    let status = process.ended().await;
    let log = std::fs::read_to_string(process.log()).unwrap_or_default();
    assert!(status.success(), "{component} ended with {status}: {log}");

    let name = pod["metadata"]["name"].as_str().expect("a Pod has a name").to_owned();
    Finished { cluster, namespace, name, container, log }
}

impl Finished<'_> {
    /// Tells the API server.
    pub async fn tell(&self) {
        let state = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
        let name = &self.container.spec["name"];
        let ended = json!({"status": {"phase": "Succeeded", "containerStatuses": [{
            "name": name, "state": state, "ready": false, "restartCount": 0, "image": "usher", "imageID": "usher",
        }]}});
        let of = ["-n", self.namespace, "patch", "pod", &self.name, "--subresource=status", "--type=merge", "-p"];
        self.cluster.kubectl(&[&of[..], &[&ended.to_string()]].concat(), None).await.ok();
    }
}
