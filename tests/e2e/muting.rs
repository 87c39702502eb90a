//! Mute and unmute, seen by the participant.

use std::time::Duration;

use serde_json::json;
use usher_testkit::{LiveKitOptions, Participant, TokenSpec, eventually};

use crate::stage::{A_WHILE, AGAIN, SOON, Scene, Stage};

async fn stage(enable_remote_unmute: bool) -> Stage {
    let livekit = LiveKitOptions { enable_remote_unmute, ..LiveKitOptions::default() };
    Stage::with(Scene { resync_interval: Some("5s"), livekit, ..Scene::default() }).await
}

async fn speaker(stage: &Stage) -> (Participant, String) {
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    let track = guest.publish("audio", "MICROPHONE", "voice").await;
    guest.wait_published(&track, SOON).await;
    (guest, track)
}

async fn is_muted(stage: &Stage, track: &str) -> bool {
    let seen = stage.livekit.participant("hall-1", "guest").await.expect("it is there");
    let tracks = seen["tracks"].as_array().expect("tracks").clone();
    tracks.iter().find(|one| one["sid"] == track).expect("the track is there")["muted"] == true
}

#[tokio::test]
async fn mute_always_comes_back_after_the_participant_unmutes() {
    let stage = stage(false).await;
    stage.policy("quiet", "hall-", "\n- name: quiet\n  mute: {sources: [Microphone]}").await;
    let (guest, track) = speaker(&stage).await;
    guest.wait_muted(&track, true, SOON).await;
    let camera = guest.publish("video", "CAMERA", "camera").await;
    guest.wait_published(&camera, SOON).await;
    guest.mute(&track, false).await;
    eventually(AGAIN, "muted again", async || {
        if stage.proxy.count("MutePublishedTrack") >= 2 && is_muted(&stage, &track).await {
            Ok(())
        } else {
            Err("not yet")
        }
    })
    .await;
    assert!(!is_muted(&stage, &camera).await, "only what is named is muted");
}

#[tokio::test]
async fn once_per_track_leaves_those_alone_who_unmuted_themselves_also_after_a_restart() {
    let stage = stage(false).await;
    stage.policy("quiet", "hall-", "\n- name: quiet\n  mute: {sources: [Microphone], repeat: OncePerTrack}").await;
    let (guest, track) = speaker(&stage).await;
    guest.wait_muted(&track, true, SOON).await;
    guest.mute(&track, false).await;
    eventually(SOON, "unmuted", async || if is_muted(&stage, &track).await { Err("muted") } else { Ok(()) }).await;
    let resyncs = stage.proxy.count("ListParticipants");
    stage.proxy.wait_for("ListParticipants", resyncs + 2, AGAIN).await;
    assert!(!is_muted(&stage, &track).await);

    stage.operator.restart().await;
    let resyncs = stage.proxy.count("ListParticipants");
    stage.proxy.wait_for("ListParticipants", resyncs + 2, AGAIN).await;
    assert!(!is_muted(&stage, &track).await, "a first listing only learns");
    assert_eq!(stage.proxy.count("MutePublishedTrack"), 1);

    // A new track is another matter.
    let second = guest.publish("audio", "MICROPHONE", "second").await;
    guest.wait_muted(&second, true, SOON).await;
}

#[tokio::test]
async fn a_rule_that_arrives_mutes_once_what_is_there() {
    let stage = stage(false).await;
    let (guest, track) = speaker(&stage).await;
    stage.policy("quiet", "hall-", "\n- name: quiet\n  mute: {repeat: OncePerTrack}").await;
    guest.wait_muted(&track, true, SOON).await;
}

#[tokio::test]
async fn unmute_works_where_the_server_allows_it() {
    let stage = stage(true).await;
    let (guest, track) = speaker(&stage).await;
    guest.mute(&track, true).await;
    eventually(SOON, "muted", async || if is_muted(&stage, &track).await { Ok(()) } else { Err("unmuted") }).await;
    stage.policy("loud", "hall-", "\n- name: loud\n  mute: {sources: [Microphone], muted: false}").await;
    guest.wait_muted(&track, false, SOON).await;
}

#[tokio::test]
async fn unmute_is_reported_and_not_retried_where_the_server_forbids_it() {
    let stage = stage(false).await;
    let (guest, track) = speaker(&stage).await;
    guest.mute(&track, true).await;
    eventually(SOON, "muted", async || if is_muted(&stage, &track).await { Ok(()) } else { Err("unmuted") }).await;
    let policy = json!({
        "apiVersion": "usher.dev/v1alpha1", "kind": "RoomPolicy",
        "metadata": {"name": "loud", "namespace": stage.namespace},
        "spec": {
            "serverRef": {"name": "main"}, "rooms": [{"prefix": "hall-"}],
            "rules": [{"name": "loud", "mute": {"sources": ["Microphone"], "muted": false}}],
        },
    });
    stage.cluster.apply(&policy.to_string()).await;
    eventually(SOON, "the condition", async || {
        let policy = stage.get("roompolicy", "loud").await;
        if policy["status"].to_string().contains("RemoteUnmuteDisabled") {
            Ok(())
        } else {
            Err(policy["status"].to_string())
        }
    })
    .await;
    let resyncs = stage.proxy.count("ListParticipants");
    stage.proxy.wait_for("ListParticipants", resyncs + 2, AGAIN).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(stage.proxy.count("MutePublishedTrack"), 1, "asked once");
    eventually(Duration::from_secs(40), "the feature", async || {
        let server = stage.get("livekitserver", "main").await;
        if server["status"]["features"]["remoteUnmute"] == "Unsupported" {
            Ok(())
        } else {
            Err(server["status"].to_string())
        }
    })
    .await;
}
