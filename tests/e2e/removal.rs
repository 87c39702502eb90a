//! Whoever must not be there goes, and goes again.

use usher_testkit::{TokenSpec, eventually};

use crate::stage::{A_WHILE, SOON, Stage};

const BANNED: &str = "
- name: banned
  match:
    identities: [{exact: troll}]
  remove: {}";

#[tokio::test]
async fn who_comes_back_with_the_first_token_is_removed_again() {
    let stage = Stage::set().await;
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    let troll = stage.join(&TokenSpec::new("hall-1", "troll")).await;
    stage.policy("bans", "hall-", BANNED).await;
    troll.wait_removed(SOON).await;
    eventually(SOON, "the Event", async || {
        let events =
            stage.kubectl(&["get", "events", "-o", "jsonpath={range .items[*]}{.reason} {.note}{.message}{end}"]).await;
        if events.contains("Removed troll from room hall-1, by rule banned") { Ok(()) } else { Err(events) }
    })
    .await;
    for _ in 0..2 {
        // A removal may come before the client has noticed that it is connected.
        let _ = troll.try_reconnect("first").await;
        troll.wait_removed(SOON).await;
    }
    tokio::time::sleep(A_WHILE).await;
    assert!(guest.permission().can_publish, "{}", guest.history());
    let there = stage.livekit.participants("hall-1").await;
    assert_eq!(there.len(), 1, "{there:?}");
    assert_eq!(there[0]["identity"], "guest");
}

#[tokio::test]
async fn a_removed_participant_is_removed_again_with_its_refreshed_token() {
    let stage = Stage::set().await;
    let guest = stage.join(&TokenSpec::new("hall-1", "troll")).await;
    // Any change of its claims makes the server send it another token.
    stage.livekit.update_participant("hall-1", "troll", serde_json::json!({"name": "Somebody"})).await;
    guest.wait_for(SOON, |info| info.name == "Somebody").await;
    stage.policy("bans", "hall-", BANNED).await;
    guest.wait_removed(SOON).await;
    let _ = guest.try_reconnect("refreshed").await;
    guest.wait_removed(SOON).await;
}
