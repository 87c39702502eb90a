//! Measures the operator on the real stack: what it uses at rest, how long a join stays unenforced, and what a thousand
//! policies at once cost.
//!
//! ```text
//! make stack && cargo build --release
//! cargo run --release -p usher-testkit --bin measure -- target/release/usher
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
    Cluster, LiveKit, LiveKitOptions, Operator, OperatorOptions, Participants, ParticipantsOptions, RecordingProxy,
    TokenSpec, eventually, free_port, metric_in,
};

/// Joins, at most so many a second, in so many rooms.
const JOINS: usize = 100;
const PER_SECOND: u64 = 5;
const ROOMS: usize = 10;
/// Policies at once.
const POLICIES: usize = 1000;
/// How long the operator is watched at rest.
const REST: Duration = Duration::from_secs(30);
/// The kernel counts a process's CPU time in hundredths of a second.
const TICKS: f64 = 100.0;

#[tokio::main]
async fn main() {
    let binary = std::env::args_os().nth(1).expect("usage: measure PATH/TO/usher");
    let cluster = Cluster::shared().await;
    let port = free_port();
    let webhooks = vec![format!("http://127.0.0.1:{port}/webhooks/default/main")];
    let livekit = LiveKit::start(LiveKitOptions { webhook_urls: webhooks, ..LiveKitOptions::default() }).await;
    // Counts requests, and costs time on the way: the second half of the joins does without.
    let proxy = RecordingProxy::start(livekit.url());
    cluster.apply(&livekit.manifests("default", &livekit.url(), "30s")).await;
    cluster.apply(&policy("measure", "*").to_string()).await;
    let operator = Operator::start(OperatorOptions::new(binary, cluster.kubeconfig()).http_port(port)).await;
    let ready = ["wait", "--for=condition=Ready", "--timeout=30s", "roompolicy/measure"];
    cluster.kubectl(&ready, None).await.ok();

    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = cpu(operator.id());
    tokio::time::sleep(REST).await;
    let used = cpu(operator.id()) - before;
    println!("at rest: {:.1} MiB resident, {:.3} s of CPU in {REST:?}", resident(operator.id()), used);

    let (took, cpu) = joins(&livekit, &operator, "plain").await;
    let (median, p99, worst) = (took[took.len() / 2], took[took.len() * 99 / 100 - 1], took[took.len() - 1]);
    println!(
        "{JOINS} joins, {PER_SECOND} a second, {ROOMS} rooms: connected to enforced, as the client saw it: median \
         {median:.1} ms, p99 {p99:.1} ms, worst {worst:.1} ms; {cpu:.2} s of CPU; {:.1} MiB resident",
        resident(operator.id())
    );
    cluster.apply(&livekit.manifests("default", &proxy.url(), "30s")).await;
    cluster.kubectl(&ready, None).await.ok();
    proxy.clear();
    joins(&livekit, &operator, "counted").await;
    println!("requests of {JOINS} more joins: {:?}", proxy.counts());
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
        cpu(operator.id()) - cpu_before,
        resident(operator.id())
    );
    // Counts of what has ended meanwhile are written with a delay of 30 s.
    tokio::time::sleep(Duration::from_secs(45)).await;
    let writes = operator.metric("usher_status_writes_total").await;
    tokio::time::sleep(REST).await;
    println!(
        "at rest: writes of status {writes:?}, and {REST:?} later {:?}",
        operator.metric("usher_status_writes_total").await
    );
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

/// Lets participants join; the milliseconds from connected to enforced, sorted, and the CPU time of the operator.
async fn joins(livekit: &LiveKit, operator: &Operator, hint: &str) -> (Vec<f64>, f64) {
    let participants = Participants::start_with(&ParticipantsOptions { others: false });
    let before = cpu(operator.id());
    let (mut took, mut stay) = (Vec::new(), Vec::new());
    for number in 0..JOINS {
        let spec = TokenSpec::new(&format!("{hint}-{}", number % ROOMS), &format!("guest-{number}"));
        let guest = participants.join(livekit, &spec).await;
        let enforced =
            |info: &usher_testkit::Info| !info.permission.can_publish && info.attributes.contains_key("seat");
        let at = guest.wait_for(Duration::from_secs(10), enforced).await;
        took.push(at.duration_since(guest.connected_at()).as_secs_f64() * 1000.0);
        stay.push(guest);
        tokio::time::sleep(Duration::from_millis(1000 / PER_SECOND)).await;
    }
    took.sort_by(f64::total_cmp);
    (took, cpu(operator.id()) - before)
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

/// Resident memory in MiB (proc_pid_status).
fn resident(process: i32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

/// CPU time in seconds, of user and system (proc_pid_stat, fields 14 and 15).
fn cpu(process: i32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(f64::NAN);
    (ticks(14) + ticks(15)) / TICKS
}
