//! What may be published, seen by the participant that publishes it.

use std::time::Duration;

use usher_testkit::TokenSpec;

use crate::stage::{A_WHILE, SOON, Stage};

/// Rules that leave these sources.
fn only(sources: &str) -> String {
    format!("\n- name: sources\n  set:\n    permission: {{canPublishSources: [{sources}]}}")
}

#[tokio::test]
async fn revoking_one_source_unpublishes_that_track_and_no_other() {
    let stage = Stage::set().await;
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    let camera = guest.publish("video", "CAMERA", "camera").await;
    let microphone = guest.publish("audio", "MICROPHONE", "microphone").await;
    for track in [&camera, &microphone] {
        guest.wait_published(track, SOON).await;
    }
    stage.policy("sources", "hall-", &only("Camera")).await;
    guest.wait_unpublished(&microphone, SOON).await;
    assert_eq!(guest.try_publish("audio", "MICROPHONE", "again").await, Err("NOT_ALLOWED".to_owned()));
    tokio::time::sleep(A_WHILE).await;
    assert!(guest.info().track(&camera).is_some(), "{}", guest.history());

    // canPublish alone gives every source back.
    stage.policy("sources", "hall-", "\n- name: sources\n  set:\n    permission: {canPublish: true}").await;
    guest.wait_for(SOON, |info| info.permission.can_publish && info.permission.can_publish_sources.is_empty()).await;
    let screen = guest.publish("video", "SCREEN_SHARE", "screen").await;
    guest.wait_published(&screen, SOON).await;
}

#[tokio::test]
async fn what_claims_to_be_something_else_is_unpublished_and_the_third_time_for_good() {
    let stage = Stage::set().await;
    stage.policy("sources", "hall-", &only("Camera")).await;
    let honest = stage.join(&TokenSpec::new("hall-1", "honest")).await;
    let liar = stage.join(&TokenSpec::new("hall-1", "liar")).await;
    for guest in [&honest, &liar] {
        guest.wait_for(SOON, |info| info.permission.can_publish_sources == ["CAMERA"]).await;
    }
    let camera = honest.publish("video", "CAMERA", "camera").await;
    honest.wait_published(&camera, SOON).await;
    for time in 1..=3 {
        let voice = liar.publish("audio", "CAMERA", "not a camera").await;
        let webhook = stage
            .relay
            .wait_for(SOON, |webhook| {
                webhook.event == "track_published" && webhook.json["track"]["sid"] == voice.as_str()
            })
            .await;
        let at = liar.wait_unpublished(&voice, SOON).await;
        println!("unpublished {:#} after its webhook", at.duration_since(webhook.call.arrived));
        if time < 3 {
            liar.wait_for(SOON, |info| info.permission.can_publish_sources == ["CAMERA"]).await;
        }
    }
    liar.wait_for(SOON, |info| !info.permission.can_publish).await;
    tokio::time::sleep(A_WHILE).await;
    assert!(!liar.permission().can_publish, "{}", liar.history());
    assert!(honest.info().track(&camera).is_some(), "an honest camera stays: {}", honest.history());
    usher_testkit::eventually(Duration::from_secs(45), "the sample", async || {
        let samples = stage.get("roompolicy", "sources").await["status"]["samples"].take();
        let named = samples.as_array().is_some_and(|samples| {
            samples
                .iter()
                .any(|sample| sample["identity"] == "liar" && sample["message"].to_string().contains("withdrawn"))
        });
        if named { Ok(()) } else { Err(samples.to_string()) }
    })
    .await;
    // Another session begins with a clean slate.
    liar.reconnect_first().await;
    liar.wait_for(SOON, |info| info.permission.can_publish_sources == ["CAMERA"]).await;
}
