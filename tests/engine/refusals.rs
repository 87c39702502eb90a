//! What the server will not do.

use std::time::Duration;

use usher::api::Feature;

use crate::support::{LiveKit, MUTED, Stage, count, guest, hall, microphone, refused, speaker};

const BOTH: &str = "- {name: both, set: {permission: {canPublish: false}, attributes: {seat: front}, name: Guest}}";
const UNMUTED: &str = "- {name: unmuted, mute: {sources: [Microphone], muted: false, repeat: OncePerTrack}}";

#[tokio::test(start_paused = true)]
async fn a_refused_update_goes_in_parts_the_permission_first() {
    let mut stage = Stage::with(BOTH).await;
    stage.livekit.fail("update hall/anna permission+name+attributes", 1, refused());
    stage.livekit.fail("update hall/anna attributes", 1, refused());
    stage.join("hall", guest("anna")).await;
    let expected = ["permission+name+attributes", "permission", "name", "attributes"];
    assert_eq!(stage.livekit.said(), expected.map(|parts| format!("update hall/anna {parts}")));
    let told = stage.tells(|policy| policy.counts.failed == 1).await;
    assert!(told.failure.unwrap().contains("invalid_argument"));
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_is_not_sent_again_for_a_while() {
    let mut stage = Stage::with("- {name: r, set: {attributes: {seat: front}}}").await;
    stage.livekit.fail("update hall/anna", 1, refused());
    stage.join("hall", guest("anna")).await;
    stage.pass_secs(280).await;
    assert_eq!(count(&stage.livekit.said(), "update"), 1);
    stage.pass_secs(30).await;
    assert_eq!(count(&stage.livekit.said(), "update"), 1);
    stage.tells(|policy| policy.counts.compliant == 1).await;
}

#[tokio::test(start_paused = true)]
async fn another_wish_is_sent_though_the_last_was_refused() {
    let mut stage = Stage::with("- {name: r, set: {attributes: {seat: front}}}").await;
    stage.livekit.fail("update hall/anna", 1, refused());
    stage.join("hall", guest("anna")).await;
    stage.livekit.said();
    stage.rule("- {name: r, set: {attributes: {seat: back}}}").await;
    assert_eq!(stage.livekit.writes(), ["update hall/anna attributes"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_mute_is_told_and_no_loop() {
    let livekit = hall([speaker("anna")]);
    livekit.fail("mute", 1000, refused());
    let mut stage = Stage::at(livekit, MUTED).await;
    let told = stage.tells(|policy| policy.counts.failed == 1).await;
    assert!(told.settled && told.failure.is_some());
    stage.pass_secs(280).await;
    assert_eq!(count(&stage.livekit.said(), "mute"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_does_not_stand_in_the_way_of_the_rest() {
    let mut anna = speaker("anna");
    anna.tracks.extend([microphone(), microphone()]);
    let tracks: Vec<_> = anna.tracks.iter().map(|track| track.sid.clone()).collect();
    let livekit = hall([anna]);
    for track in &tracks[..2] {
        livekit.fail(&format!("mute hall/anna {track}"), 1000, refused());
    }
    let rules = format!("- {{name: r, match: {{attributes: [{{key: banned}}]}}, remove: {{}}}}\n{MUTED}");
    let mut stage = Stage::at(livekit, &rules).await;
    assert_eq!(count(&stage.livekit.writes(), "mute"), 3);
    stage.tells(|policy| policy.settled && policy.counts.failed == 1).await;
    stage.pass_secs(10).await;
    stage.livekit.change("hall", "anna", |anna| drop(anna.attributes.insert("banned".into(), "yes".into())));
    stage.pass_secs(34).await;
    assert_eq!(stage.livekit.writes(), ["remove hall/anna"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_unmute_is_asked_once() {
    let mut muted: Vec<_> = ["anna", "bert", "carl"].map(speaker).into();
    muted.iter_mut().for_each(|participant| participant.tracks[0].muted = true);
    let mut stage = Stage::at(hall(muted), "- {name: seat, set: {attributes: {seat: front}}}").await;
    stage.livekit.set_latency(Duration::from_millis(1));
    stage.livekit.said();
    stage.view.limits.max_in_flight = 1;
    stage.show();
    stage.rule(UNMUTED).await;
    stage.pass_secs(100).await;
    assert_eq!(count(&stage.livekit.said(), "unmute"), 1);
    let told = stage.tells(|policy| policy.counts.failed == 3).await;
    assert!(told.remote_unmute_disabled && told.settled);
    assert_eq!(stage.latest().features.remote_unmute, Feature::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_unmutes_is_known_to() {
    let livekit = LiveKit::default();
    livekit.allow_unmute();
    let mut stage = Stage::at(livekit, UNMUTED).await;
    let mut anna = speaker("anna");
    anna.tracks[0].muted = true;
    stage.join("hall", anna).await;
    assert!(!stage.livekit.see("hall", "anna").tracks[0].muted);
    stage.report(|report| report.features.remote_unmute == Feature::Supported).await;
    stage.livekit.change("hall", "anna", |anna| anna.tracks[0].muted = true);
    stage.pass_secs(100).await;
    assert!(stage.livekit.see("hall", "anna").tracks[0].muted, "once is once");
}
