//! The end.

use std::time::Duration;

use crate::support::{Fault, QUIET, Stage, guest};

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
