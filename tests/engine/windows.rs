//! Rules that begin, end and wait.

use std::time::Duration;

use usher::policy::Participant;

use crate::support::{SEAT, Stage, count, guest, hall, policy};

const FROM: &str = "- {name: r, activeFrom: '2026-06-01T12:10:00Z', set: {attributes: {seat: front}}}";
const UNTIL: &str = "
- {name: r, activeUntil: '2026-06-01T12:10:00Z', set: {attributes: {seat: front}}}
- {name: s, set: {attributes: {seat: back}}}";
const PATIENT: &str = "- {name: r, match: {joinedFor: 10m}, set: {attributes: {seat: front}}}";

fn seat(participant: Participant) -> Option<String> {
    participant.attributes.get("seat").map(ToString::to_string)
}

/// Lists so seldom that only moments count.
async fn stage(rules: &str) -> Stage {
    Stage::seen(hall([guest("anna")]), rules, |view| view.resync_interval = Duration::from_secs(36_000)).await
}

#[tokio::test(start_paused = true)]
async fn a_rule_begins_to_the_second() {
    let stage = stage(FROM).await;
    stage.pass(Duration::from_millis(599_900)).await;
    assert_eq!(seat(stage.livekit.see("hall", "anna")), None);
    stage.pass(Duration::from_millis(200)).await;
    assert_eq!(seat(stage.livekit.see("hall", "anna")).as_deref(), Some("front"));
}

#[tokio::test(start_paused = true)]
async fn a_rule_ends_to_the_second() {
    let stage = stage(UNTIL).await;
    stage.pass(Duration::from_millis(599_900)).await;
    assert_eq!(seat(stage.livekit.see("hall", "anna")).as_deref(), Some("front"));
    stage.pass(Duration::from_millis(200)).await;
    assert_eq!(seat(stage.livekit.see("hall", "anna")).as_deref(), Some("back"));
}

#[tokio::test(start_paused = true)]
async fn a_session_grows_old_enough_to_the_second() {
    let stage = stage(PATIENT).await;
    stage.pass_secs(300).await;
    stage.join("hall", guest("bert")).await;
    stage.pass(Duration::from_millis(299_900)).await;
    assert_eq!(seat(stage.livekit.see("hall", "anna")), None);
    stage.pass(Duration::from_millis(200)).await;
    assert_eq!(seat(stage.livekit.see("hall", "anna")).as_deref(), Some("front"));
    assert_eq!(seat(stage.livekit.see("hall", "bert")), None);
    stage.pass_secs(300).await;
    assert_eq!(seat(stage.livekit.see("hall", "bert")).as_deref(), Some("front"));
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_edited_often_is_acted_on_once() {
    let mut stage = stage(FROM).await;
    for number in 0..50 {
        let other = format!("- {{name: n, match: {{identities: [{{exact: x{number}}}]}}, set: {{name: x}}}}");
        stage.govern([policy("rules", FROM), policy("other", &other)]).await;
        stage.pass_secs(1).await;
    }
    stage.livekit.said();
    stage.pass_secs(700).await;
    assert_eq!(count(&stage.livekit.said(), "update"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_edited_window_counts_as_it_is_now() {
    let mut stage = stage(FROM).await;
    stage.rule(&FROM.replace("12:10", "12:20")).await;
    stage.pass_secs(700).await;
    assert_eq!(seat(stage.livekit.see("hall", "anna")), None);
    stage.pass_secs(510).await;
    assert_eq!(seat(stage.livekit.see("hall", "anna")).as_deref(), Some("front"));
    stage.livekit.said();
    stage.rule(&SEAT.replace("front", "side")).await;
    assert_eq!(seat(stage.livekit.see("hall", "anna")).as_deref(), Some("side"));
}
