//! `usher run --from`: forwards and moves, and what becomes of copies when their forward is no more.

use usher::simulator::{Cloud, Edition};

use crate::manifests::{Stage, object};

const FORWARD: &str = "source: {rooms: [{exact: stage}]}, destinationRooms: [overflow]";
const MOVE: &str = "source: {rooms: [{exact: lobby}]}, destinationRoom: hall";

#[tokio::test]
async fn copies_end_with_the_file_of_their_forward() {
    let files = [("forward.yaml", object("ParticipantForward", "f", FORWARD))];
    let stage = Stage::set(Edition::Cloud(Cloud::default()), &[("forward.yaml", &files[0].1)]).await;
    stage.join("stage", "anna");
    stage.wait_for_people("overflow", &["anna"]).await;
    let told = |did: &'static str| move |line: &serde_json::Value| line["type"] == "deed" && line["did"] == did;
    let line = stage.operator.wait_for(0, "the forward is told", told("forwarded")).await;
    assert_eq!(
        (&line["identity"], &line["to"], &line["by"][0]),
        (&"anna".into(), &"overflow".into(), &"default/f".into())
    );
    stage.remove("forward.yaml");
    stage.wait_for_people("overflow", &[]).await;
    stage.operator.wait_for(0, "the end of the copy is told", told("retired")).await;
    stage.operator.wait_for(0, "the forward is gone", |line| line["type"] == "gone" && line["name"] == "f").await;
    // Who is forwarded again is so by a forward of the same name.
    stage.write("forward.yaml", &files[0].1);
    stage.wait_for_people("overflow", &["anna"]).await;
}

#[tokio::test]
async fn copies_outlive_a_forward_that_retains_them() {
    let text = object("ParticipantForward", "f", &format!("{FORWARD}, deletionPolicy: Retain"));
    let admit = object("ParticipantMove", "m", MOVE);
    let stage = Stage::set(Edition::Cloud(Cloud::default()), &[("forward.yaml", &text), ("move.yaml", &admit)]).await;
    stage.join("stage", "anna");
    stage.wait_for_people("overflow", &["anna"]).await;
    stage.remove("forward.yaml");
    stage.operator.wait_for(0, "the forward is gone", |line| line["type"] == "gone" && line["name"] == "f").await;
    // What is asked for later is done later: by then the copy would have been ended.
    stage.join("lobby", "bert");
    stage.wait_for_people("hall", &["bert"]).await;
    stage.wait_for_people("overflow", &["anna"]).await;
}
