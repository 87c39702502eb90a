//! Muting tracks, always or once.

use std::time::Duration;

use crate::support::{
    Fault, LiveKit, MUTED, MUTED_ONCE, QUIET, Stage, count, guest, hall, microphone, policy, speaker,
};

fn is_muted(stage: &Stage, identity: &str) -> bool {
    stage.livekit.see("hall", identity).tracks.iter().all(|track| track.muted)
}

#[tokio::test(start_paused = true)]
async fn at_the_start_what_was_there_has_had_its_turn() {
    let stage = Stage::at(hall([speaker("anna"), guest("bert")]), MUTED_ONCE).await;
    stage.publish("hall", "bert", microphone()).await;
    assert_eq!(count(&stage.livekit.said(), "mute hall/bert"), 1);
    stage.pass_secs(100).await;
    assert!(!is_muted(&stage, "anna"));
    stage.publish("hall", "anna", microphone()).await;
    assert!(stage.livekit.see("hall", "anna").tracks[1].muted);
    assert!(!stage.livekit.see("hall", "anna").tracks[0].muted);
}

#[tokio::test(start_paused = true)]
async fn once_muted_somebody_may_unmute() {
    let stage = Stage::with(MUTED_ONCE).await;
    stage.join("hall", guest("anna")).await;
    stage.publish("hall", "anna", microphone()).await;
    assert!(is_muted(&stage, "anna"));
    stage.livekit.change("hall", "anna", |anna| anna.tracks[0].muted = false);
    stage.pass_secs(100).await;
    assert!(!is_muted(&stage, "anna"));
}

#[tokio::test(start_paused = true)]
async fn the_arrival_of_the_rule_is_a_turn() {
    let mut stage = Stage::at(hall([speaker("anna")]), QUIET).await;
    stage.govern([policy("once", MUTED_ONCE)]).await;
    assert!(is_muted(&stage, "anna"));
}

#[tokio::test(start_paused = true)]
async fn tracks_that_only_a_listing_tells_of_have_their_turn_after_the_first() {
    let stage = Stage::at(hall([speaker("anna")]), MUTED_ONCE).await;
    stage.livekit.change("hall", "anna", |anna| anna.tracks.push(microphone()));
    stage.livekit.add("hall", speaker("bert"));
    stage.pass_secs(34).await;
    let anna = stage.livekit.see("hall", "anna");
    assert_eq!((anna.tracks[0].muted, anna.tracks[1].muted), (false, true));
    assert!(is_muted(&stage, "bert"));
}

#[tokio::test(start_paused = true)]
async fn a_track_published_before_the_first_listing_has_its_turn() {
    let livekit = hall([speaker("anna")]);
    livekit.fail("list hall", 3, crate::support::unavailable());
    let stage = Stage::at(livekit, MUTED_ONCE).await;
    stage.publish("hall", "anna", microphone()).await;
    stage.pass_secs(60).await;
    let anna = stage.livekit.see("hall", "anna");
    assert_eq!((anna.tracks[0].muted, anna.tracks[1].muted), (false, true));
}

#[tokio::test(start_paused = true)]
async fn rooms_that_begin_later_are_not_only_learned() {
    let livekit = LiveKit::default();
    let stage = Stage::at(livekit, MUTED_ONCE).await;
    stage.livekit.add("hall", speaker("anna"));
    stage.pass_secs(40).await;
    assert!(is_muted(&stage, "anna"));
}

#[tokio::test(start_paused = true)]
async fn what_must_stay_muted_is_muted_again_each_time() {
    let stage = Stage::at(hall([speaker("anna")]), MUTED).await;
    for _ in 0..8 {
        assert!(is_muted(&stage, "anna"));
        stage.livekit.change("hall", "anna", |anna| anna.tracks[0].muted = false);
        stage.pass_secs(34).await;
    }
    assert!(count(&stage.livekit.said(), "mute") >= 8);
}

#[tokio::test(start_paused = true)]
async fn a_track_that_has_gone_is_no_trouble() {
    let mut stage = Stage::with(MUTED).await;
    let anna = stage.join("hall", guest("anna")).await;
    stage.hear_published("hall", &anna, &microphone());
    stage.pass_secs(1).await;
    assert_eq!(stage.livekit.said().len(), 1);
    stage.tells(|policy| policy.counts.compliant == 1).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_permission_unpublishes_is_not_muted() {
    let stage = Stage::at(hall([speaker("anna")]), &format!("{QUIET}\n{MUTED}")).await;
    assert_eq!(stage.livekit.writes(), ["update hall/anna permission"]);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_is_heard_of_before_the_rooms_are_listed_is_learned_too() {
    let livekit = hall([speaker("anna"), guest("bert")]);
    livekit.fault("rooms", 1, Fault::Slow(Duration::from_secs(2)));
    let stage = Stage::at(livekit, MUTED_ONCE).await;
    stage.publish("hall", "bert", microphone()).await;
    stage.pass_secs(100).await;
    assert!(!is_muted(&stage, "anna"));
    assert!(is_muted(&stage, "bert"));
}
