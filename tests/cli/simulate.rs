//! `usher simulate`.

use std::collections::HashMap;

use serde_json::Value;
use usher::{
    livekit::{Calls, Client, Config, Credentials, ParticipantUpdate},
    simulator::Scenario,
};
use usher_testkit::{WebhookRelay, eventually, scratch};

use crate::program::{Program, SOON};

/// A client of a simulated server that has just been started.
pub(crate) async fn client(program: &Program, secret: &str) -> Client {
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
            let people = client.list_participants(&room).await.map_err(|error| error.to_string())?;
            let publishing = people.iter().filter(|info| info.tracks.len() == 1).count();
            seen.insert(room, publishing);
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

/// A scenario with these faults, in which so many come to each room.
fn scenario(rooms: &[(&str, u32)], faults: &str) -> String {
    let scripts = rooms.iter().map(|(room, count)| {
        format!("- {{rooms: [{room}], participants: {count}, roles: [{{identity: {room}-guest-}}]}}\n")
    });
    format!("scripts:\n{}faults: {faults}\n", scripts.collect::<String>())
}

#[tokio::test]
async fn an_edited_scenario_is_played_and_a_broken_one_is_not() {
    let folder = scratch("scenario");
    let path = folder.path().join("scenario.yaml");
    std::fs::write(&path, scenario(&[("hall", 2)], "[]")).unwrap();
    let args = ["simulate", "--listen", "127.0.0.1:0", "-o", "json", "--scenario", path.to_str().unwrap()];
    let program = Program::usher(args);
    let client = client(&program, "secret").await;
    let people = async |room: &str, count: usize| {
        eventually(SOON, room, async || match client.list_participants(room).await {
            Ok(people) if people.len() == count => Ok(people.into_iter().map(|info| info.sid).collect::<Vec<_>>()),
            other => Err(format!("{other:?}")),
        })
        .await
    };
    let first = people("hall", 2).await;

    std::fs::write(&path, scenario(&[("hall", 2), ("lobby", 3)], "[{method: ListRooms, status: 429}]")).unwrap();
    people("lobby", 3).await;
    program.wait_for(0, "the edit is told", |line| line["type"] == "scenario").await;
    assert_eq!(people("hall", 2).await, first, "whoever is there stays");
    assert_eq!(client.list_rooms(Vec::new()).await.unwrap_err().status(), Some(429));

    std::fs::write(&path, "scrpts: []\n").unwrap();
    let broken = program.wait_for(0, "the mistake is told", |line| line["type"] == "broken").await;
    assert!(broken["message"].as_str().unwrap().contains("scrpts"), "{broken}");
    assert_eq!(client.list_rooms(Vec::new()).await.unwrap_err().status(), Some(429), "what it said before goes on");

    std::fs::write(&path, scenario(&[("lobby", 3)], "[]")).unwrap();
    eventually(SOON, "nothing goes wrong any more", async || client.list_rooms(Vec::new()).await).await;
    assert_eq!(people("hall", 2).await, first, "a script that ends takes nobody with it");
}

#[tokio::test]
async fn calls_are_logged() {
    let folder = scratch("calls");
    let path = folder.path().join("calls.jsonl");
    let args = ["simulate", "--listen=127.0.0.1:0", "-o=json", "--participants=1", "--rooms=1", "--call-log"];
    let program = Program::usher(args.iter().copied().chain([path.to_str().unwrap()]));
    let client = client(&program, "secret").await;
    eventually(SOON, "somebody is there", async || client.get_participant("room-1", "guest-1").await).await;
    client.update_participant("room-1", "guest-1", ParticipantUpdate::default()).await.unwrap();
    client.remove_participant("room-1", "nobody", None).await.unwrap_err();
    assert!(program.terminate().await.status.success());
    let log = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [.., update, removal] = lines.as_slice() else { panic!("{log}") };
    assert_eq!((&update["method"], &update["done"]), (&"UpdateParticipant".into(), &true.into()));
    assert_eq!((&update["room"], &update["identity"]), (&"room-1".into(), &"guest-1".into()));
    assert!(update["sinceJoinMs"].as_f64().is_some_and(|millis| millis > 0.0), "{log}");
    assert_eq!((&removal["method"], &removal["done"]), (&"RemoveParticipant".into(), &false.into()));
    assert!(removal.get("sinceJoinMs").is_none(), "{log}");
    let time = |line: &Value| line["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(time(update) <= time(removal), "{log}");
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
