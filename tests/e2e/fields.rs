//! Name, metadata and attributes.

use usher_testkit::{LiveKitOptions, TokenSpec, eventually};

use crate::stage::{A_WHILE, AGAIN, SOON, Scene, Stage};

#[tokio::test]
async fn name_and_metadata_are_set_and_attributes_of_others_stay() {
    let stage = Stage::set().await;
    stage
        .policy(
            "guests",
            "hall-",
            "
- name: guests
  set:
    name: Guest
    metadata: '{\"role\":\"guest\"}'
    attributes: {seat: audience}
    removeAttributes: [raised-hand]",
        )
        .await;
    let spec = TokenSpec::new("hall-1", "guest").attribute("raised-hand", "yes").attribute("language", "en");
    let guest = stage.join(&spec).await;
    guest
        .wait_for(SOON, |info| {
            info.name == "Guest"
                && info.metadata == "{\"role\":\"guest\"}"
                && info.attributes.get("seat").is_some_and(|seat| seat == "audience")
                && !info.attributes.contains_key("raised-hand")
        })
        .await;
    assert_eq!(guest.info().attributes.get("language").map(String::as_str), Some("en"));
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(stage.proxy.writes().len(), 1, "one call for several changes");
}

#[tokio::test]
async fn a_bad_attribute_never_keeps_a_right_open() {
    let livekit = LiveKitOptions { max_attributes_size: Some(64), ..LiveKitOptions::default() };
    let stage = Stage::with(Scene { livekit, ..Scene::default() }).await;
    let long = "x".repeat(100);
    let policy = format!(
        "apiVersion: usher.dev/v1alpha1
kind: RoomPolicy
metadata: {{name: greedy, namespace: {}}}
spec:
  serverRef: {{name: main}}
  rooms: [{{prefix: hall-}}]
  rules:
  - name: greedy
    set:
      permission: {{canPublish: false}}
      name: Guest
      attributes: {{seat: {long}}}
",
        stage.namespace
    );
    stage.cluster.apply(&policy).await;
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    guest.wait_for(SOON, |info| !info.permission.can_publish && info.name == "Guest").await;
    eventually(AGAIN, "the failure in status", async || {
        let status = stage.get("roompolicy", "greedy").await["status"].take().to_string();
        if status.contains("EnforcementFailed") && status.contains("attributes.seat") { Ok(()) } else { Err(status) }
    })
    .await;
    // All together, then the permission, the name and the attributes; and no more.
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(stage.proxy.writes().len(), 4, "{:?}", stage.proxy.counts());
}
