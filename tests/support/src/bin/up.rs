//! Starts the whole stack for people and keeps it until Ctrl-C:
//!
//! ```text
//! cargo run -p usher-testkit --bin up [-- path/to/usher]
//! ```
//!
//! Without an operator it tells the command to start one with.

#![allow(clippy::expect_used, clippy::panic)]

use serde_json::json;
use std::time::Instant;
use usher_testkit::{
    Cluster, ClusterOptions, LiveKit, LiveKitOptions, Operator, OperatorOptions, free_port, repository,
};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let start = Instant::now();
    let cluster = Cluster::start(ClusterOptions { controller_manager: true, ..ClusterOptions::default() }).await;
    if repository().join("crds").is_dir() {
        cluster.apply_crds().await;
    }
    let webhooks = free_port();
    let options = LiveKitOptions {
        enable_remote_unmute: true,
        webhook_urls: vec![format!("http://127.0.0.1:{webhooks}/webhook")],
        extra: json!({"room": {"empty_timeout": 3600}}),
        ..LiveKitOptions::default()
    };
    let livekit = LiveKit::start(options).await;
    let binary = std::env::args_os().nth(1);
    let operator = match &binary {
        Some(binary) => {
            Some(Operator::start(OperatorOptions::new(binary, cluster.kubeconfig()).http_port(webhooks)).await)
        }
        None => None,
    };

    let key = &livekit.keys()[0];
    println!("The stack is up after {:.1?}. Ctrl-C ends it.\n", start.elapsed());
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("export LIVEKIT_URL={}", livekit.url());
    println!("export LIVEKIT_API_KEY={} LIVEKIT_API_SECRET={}", key.key, key.secret);
    match &operator {
        Some(operator) => {
            println!("# the operator: webhooks {}, health and metrics {}", operator.http_url(), operator.admin_url());
            println!("# its log: {}", operator.log_path().display());
        }
        None => println!("# an operator: usher run --http-addr=127.0.0.1:{webhooks} --leader-elect=false"),
    }
    // The parts end with this function, in reverse order of their start.
    tokio::signal::ctrl_c().await
}
