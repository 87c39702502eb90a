//! What LiveKit Cloud alone can do: on a simulated one, and what becomes of it on the open-source server.

use usher::{
    livekit::{Calls, ParticipantUpdate},
    simulator::Join,
};
use usher_testkit::{TokenSpec, eventually};

use super::{commands, follow, may_publish};
use crate::{
    cloud,
    stage::{A_WHILE, AGAIN, SOON, Stage},
};

async fn in_the_cloud(name: &str) -> cloud::Stage {
    let stage = cloud::Stage::set(true).await;
    follow(stage.cluster, &stage.namespace, &commands(name)[0]).await;
    stage
}

/// What a participant of the simulated cloud may do.
async fn wait_permission(stage: &cloud::Stage, room: &str, identity: &str, publish: bool, subscribe: bool) {
    eventually(AGAIN, &format!("{identity} in {room}: {publish} {subscribe}"), async || {
        let seen = stage.server.simulator().participant(room, identity).ok_or("gone")?;
        let permission = seen.permission.unwrap_or_default();
        let is = (permission.can_publish, permission.can_subscribe) == (publish, subscribe);
        if is { Ok(()) } else { Err("not yet") }
    })
    .await;
}

#[tokio::test]
async fn overflow() {
    let stage = in_the_cloud("overflow").await;
    stage.join("main-stage", "speaker-anna", "");
    stage.join("main-stage", "bert", "");
    stage.join("overflow-1", "carl", "");
    stage.wait_for("overflow-1", &["carl", "[speaker-anna]"]).await;
    stage.wait_for("overflow-2", &["[speaker-anna]"]).await;
    wait_permission(&stage, "overflow-1", "carl", false, true).await;
    stage.leave("main-stage", "speaker-anna");
    stage.wait_for("overflow-1", &["carl"]).await;
    stage.wait_ready("pfwd", "overflow", "Enforced").await;
}

#[tokio::test]
async fn lobby() {
    let stage = in_the_cloud("lobby").await;
    stage.join("lobby", "anna", "");
    stage.join("lobby", "bert", "");
    wait_permission(&stage, "lobby", "anna", false, false).await;
    // Its own word does not open the door.
    let mut clever = Join::new("lobby", "mallory").permission(|permission| permission.can_update_metadata = true);
    clever = clever.attribute("admitted", "true");
    stage.server.simulator().join(clever).expect("there is room");
    let admitted = ParticipantUpdate {
        attributes: [("admitted".to_owned(), "true".to_owned())].into(),
        ..ParticipantUpdate::default()
    };
    let application = stage.server.simulator().direct(SOON);
    application.update_participant("lobby", "anna", admitted).await.expect("it is there");
    stage.wait_for("hall", &["anna"]).await;
    wait_permission(&stage, "hall", "anna", true, true).await;
    wait_permission(&stage, "lobby", "mallory", false, false).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(stage.who("lobby"), ["bert", "mallory"]);
}

#[tokio::test]
async fn both_on_the_open_source_server() {
    let stage = Stage::for_example("overflow").await;
    stage.follow("lobby", 0).await;
    let speaker = stage.join(&TokenSpec::new("main-stage", "speaker-anna")).await;
    let waiting = stage.join(&TokenSpec::new("lobby", "bert").attribute("admitted", "true")).await;
    let watching = stage.join(&TokenSpec::new("overflow-1", "carl")).await;
    for (kind, name) in [("pfwd", "overflow"), ("pmov", "admitted")] {
        stage.wait(kind, name, "Stalled").await;
        stage.wait_ready(kind, name, "False", "UnsupportedByServer").await;
    }
    // The policies of the same folders do their work.
    may_publish(&watching, &[]).await;
    waiting.wait_for(AGAIN, |info| !info.permission.can_subscribe).await;
    speaker.assert_unchanged_for(A_WHILE).await;
}
