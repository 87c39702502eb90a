//! What pipelines and people see of it.

use usher_testkit::TokenSpec;

use crate::stage::{QUIET, SOON, Stage, condition};

#[tokio::test]
async fn wait_for_ready_returns_without_an_active_room() {
    let stage = Stage::set().await;
    stage.policy("quiet", "hall-", QUIET).await;
    let policy = stage.get("roompolicy", "quiet").await;
    assert_eq!(condition(&policy, "Ready"), Some(("True".to_owned(), "NoActiveRooms".to_owned())), "{policy:#}");
    assert_eq!(condition(&policy, "Reconciling"), None);
    assert_eq!(condition(&policy, "Stalled"), None);
    assert_eq!(policy["status"]["observedGeneration"], policy["metadata"]["generation"]);
}

#[tokio::test]
async fn wait_for_ready_returns_with_active_rooms_when_everybody_is_as_declared() {
    let stage = Stage::set().await;
    let anna = stage.join(&TokenSpec::new("hall-1", "anna")).await;
    let bert = stage.join(&TokenSpec::new("hall-2", "bert")).await;
    stage.policy("quiet", "hall-", QUIET).await;
    // Ready is said only when it is so: nothing more needs to be waited for.
    for (room, identity) in [("hall-1", "anna"), ("hall-2", "bert")] {
        let seen = stage.livekit.participant(room, identity).await.expect("it is there");
        assert_eq!(seen["permission"]["can_publish"], false, "{seen}");
    }
    let policy = stage.get("roompolicy", "quiet").await;
    assert_eq!(condition(&policy, "Ready"), Some(("True".to_owned(), "Enforced".to_owned())), "{policy:#}");
    stage.wait_summary("quiet", 2, 2).await;
    for guest in [anna, bert] {
        guest.wait_for(SOON, |info| !info.permission.can_publish).await;
    }
    let columns = stage.kubectl(&["get", "roompolicy", "quiet"]).await;
    for column in ["READY", "REASON", "MODE", "ROOMS", "PARTICIPANTS", "NONCOMPLIANT", "AGE", "Enforced"] {
        assert!(columns.contains(column), "{column}: {columns}");
    }
}

#[tokio::test]
async fn a_pattern_that_does_not_compile_is_named_in_the_condition() {
    let stage = Stage::set().await;
    let manifest = format!(
        "apiVersion: usher.dev/v1alpha1
kind: RoomPolicy
metadata: {{name: broken, namespace: {}}}
spec:
  serverRef: {{name: main}}
  rooms: [{{prefix: hall-}}]
  rules:
  - name: broken
    match:
      identities: [{{regex: 'a('}}]
    set:
      permission: {{canPublish: false}}
",
        stage.namespace
    );
    stage.cluster.apply(&manifest).await;
    stage.wait("roompolicy", "broken", "Stalled").await;
    let policy = stage.get("roompolicy", "broken").await;
    assert_eq!(condition(&policy, "Ready"), Some(("False".to_owned(), "Invalid".to_owned())), "{policy:#}");
    assert!(policy["status"].to_string().contains("spec.rules[0].match.identities[0].regex"), "{policy:#}");
}
