//! `make up`: the whole real stack on loopback, with the operator and a room with participants, until Ctrl-C.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a program for people, which ends where it cannot go on")]

use std::time::Duration;

use usher_testkit::{
    Cluster, LiveKit, LiveKitOptions, Operator, OperatorOptions, Participants, TokenSpec, free_port, repository,
    stack_binary,
};

#[tokio::main]
async fn main() {
    tokio::select! {
        () = play() => {}
        result = tokio::signal::ctrl_c() => result.expect("Ctrl-C can be waited for"),
    }
    println!("\nending everything");
}

async fn play() {
    println!("starting Kubernetes …");
    let cluster = Cluster::shared().await;
    println!("starting LiveKit …");
    let port = free_port();
    let webhooks = format!("http://127.0.0.1:{port}/webhooks/default/main");
    let livekit = LiveKit::start(LiveKitOptions { webhook_urls: vec![webhooks], ..LiveKitOptions::default() }).await;
    println!("starting the operator …");
    cluster.apply(&livekit.manifests("default", &livekit.ws_url(), "10s")).await;
    let usher = repository().join("target/release/usher");
    let operator = Operator::start(OperatorOptions::new(&usher, cluster.kubeconfig()).http_port(port)).await;
    println!("participants join the room webinar-1 …");
    let participants = Participants::start();
    let mut guests = Vec::new();
    for identity in ["host-anna", "guest-bert", "guest-carl", "troll"] {
        guests.push(participants.join(&livekit, &TokenSpec::new("webinar-1", identity)).await);
    }
    let path = stack_binary("kubectl").parent().map(|path| path.display().to_string()).unwrap_or_default();
    println!(
        "
The stack is up. In another terminal, in this folder:

  export KUBECONFIG={kubeconfig} PATH={path}:$PATH

  kubectl apply -f examples/webinar
  kubectl wait --for=condition=Ready roompolicy/webinar
  kubectl get usher
  kubectl describe roompolicy webinar

What the participants see is printed here. Addresses:

  LiveKit    {livekit} (API key {key}, secret {secret})
  metrics    {admin}/metrics
  log        {log}

Ctrl-C ends everything.
",
        kubeconfig = cluster.kubeconfig().display(),
        livekit = livekit.ws_url(),
        key = livekit.keys()[0].key,
        secret = livekit.keys()[0].secret,
        admin = operator.admin_url(),
        log = operator.log_path().display(),
    );
    let mut told = vec![0; guests.len()];
    loop {
        for (guest, told) in guests.iter().zip(&mut told) {
            let history = guest.history();
            let lines: Vec<_> = history.lines().collect();
            for line in lines.iter().skip(*told).filter(|line| is_worth_telling(line)) {
                println!("{:>10} {}", guest.info().identity, line.trim());
            }
            *told = lines.len();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Whether a line of a participant's history is about itself, and not only that it has another token.
fn is_worth_telling(line: &str) -> bool {
    [" joined ", " updated ", " Muted ", " Unpublished ", " Left "].iter().any(|what| line.contains(what))
}
