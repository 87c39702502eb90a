//! Measures the operator on the real stack: what it uses at rest, and how long a join stays unenforced.
//!
//! ```text
//! make stack && cargo build --release
//! cargo run --release -p usher-testkit --bin measure -- target/release/usher
//! ```

#![allow(clippy::expect_used, reason = "a program for developers, which ends where it cannot go on")]

use std::time::Duration;

use usher_testkit::{
    Cluster, LiveKit, LiveKitOptions, Operator, OperatorOptions, Participants, ParticipantsOptions, RecordingProxy,
    TokenSpec, free_port,
};

/// Joins, at most so many a second, in so many rooms.
const JOINS: usize = 100;
const PER_SECOND: u64 = 5;
const ROOMS: usize = 10;
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
    cluster.apply(POLICY).await;
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

/// A policy for every room.
const POLICY: &str = "apiVersion: usher.dev/v1alpha1
kind: RoomPolicy
metadata: {name: measure, namespace: default}
spec:
  serverRef: {name: main}
  rooms: [{glob: '*'}]
  rules:
  - name: quiet
    set:
      permission: {canPublish: false}
      attributes: {seat: audience}
";

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
