//! The LiveKit server, the API server or both go away and come back. Nobody is removed or changed by mistake, who joins
//! meanwhile is enforced where LiveKit is up, and all converges without a restart of the operator.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};
use usher_testkit::{Participant, TokenSpec};

use crate::stage::{AGAIN, HOUSE, SOON, Scene, Stage, condition};

const SEATED: &str = "
- name: banned
  match:
    identities: [{exact: troll}]
  remove: {}
- name: seated
  set:
    permission: {canPublish: false}
    attributes: {seat: back}";
const RESYNC: &str = "5s";

async fn stage() -> Stage {
    let scene = Scene { resync_interval: Some(RESYNC), own_cluster: true, ..Scene::default() };
    let stage = Stage::with(scene).await;
    stage.policy("house", "hall-", HOUSE).await;
    stage
}

async fn quiet_guest(stage: &Stage, identity: &str) -> Participant {
    let guest = stage.join(&TokenSpec::new("hall-1", identity)).await;
    guest.wait_for(SOON, |info| !info.permission.can_publish).await;
    guest
}

/// The troll is removed, and comes in again, and is removed.
async fn removes_the_troll(stage: &Stage) {
    for _ in 0..2 {
        stage.is_removed_within(AGAIN, &TokenSpec::new("hall-1", "troll")).await;
    }
}

/// Nobody but the troll was removed, and nothing was sent that is not declared.
fn nothing_by_mistake(stage: &Stage) {
    for call in stage.proxy.writes() {
        let body = String::from_utf8_lossy(&call.body).into_owned();
        assert!(call.method != "RemoveParticipant" || body.contains("troll"), "{call:?}");
    }
}

/// What was written of objects: each with the reason of its condition Ready, as a part of the operator's log tells.
fn written(log: &str) -> Vec<(String, String)> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let writes = lines.filter(|line| line["message"] == "writing status");
    writes.map(|line| (text(&line["object"]), text(&line["reason"]))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Guests join one after the other until the moment; each is enforced by its webhook.
async fn joins_until(stage: &Stage, hint: &str, end: Instant) -> Vec<Participant> {
    let mut guests = Vec::new();
    while Instant::now() < end {
        guests.push(quiet_guest(stage, &format!("{hint}-{}", guests.len())).await);
        sleep(Duration::from_secs(1)).await;
    }
    guests
}

#[tokio::test]
async fn livekit_is_away_while_participants_are_removed_and_policies_change() {
    let stage = stage().await;
    let anna = quiet_guest(&stage, "anna").await;
    let others: Vec<_> = (0..10).map(|number| TokenSpec::new("hall-1", &format!("goes-{number}"))).collect();
    let others = stage.participants.join_all(&stage.livekit, &others).await;
    for other in &others {
        other.wait_for(SOON, |info| !info.permission.can_publish).await;
    }
    // Removals begin, and the server dies among them.
    stage.policy_unseen("out", "hall-", "\n- {name: out, match: {identities: [{prefix: goes-}]}, remove: {}}").await;
    stage.proxy.wait_for("RemoveParticipant", 1, SOON).await;
    stage.livekit.kill().await;
    let back = Instant::now() + Duration::from_secs(20);
    for (kind, name) in [("livekitserver", "main"), ("roompolicy", "house"), ("roompolicy", "out")] {
        stage.wait_ready(kind, name, "False", "ServerUnreachable").await;
        let object = stage.get(kind, name).await;
        assert_eq!(condition(&object, "Stalled"), None, "{object:#}");
        assert!(condition(&object, "Reconciling").is_some(), "{object:#}");
    }
    stage.policy_unseen("house", "hall-", SEATED).await;
    stage.kubectl(&["delete", "roompolicy", "out"]).await;
    sleep_until(back).await;
    stage.livekit.start().await;

    // Clients come back by themselves; this one does so by its program.
    drop((anna, others));
    let anna = stage.join(&TokenSpec::new("hall-1", "anna")).await;
    anna.wait_for(AGAIN, |info| {
        !info.permission.can_publish && info.attributes.get("seat").is_some_and(|seat| seat == "back")
    })
    .await;
    let stays = stage.join(&TokenSpec::new("hall-1", "goes-0")).await;
    stays.wait_for(AGAIN, |info| info.attributes.contains_key("seat")).await;
    removes_the_troll(&stage).await;
    for (kind, name) in [("livekitserver", "main"), ("roompolicy", "house")] {
        stage.wait_ready(kind, name, "True", "Enforced").await;
    }
    stays.assert_unchanged_for(Duration::from_secs(6)).await;
    assert!(stage.operator.is_running());
}

/// The API server dies, people join meanwhile, it comes back; then objects count again.
async fn without_the_api_server(away: Duration) {
    let stage = stage().await;
    let anna = quiet_guest(&stage, "anna").await;
    stage.wait_ready("roompolicy", "house", "True", "Enforced").await;
    let before = stage.operator.log().len();

    stage.cluster.api_server().kill().await;
    let guests = joins_until(&stage, "guest", Instant::now() + away).await;
    assert!(guests.len() >= 5, "{}", guests.len());
    removes_the_troll(&stage).await;
    stage.cluster.api_server().start().await;

    stage.policy_unseen("house", "hall-", SEATED).await;
    for guest in guests.iter().chain([&anna]) {
        guest.wait_for(AGAIN, |info| info.attributes.contains_key("seat") && !info.permission.can_publish).await;
    }
    stage.wait_summary("house", guests.len() as u64 + 1, guests.len() as u64 + 1).await;
    stage.wait("roompolicy", "house", "Ready").await;
    let policy = stage.get("roompolicy", "house").await;
    assert_eq!(policy["status"]["observedGeneration"], policy["metadata"]["generation"]);
    // The first look after the change may take so long that it is told; beside that nothing was wrong with anything.
    let written = written(&stage.operator.log()[before..]);
    assert!(!written.is_empty());
    for (object, reason) in &written {
        let looks = reason == "Progressing" && object.starts_with("RoomPolicy ");
        assert!(looks || reason == "Enforced", "{written:?}");
    }
    nothing_by_mistake(&stage);
    assert!(stage.operator.is_running());
}

#[tokio::test]
async fn people_join_while_the_api_server_is_away_for_twenty_seconds() {
    without_the_api_server(Duration::from_secs(20)).await;
}

#[tokio::test]
async fn people_join_while_the_api_server_is_away_for_ninety_seconds() {
    without_the_api_server(Duration::from_secs(90)).await;
}

#[tokio::test]
async fn both_are_away_at_once() {
    let stage = stage().await;
    let anna = quiet_guest(&stage, "anna").await;
    stage.livekit.kill().await;
    stage.cluster.api_server().kill().await;
    drop(anna);
    sleep(Duration::from_secs(20)).await;

    // LiveKit first: what was known of the policies is enforced.
    stage.livekit.start().await;
    let anna = stage.join(&TokenSpec::new("hall-1", "anna")).await;
    anna.wait_for(AGAIN, |info| !info.permission.can_publish).await;
    removes_the_troll(&stage).await;

    stage.cluster.api_server().start().await;
    stage.policy_unseen("house", "hall-", SEATED).await;
    anna.wait_for(AGAIN, |info| info.attributes.contains_key("seat")).await;
    for (kind, name) in [("livekitserver", "main"), ("roompolicy", "house")] {
        stage.wait_ready(kind, name, "True", "Enforced").await;
    }
    nothing_by_mistake(&stage);
    assert!(stage.operator.is_running());
}

#[tokio::test]
async fn etcd_is_restarted() {
    let stage = stage().await;
    let anna = quiet_guest(&stage, "anna").await;
    stage.cluster.etcd().kill().await;
    let guests = joins_until(&stage, "guest", Instant::now() + Duration::from_secs(8)).await;
    stage.cluster.etcd().start().await;
    stage.cluster.api_server().ready().await;
    stage.policy_unseen("house", "hall-", SEATED).await;
    for guest in guests.iter().chain([&anna]) {
        guest.wait_for(AGAIN, |info| info.attributes.contains_key("seat") && !info.permission.can_publish).await;
    }
    removes_the_troll(&stage).await;
    stage.wait_ready("roompolicy", "house", "True", "Enforced").await;
    nothing_by_mistake(&stage);
}
