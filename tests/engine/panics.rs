//! A bug in one place is nobody else's trouble.

use crate::support::{Fault, QUIET, Stage, guest, hall};

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_request_is_counted_and_the_request_repeated() {
    let stage = Stage::with(QUIET).await;
    stage.livekit.fault("update hall/anna", 1, Fault::Panics);
    stage.join("hall", guest("anna")).await;
    stage.join("hall", guest("bert")).await;
    assert!(!stage.livekit.see("hall", "bert").permission.can_publish);
    stage.pass_secs(2).await;
    assert!(!stage.livekit.see("hall", "anna").permission.can_publish);
    assert_eq!(stage.metrics.panics.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_listing_is_not_the_last_listing() {
    let livekit = hall([guest("anna")]);
    livekit.fault("rooms", 2, Fault::Panics);
    livekit.fault("list hall", 2, Fault::Panics);
    let stage = Stage::at(livekit, QUIET).await;
    stage.pass_secs(5).await;
    assert!(!stage.livekit.see("hall", "anna").permission.can_publish);
    assert_eq!(stage.metrics.panics.get(), 4);
}
