//! A server on which nothing is to be done for a while.

use std::time::Duration;

use crate::support::{Fault, QUIET, Stage, guest, hall};

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_while_suspended() {
    let stage = Stage::seen(hall([guest("anna")]), QUIET, |view| view.suspended = true).await;
    stage.join("hall", guest("bert")).await;
    stage.pass_secs(300).await;
    assert!(stage.livekit.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn afterwards_everything_is_looked_at() {
    let mut stage = Stage::seen(hall([guest("anna")]), QUIET, |view| view.suspended = true).await;
    stage.join("hall", guest("bert")).await;
    stage.pass_secs(10).await;
    stage.view.suspended = false;
    stage.show();
    stage.pass_secs(1).await;
    for identity in ["anna", "bert"] {
        assert!(!stage.livekit.see("hall", identity).permission.can_publish);
    }
    stage.tells(|policy| policy.settled && policy.counts.compliant == 2).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_ends_and_nothing_follows() {
    let livekit = hall([guest("anna")]);
    livekit.fault("list hall", 1, Fault::Slow(Duration::from_secs(1)));
    let mut stage = Stage::at(livekit, QUIET).await;
    stage.view.suspended = true;
    stage.show();
    stage.pass_secs(100).await;
    assert_eq!(stage.livekit.said(), ["rooms", "list hall"]);
    stage.view.suspended = false;
    stage.show();
    stage.pass_secs(1).await;
    assert_eq!(stage.livekit.writes(), ["update hall/anna permission"]);
}
