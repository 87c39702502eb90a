//! What the operator does when nothing happens, and when the server comes back.

use std::time::Duration;

use usher_testkit::TokenSpec;

use crate::stage::{AGAIN, SOON, Scene, Stage};

const QUIET: &str = "
- name: quiet
  set:
    permission: {canPublish: false}
    attributes: {seat: back}";

#[tokio::test]
async fn at_rest_ten_resyncs_write_nothing_and_only_list() {
    let stage = Stage::with(Scene { resync_interval: Some("5s"), ..Default::default() }).await;
    stage.policy("quiet", "hall-", QUIET).await;
    stage.policy("empty", "nowhere-", QUIET).await;
    let mut guests = Vec::new();
    for (room, identity) in [("hall-1", "anna"), ("hall-1", "bert"), ("hall-2", "carl")] {
        let guest = stage.join(&TokenSpec::new(room, identity)).await;
        guest.wait_for(SOON, |info| !info.permission.can_publish).await;
        guests.push(guest);
    }
    // Counts come at most every 30 s.
    stage.wait_summary("quiet", 3, 3).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let versions = async || {
        let mut versions = Vec::new();
        for (kind, name) in [("roompolicy", "quiet"), ("roompolicy", "empty"), ("livekitserver", "main")] {
            versions.push(stage.get(kind, name).await["metadata"]["resourceVersion"].clone());
        }
        versions
    };
    let before = (versions().await, stage.operator.metric("usher_status_writes_total").await);
    stage.proxy.clear();
    stage.proxy.wait_for("ListRooms", 10, Duration::from_secs(70)).await;
    let counts = stage.proxy.counts();
    assert!(counts["ListParticipants"] >= 16, "{counts:?}");
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["ListParticipants", "ListRooms"], "{counts:?}");
    assert_eq!((versions().await, stage.operator.metric("usher_status_writes_total").await), before);
    assert_eq!(guests.len(), 3);
}

#[tokio::test]
async fn after_a_restart_of_livekit_everybody_who_returns_is_enforced_again() {
    let stage = Stage::with(Scene { resync_interval: Some("5s"), ..Default::default() }).await;
    stage.policy("quiet", "hall-", QUIET).await;
    let mut guests = Vec::new();
    for identity in ["anna", "bert", "carl"] {
        let guest = stage.join(&TokenSpec::new("hall-1", identity)).await;
        guest.wait_for(SOON, |info| !info.permission.can_publish).await;
        guests.push(guest);
    }
    stage.livekit.restart().await;
    for (number, guest) in guests.iter().enumerate() {
        // The second comes back with the token that says what was enforced, the others with their own.
        if number == 1 { guest.reconnect_refreshed().await } else { guest.reconnect_first().await }
    }
    for guest in &guests {
        guest.wait_for(AGAIN, |info| !info.permission.can_publish && info.attributes.contains_key("seat")).await;
    }
    stage.wait("roompolicy", "quiet", "Ready").await;
}
