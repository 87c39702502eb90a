//! Objects that are accepted by the API server and that the operator cannot use.

use std::time::Duration;

use usher_testkit::{TokenSpec, eventually};

use crate::stage::{AGAIN, HOUSE, QUIET, SOON, Stage, condition};

const BROKEN: &str = "
- name: quiet
  match:
    identities: [{regex: 'a('}]
  set:
    permission: {canPublish: true}";

#[tokio::test]
async fn what_an_update_breaks_keeps_its_last_valid_meaning() {
    let stage = Stage::set().await;
    stage.policy("quiet", "hall-", QUIET).await;
    stage.policy_unseen("quiet", "hall-", BROKEN).await;
    stage.wait_ready("roompolicy", "quiet", "False", "Invalid").await;
    let policy = stage.get("roompolicy", "quiet").await;
    assert!(condition(&policy, "Stalled").is_some(), "{policy:#}");
    let status = policy["status"].to_string();
    assert!(status.contains("spec.rules[0].match.identities[0].regex"), "{status}");
    assert!(status.contains("generation 1 stays in force"), "{status}");
    assert_eq!(policy["status"]["observedGeneration"], policy["metadata"]["generation"]);
    let anna = stage.join(&TokenSpec::new("hall-1", "anna")).await;
    anna.wait_for(SOON, |info| !info.permission.can_publish).await;

    // Put right, it means what it says now; deleted, nothing more.
    stage.policy("quiet", "hall-", &QUIET.replace("canPublish", "canSubscribe")).await;
    anna.wait_for(SOON, |info| !info.permission.can_subscribe).await;
    stage.kubectl(&["delete", "roompolicy", "quiet"]).await;
    let bert = stage.join(&TokenSpec::new("hall-1", "bert")).await;
    bert.assert_unchanged_for(Duration::from_secs(2)).await;
    assert!(bert.permission().can_publish && bert.permission().can_subscribe);
}

/// Who knows whom the broken policy would keep: until it is put right, what stands lower removes nobody. All else goes
/// on.
#[tokio::test]
async fn what_is_broken_from_the_start_holds_back_removals_and_nothing_else() {
    let stage = Stage::set().await;
    stage.operator.kill().await;
    stage.policy_unseen("a-broken", "hall-", BROKEN).await;
    stage.policy_unseen("house", "hall-", HOUSE).await;
    stage.operator.start().await;
    stage.wait_ready("roompolicy", "a-broken", "False", "Invalid").await;
    let troll = stage.join(&TokenSpec::new("hall-1", "troll")).await;
    troll.wait_for(SOON, |info| !info.permission.can_publish).await;
    troll.assert_unchanged_for(Duration::from_secs(3)).await;
    let sample = eventually(AGAIN, "a sample that says why", async || {
        let policy = stage.get("roompolicy", "house").await;
        match policy["status"]["samples"].as_array().and_then(|samples| samples.first()) {
            Some(sample) => Ok(sample.to_string()),
            None => Err(policy["status"].to_string()),
        }
    })
    .await;
    assert!(sample.contains("troll") && sample.contains("of higher place is invalid"), "{sample}");

    stage.policy("a-broken", "hall-", &BROKEN.replace("'a('", "'a'")).await;
    troll.wait_removed(SOON).await;
}

#[tokio::test]
async fn what_is_broken_and_stands_lower_holds_back_nothing() {
    let stage = Stage::set().await;
    stage.policy("house", "hall-", HOUSE).await;
    stage.policy_unseen("z-broken", "hall-", BROKEN).await;
    stage.wait_ready("roompolicy", "z-broken", "False", "Invalid").await;
    stage.operator.restart().await;
    // Whoever starts lists the rooms, so it may be shown out before it is all in.
    stage.is_removed(&TokenSpec::new("hall-1", "troll")).await;
}
