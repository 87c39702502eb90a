//! Forwards and moves of who may govern some rooms.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;
use usher_testkit::{Operator, OperatorOptions, eventually};

use super::Stage;
use crate::stage::{A_WHILE, AGAIN, condition};

#[tokio::test]
async fn who_may_govern_only_some_rooms_forwards_only_between_those() {
    let stage = Stage::set(true).await;
    let other = stage.cluster.namespace("tenant").await;
    let operator = OperatorOptions::new(env!("CARGO_BIN_EXE_usher"), stage.cluster.kubeconfig());
    let operator = operator.namespace(&stage.namespace).namespace(&other);
    stage.operator.terminate(Duration::from_secs(5)).await.expect("it ends");
    let _both = Operator::start(operator).await;
    let access = format!(
        "{{\"spec\":{{\"access\":[{{\"name\":\"t\",\"namespaces\":{{\"names\":[\"{other}\"]}},\"rooms\":[{{\"prefix\":\
         \"t-\"}}]}}]}}}}"
    );
    stage.kubectl(&["patch", "lks", "main", "--type=merge", "-p", &access]).await;
    let forward = |name: &str, from: &str, to: &str| {
        format!(
            "apiVersion: usher.dev/v1alpha1\nkind: ParticipantForward\nmetadata: {{name: {name}, namespace: {other}}}\n\
             spec: {{serverRef: {{name: main, namespace: {}}}, source: {{rooms: [{{exact: {from}}}]}}, \
             destinationRooms: [{to}]}}\n",
            stage.namespace
        )
    };
    let movement = |name: &str, from: &str, to: &str| {
        let forward = forward(name, from, "TO").replace("destinationRooms: [TO]", &format!("destinationRoom: {to}"));
        forward.replace("ParticipantForward", "ParticipantMove")
    };
    stage.join("t-stage", "anna", "host");
    stage.join("stage", "bert", "host");
    stage.join("t-lobby", "carl", "host");
    stage.join("lobby", "dora", "host");
    for (name, from, to) in [
        ("good", "t-stage", "t-over"),
        ("to", "t-stage", "over"),
        ("to-one-of-two", "t-stage", "t-over-2, over"),
        ("from", "stage", "t-over"),
    ] {
        stage.cluster.apply(&forward(name, from, to)).await;
    }
    for (name, from, to) in [("good", "t-lobby", "t-hall"), ("to", "t-lobby", "hall"), ("from", "lobby", "t-hall")] {
        stage.cluster.apply(&movement(name, from, to)).await;
    }
    stage.wait_for("t-over", &["[anna]"]).await;
    stage.wait_for("t-hall", &["carl"]).await;
    for (kind, name, reason) in [
        ("pfwd", "good", "Enforced"),
        ("pfwd", "to", "NotPermitted"),
        ("pfwd", "to-one-of-two", "NotPermitted"),
        ("pfwd", "from", "NotPermitted"),
        ("pmov", "to", "NotPermitted"),
        ("pmov", "from", "NotPermitted"),
    ] {
        eventually(AGAIN, reason, async || {
            let text = stage.cluster.kubectl(&["get", kind, name, "-n", &other, "-o", "json"], None).await.ok();
            let object: Value = serde_json::from_str(&text).expect("JSON");
            match condition(&object, "Ready") {
                Some((_, why)) if why == reason => Ok(()),
                _ => Err(object["status"].to_string()),
            }
        })
        .await;
    }
    sleep(A_WHILE).await;
    assert_eq!((stage.who("t-over"), stage.who("over")), (vec!["[anna]".to_owned()], vec![]));
    assert_eq!((stage.who("t-over-2"), stage.who("lobby")), (vec![], vec!["dora".to_owned()]));
}
