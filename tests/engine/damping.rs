//! What somebody undoes again and again.

use std::time::Duration;

use crate::support::{QUIET, SEAT, Stage, count, guest};

#[tokio::test(start_paused = true)]
async fn who_undoes_every_correction_is_corrected_less_often_and_in_the_end() {
    let mut stage = Stage::seen(Default::default(), SEAT, |view| view.resync_interval = Duration::from_secs(5)).await;
    stage.join("hall", guest("anna")).await;
    for _ in 0..120 {
        if stage.livekit.see("hall", "anna").attributes.get("seat").unwrap().as_ref() == "front" {
            stage.livekit.change("hall", "anna", |anna| drop(anna.attributes.insert("seat".into(), "mine".into())));
        }
        stage.pass_secs(1).await;
    }
    let corrections = count(&stage.livekit.said(), "update");
    assert!((6..16).contains(&corrections), "{corrections}");
    stage.tells(|policy| policy.counts.pending + policy.counts.compliant == 1).await;
    stage.pass_secs(310).await;
    assert_eq!(&**stage.livekit.see("hall", "anna").attributes.get("seat").unwrap(), "front");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_pause_needs_no_webhook_and_no_listing() {
    let mut stage = Stage::with(SEAT).await;
    stage.join("hall", guest("anna")).await;
    for _ in 0..6 {
        stage.livekit.change("hall", "anna", |anna| anna.attributes.clear());
        stage.view.resync_request += 1;
        stage.show();
        stage.pass_secs(1).await;
    }
    assert!(stage.livekit.see("hall", "anna").attributes.is_empty());
    stage.livekit.said();
    stage.pass_secs(11).await;
    assert_eq!(count(&stage.livekit.said(), "update"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_takes_a_right_away_is_never_put_off() {
    let mut stage = Stage::with(QUIET).await;
    stage.join("hall", guest("anna")).await;
    for _ in 0..30 {
        stage.livekit.change("hall", "anna", |anna| anna.permission.can_publish = true);
        stage.view.resync_request += 1;
        stage.show();
        stage.pass_secs(1).await;
        assert!(!stage.livekit.see("hall", "anna").permission.can_publish);
    }
}
