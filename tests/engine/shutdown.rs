//! The end.

use std::time::Duration;

use tokio::time::Instant;
use usher::engine::{Event, Overloaded, What};

use crate::support::{Fault, QUIET, START, Stage, guest};

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_finished() {
    let stage = Stage::with(QUIET).await;
    stage.livekit.fault("update", 1, Fault::Slow(Duration::from_secs(2)));
    stage.join("hall", guest("anna")).await;
    stage.join("hall", guest("bert")).await;
    let took = stage.stop().await;
    assert!((1900..=2000).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_is_left() {
    let stage = Stage::with(QUIET).await;
    stage.livekit.fault("update", 1, Fault::Hangs);
    stage.join("hall", guest("anna")).await;
    assert_eq!(stage.stop().await.as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_has_nothing_to_do_ends_at_once() {
    let stage = Stage::with(QUIET).await;
    assert_eq!(stage.stop().await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn webhooks_that_come_too_late_are_for_livekit_to_repeat() {
    let stage = Stage::with(QUIET).await;
    let route = stage.route();
    stage.stop().await;
    let what = What::RoomStarted;
    let event = Event { room: "hall".into(), what, created_at: START.parse().unwrap(), received: Instant::now() };
    assert_eq!(route.hand_over(event), Err(Overloaded));
}
