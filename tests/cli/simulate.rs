//! `usher simulate`.

use std::collections::HashMap;

use usher::{
    livekit::{Calls, Client, Config, Credentials},
    simulator::Scenario,
};
use usher_testkit::{WebhookRelay, eventually, scratch};

use crate::program::{Program, SOON};

/// A client of a simulated server that has just been started.
async fn client(program: &Program, secret: &str) -> Client {
    let started = program.wait_for(0, "it listens", |line| line["type"] == "listening").await;
    let _ = rustls_provider();
    let address = started["url"].as_str().unwrap().parse().unwrap();
    Client::new(Config::new(address, Credentials::new(started["apiKey"].as_str().unwrap(), secret))).unwrap()
}

fn rustls_provider() -> Result<(), std::sync::Arc<rustls::crypto::CryptoProvider>> {
    rustls::crypto::aws_lc_rs::default_provider().install_default()
}

#[tokio::test]
async fn participants_come_and_webhooks_go() {
    let relay = WebhookRelay::start();
    let url = relay.url("/webhooks/default/main");
    let args = ["--participants=12", "--rooms=3", "--joins-per-second=0", "--publishes=Camera", "--webhook-url", &url];
    let program = Program::usher(["simulate", "--listen", "127.0.0.1:0", "-o", "json"].iter().chain(&args));
    let client = client(&program, "secret").await;
    eventually(SOON, "everybody is there", async || {
        let mut seen = HashMap::new();
        for room in client.list_rooms(Vec::new()).await.map_err(|error| error.to_string())? {
            let people = client.list_participants(&room.name).await.map_err(|error| error.to_string())?;
            let publishing = people.iter().filter(|info| info.tracks.len() == 1).count();
            seen.insert(room.name, publishing);
        }
        if seen.len() == 3 && seen.values().all(|count| *count == 4) { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    eventually(SOON, "the webhooks have come", async || {
        let joined = relay.webhooks().iter().filter(|webhook| webhook.event == "participant_joined").count();
        if joined == 12 { Ok(()) } else { Err(format!("{joined}")) }
    })
    .await;
    let ended = program.terminate().await;
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.stdout.lines().last().unwrap().contains("\"participants\":12"), "{}", ended.stdout);
}

#[tokio::test]
async fn a_scenario_is_played_and_its_faults_happen() {
    let folder = scratch("scenario");
    let path = folder.path().join("scenario.yaml");
    let scenario = "
scripts:
- rooms: [hall]
  participants: 3
  roles: [{identity: guest-, attributes: {role: guest}, permission: {canPublish: false}}]
faults:
- {method: ListRooms, status: 503}
";
    std::fs::write(&path, scenario).unwrap();
    let args = ["simulate", "--listen", "127.0.0.1:0", "-o", "json", "--scenario", path.to_str().unwrap()];
    let program = Program::usher(args);
    let client = client(&program, "secret").await;
    let people = eventually(SOON, "everybody is there", async || match client.list_participants("hall").await {
        Ok(people) if people.len() == 3 => Ok(people),
        other => Err(format!("{other:?}")),
    })
    .await;
    for info in people {
        assert_eq!(info.attributes["role"], "guest");
        assert!(!info.permission.unwrap().can_publish);
    }
    let error = client.list_rooms(Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
}

#[tokio::test]
async fn it_ends_after_its_time() {
    let ended = Program::usher(["simulate", "--listen", "127.0.0.1:0", "--duration", "100ms"]).ended().await;
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("LiveKit, simulated, on http://127.0.0.1:"), "{}", ended.stdout);
}

/// The scenario of the demo is one that `usher simulate` plays.
#[test]
fn the_demo_s_scenario_is_a_scenario() {
    let scenario: Scenario = include_str!("../../src/cli/demo/scenario.yaml").parse().unwrap();
    assert!(scenario.scripts.len() >= 4);
}
