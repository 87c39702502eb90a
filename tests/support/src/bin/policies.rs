//! What a thousand policies at once cost the operator on the real API server.
//!
//! ```text
//! make stack && cargo build --release
//! cargo run --release -p usher-testkit --bin policies -- target/release/usher
//! ```

#![allow(clippy::expect_used, reason = "a program for developers, which ends where it cannot go on")]

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams},
};
use serde_json::{Value, json};
use usher_testkit::{
    Cluster, LiveKit, LiveKitOptions, Operator, OperatorOptions, cpu, eventually, metric_in, resident,
};

/// Policies at once.
const POLICIES: usize = 1000;
/// How long the operator is watched at rest.
const REST: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() {
    let binary = std::env::args_os().nth(1).expect("usage: policies PATH/TO/usher");
    let cluster = Cluster::shared().await;
    let livekit = LiveKit::start(LiveKitOptions::default()).await;
    cluster.apply(&livekit.manifests("default", &livekit.url(), "30s")).await;
    let operator = Operator::start(OperatorOptions::new(binary, cluster.kubeconfig())).await;
    policies(cluster, &operator).await;
}

/// Applies many policies at once and waits until every one is Ready; then watches for writes at rest.
async fn policies(cluster: &Cluster, operator: &Operator) {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("usher.dev", "v1alpha1", "RoomPolicy"));
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client().await, "default", &kind);
    let (before, cpu_before) = (requests(cluster).await, cpu(operator.id()));
    let started = Instant::now();
    stream::iter(0..POLICIES)
        .for_each_concurrent(16, |number| {
            let (api, name) = (&api, format!("p{number:04}"));
            async move {
                let object = serde_json::from_value(policy(&name, &format!("{name}-*"))).expect("it is an object");
                api.create(&PostParams::default(), &object).await.expect("the API server is well");
            }
        })
        .await;
    let created = started.elapsed();
    let unready = async || {
        let list = api.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        match list.items.iter().filter(|policy| !is_ready(policy)).count() {
            0 => Ok(()),
            some => Err(format!("{some} are not Ready")),
        }
    };
    eventually(Duration::from_secs(120), "all Ready", unready).await;
    let ready = started.elapsed();
    println!(
        "{POLICIES} policies: created in {:.2} s, all Ready {:.2} s after the first and {:.2} s after the last was created; \
         {} requests of the operator to the API server, {:.2} s of CPU, {:.1} MiB resident",
        created.as_secs_f64(),
        ready.as_secs_f64(),
        (ready - created).as_secs_f64(),
        requests(cluster).await - before,
        (cpu(operator.id()) - cpu_before).as_secs_f64(),
        resident(operator.id()) as f64 / 1024.0 / 1024.0
    );
    let (written, writes) = (versions(&api).await, operator.metric("usher_status_writes_total").await);
    tokio::time::sleep(REST).await;
    let later = versions(&api).await;
    let changed: Vec<_> = later.iter().filter(|version| !written.contains(version)).collect();
    println!(
        "at rest: writes of status {writes:?}, and {REST:?} later {:?}; policies written: {changed:?}",
        operator.metric("usher_status_writes_total").await
    );
}

/// Name and resource version of every policy.
async fn versions(api: &Api<DynamicObject>) -> Vec<(String, String)> {
    let list = api.list(&ListParams::default()).await.expect("the API server is well");
    let version = |object: DynamicObject| {
        (object.metadata.name.unwrap_or_default(), object.metadata.resource_version.unwrap_or_default())
    };
    list.items.into_iter().map(version).collect()
}

/// Requests to the API server that the operator makes and this program does not, as the API server counts them.
async fn requests(cluster: &Cluster) -> f64 {
    let metrics = cluster.kubectl(&["get", "--raw", "/metrics"], None).await.ok();
    let ours =
        ["group=\"usher.dev\",subresource=\"status\"", "group=\"usher.dev\",verb=\"WATCH\"", "resource=\"events\""];
    ours.iter().filter_map(|labels| metric_in(&metrics, &format!("apiserver_request_total{{{labels}}}"))).sum()
}

fn is_ready(policy: &DynamicObject) -> bool {
    let conditions = policy.data["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

/// A policy for all rooms whose names match a glob.
fn policy(name: &str, glob: &str) -> Value {
    json!({
        "apiVersion": "usher.dev/v1alpha1",
        "kind": "RoomPolicy",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "serverRef": {"name": "main"},
            "rooms": [{"glob": glob}],
            "rules": [{
                "name": "quiet",
                "set": {"permission": {"canPublish": false}, "attributes": {"seat": "audience"}},
            }],
        },
    })
}
