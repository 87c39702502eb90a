//! What becomes of copies when their forward ends, or leads elsewhere, or its operator is not there.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use usher::simulator::{Effect, Fault};
use usher_testkit::eventually;

use super::{HOSTS, Stage, TO_BOTH, TO_ONE};
use crate::stage::{A_WHILE, AGAIN};

#[tokio::test]
async fn copies_stay_where_they_are_retained_or_wanted_by_another() {
    let stage = Stage::set(true).await;
    stage.join("stage", "anna", "host");
    stage.join("stage", "bert", "guest");
    stage.apply("ParticipantForward", "all", TO_ONE).await;
    stage.apply("ParticipantForward", "hosts", &format!("{HOSTS}, deletionPolicy: Retain")).await;
    stage.wait_for("overflow-1", &["[anna]", "[bert]"]).await;
    stage.wait_ready("pfwd", "hosts", "Enforced").await;
    assert_eq!(stage.get("pfwd", "hosts").await["metadata"]["finalizers"], Value::Null);
    // What the other wants stays.
    assert!(stage.delete("pfwd", "all").await < Duration::from_secs(60));
    stage.wait_for("overflow-1", &["[anna]"]).await;
    stage.delete("pfwd", "hosts").await;
    sleep(3 * A_WHILE).await;
    assert_eq!(stage.who("overflow-1"), ["[anna]"]);
}

#[tokio::test]
async fn a_forward_that_outlived_its_operator_is_ended_by_the_next() {
    let stage = Stage::set(false).await;
    stage.join("stage", "anna", "host");
    stage.apply("ParticipantForward", "f", TO_ONE).await;
    stage.wait_for("overflow-1", &["[anna]"]).await;
    stage.operator.kill().await;
    stage.kubectl(&["delete", "pfwd", "f", "--wait=false"]).await;
    sleep(A_WHILE).await;
    assert_eq!(stage.who("overflow-1"), ["[anna]"]);
    stage.operator.start().await;
    stage.wait_for("overflow-1", &[]).await;
    stage.kubectl(&["wait", "--for=delete", "pfwd/f", "--timeout=20s"]).await;
}

#[tokio::test]
async fn a_list_that_shrinks_while_no_operator_runs_loses_its_copies_when_the_next_begins() {
    let stage = Stage::set(false).await;
    stage.join("stage", "anna", "host");
    stage.apply("ParticipantForward", "f", TO_BOTH).await;
    for room in ["overflow-1", "overflow-2"] {
        stage.wait_for(room, &["[anna]"]).await;
    }
    let remembers = async |rooms: &[&str]| {
        eventually(AGAIN, &format!("the status remembers {rooms:?}"), async || {
            let seen = stage.get("pfwd", "f").await["status"]["destinationRooms"].take();
            if seen == json!(rooms) { Ok(()) } else { Err(seen.to_string()) }
        })
        .await;
    };
    remembers(&["overflow-1", "overflow-2"]).await;
    stage.operator.kill().await;
    stage.apply("ParticipantForward", "f", TO_ONE).await;
    assert_eq!(stage.who("overflow-2"), ["[anna]"]);
    stage.operator.start().await;
    stage.wait_for("overflow-2", &[]).await;
    assert_eq!(stage.who("overflow-1"), ["[anna]"], "{}", stage.operator.log());
    remembers(&["overflow-1"]).await;
    stage.wait_ready("pfwd", "f", "Enforced").await;
}

#[tokio::test]
async fn deletion_ends_within_a_minute_though_nobody_answers_who_could_end_the_copies() {
    let stage = Stage::set(false).await;
    stage.join("stage", "anna", "host");
    stage.apply("ParticipantForward", "stops", TO_ONE).await;
    stage.apply("ParticipantForward", "retains", &format!("{HOSTS}, deletionPolicy: Retain")).await;
    stage.wait_for("overflow-1", &["[anna]"]).await;
    for name in ["stops", "retains"] {
        stage.wait_ready("pfwd", name, "Enforced").await;
    }
    // Connections stand and say nothing.
    stage.server.simulator().add_fault(Fault::always(Effect::Hangs));
    for name in ["retains", "stops"] {
        let took = stage.delete("pfwd", name).await;
        assert!(took < Duration::from_secs(60), "{name}: {took:?}");
    }
    assert!(stage.operator.log().contains("deleted though copies may be left"));
    stage.server.simulator().heal();
    sleep(A_WHILE).await;
    assert_eq!(stage.who("overflow-1"), ["[anna]"]);
}
