//! Self-asserted data never works in a participant's own favour; and what happens when others interfere.

use std::time::Duration;

use serde_json::json;
use usher_testkit::{TokenSpec, eventually};

use crate::stage::{A_WHILE, AGAIN, SOON, Scene, Stage};

const HOSTS: &str = "
- name: hosts
  match:
    attributes: [{key: role, values: [{exact: host}]}]
  set:
    permission: {canPublish: true}
- name: audience
  except:
  - attributes: [{key: role, values: [{exact: host}]}]
  set:
    permission: {canPublish: false}";

#[tokio::test]
async fn a_participant_cannot_promote_itself() {
    let stage = Stage::with(Scene { resync_interval: Some("5s"), ..Default::default() }).await;
    stage.policy("roles", "hall-", HOSTS).await;
    let guest = stage.join(&TokenSpec::new("hall-1", "guest").grant("canUpdateOwnMetadata", true)).await;
    guest.wait_for(SOON, |info| !info.permission.can_publish).await;
    guest.set_attributes([("role", "host")]).await.expect("it has the right");
    guest.wait_for(SOON, |info| info.attributes.contains_key("role")).await;
    let resyncs = stage.proxy.count("ListParticipants");
    stage.proxy.wait_for("ListParticipants", resyncs + 2, AGAIN).await;
    tokio::time::sleep(A_WHILE).await;
    assert!(!guest.permission().can_publish, "{}", guest.history());

    // Who got the role from elsewhere and cannot write it is a host.
    let host = stage.join(&TokenSpec::new("hall-1", "host").attribute("role", "host").grant("canPublish", false)).await;
    host.wait_for(SOON, |info| info.permission.can_publish).await;
}

#[tokio::test]
async fn a_participant_cannot_admit_itself() {
    let stage = Stage::with(Scene { resync_interval: Some("5s"), ..Default::default() }).await;
    let rules = "
- name: admitted
  match:
    attributes: [{key: admitted, values: [{exact: 'yes'}]}]
  keep: true
- name: others
  match:
    identities: [{glob: '*'}]
    joinedFor: 8s
  remove: {}";
    stage.policy("door", "hall-", rules).await;
    let admitted = stage.join(&TokenSpec::new("hall-1", "admitted").attribute("admitted", "yes")).await;
    let guest = stage.join(&TokenSpec::new("hall-1", "guest").grant("canUpdateOwnMetadata", true)).await;
    guest.set_attributes([("admitted", "yes")]).await.expect("it has the right");
    guest.wait_removed(AGAIN).await;
    assert_eq!(admitted.info().attributes["admitted"], "yes");
    tokio::time::sleep(A_WHILE).await;
    assert!(stage.livekit.participant("hall-1", "admitted").await.is_some(), "{}", admitted.history());
}

#[tokio::test]
async fn with_trust_in_self_updates_it_can() {
    let stage = Stage::with(Scene { resync_interval: Some("5s"), ..Default::default() }).await;
    stage.policy("roles", "hall-", &HOSTS.replace("  set:", "  trustSelfUpdates: true\n  set:")).await;
    let guest = stage.join(&TokenSpec::new("hall-1", "guest").grant("canUpdateOwnMetadata", true)).await;
    guest.wait_for(SOON, |info| !info.permission.can_publish).await;
    guest.set_attributes([("role", "host")]).await.expect("it has the right");
    guest.wait_for(AGAIN, |info| info.permission.can_publish).await;
}

/// Lets another admin undo what the operator does, as soon as it has, for a while; how often the operator put it right.
async fn fight(
    stage: &Stage,
    undo: serde_json::Value,
    is_ours: impl Fn(&usher_testkit::Info) -> bool,
    rounds: usize,
) -> usize {
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    let mut corrected = 0;
    for _ in 0..rounds {
        let ours = tokio::time::timeout(Duration::from_secs(8), async {
            while !is_ours(&guest.info()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        if ours.await.is_err() {
            break;
        }
        corrected += 1;
        stage.livekit.update_participant("hall-1", "guest", undo.clone()).await;
        let undone = || !is_ours(&guest.info());
        eventually(SOON, "undone", async || if undone() { Ok(()) } else { Err("not yet") }).await;
        // A forced resync finds it at once.
        let now = jiff::Timestamp::now().to_string();
        let annotation = format!("usher.dev/reconcile-requested-at={now}");
        stage.kubectl(&["annotate", "--overwrite", "roompolicy", "ours", &annotation]).await;
    }
    corrected
}

#[tokio::test]
async fn two_admins_who_fight_over_an_attribute_are_damped_and_reported() {
    let stage = Stage::set().await;
    stage.policy("ours", "hall-", "\n- name: ours\n  set: {attributes: {seat: ours}}").await;
    let is_ours = |info: &usher_testkit::Info| info.attributes.get("seat").is_some_and(|seat| seat == "ours");
    let corrected = fight(&stage, json!({"attributes": {"seat": "theirs"}}), is_ours, 12).await;
    assert_eq!(corrected, 5, "after five corrections it pauses");
    eventually(AGAIN, "the sample", async || {
        let status = stage.get("roompolicy", "ours").await["status"].take().to_string();
        if status.contains("attributes.seat") { Ok(()) } else { Err(status) }
    })
    .await;
}

#[tokio::test]
async fn a_narrowed_right_is_put_back_every_time() {
    let stage = Stage::set().await;
    stage.policy("ours", "hall-", "\n- name: ours\n  set:\n    permission: {canPublish: false}").await;
    let undo = json!({"permission": {"can_subscribe": true, "can_publish": true, "can_publish_data": true}});
    let corrected = fight(&stage, undo, |info| !info.permission.can_publish, 12).await;
    assert_eq!(corrected, 12);
}
