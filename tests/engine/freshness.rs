//! No request that replaces something whole is computed from an old look.

use std::{num::NonZeroU32, time::Duration};

use usher::engine::{Limits, Rate};

use crate::support::{LiveKit, QUIET, SEAT, Stage, count, guest, hall, unavailable};

const DEAF: &str = "- {name: deaf, set: {permission: {canSubscribe: false}}}";

#[tokio::test(start_paused = true)]
async fn before_a_permission_is_changed_an_old_look_is_renewed() {
    let mut stage = Stage::at(hall([guest("anna")]), QUIET).await;
    stage.pass(Duration::from_millis(2100)).await;
    // Somebody else takes a right away that no rule speaks of.
    stage.livekit.change("hall", "anna", |anna| anna.permission.can_publish_data = false);
    stage.livekit.said();
    stage.rule(DEAF).await;
    assert_eq!(stage.livekit.asked(), ["get hall/anna", "update hall/anna permission"]);
    assert!(!stage.livekit.see("hall", "anna").permission.can_publish_data);
}

#[tokio::test(start_paused = true)]
async fn a_look_of_a_moment_ago_is_good_enough() {
    let mut stage = Stage::at(hall([guest("anna")]), SEAT).await;
    stage.pass(Duration::from_millis(1900)).await;
    stage.livekit.said();
    stage.rule(DEAF).await;
    assert_eq!(stage.livekit.asked(), ["update hall/anna permission"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_merged_by_the_server_needs_no_new_look() {
    let mut stage = Stage::at(hall([guest("anna")]), QUIET).await;
    stage.pass_secs(10).await;
    stage.livekit.said();
    stage.rule(SEAT).await;
    assert_eq!(stage.livekit.asked(), ["update hall/anna attributes"]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_looks_anew_even_at_once() {
    let stage = Stage::with(QUIET).await;
    stage.livekit.fail("update hall/anna", 1, unavailable());
    stage.join("hall", guest("anna")).await;
    stage.livekit.change("hall", "anna", |anna| anna.permission.can_subscribe = false);
    stage.pass_secs(1).await;
    let said = stage.livekit.said();
    assert_eq!(said, ["update hall/anna permission", "get hall/anna", "update hall/anna permission"]);
    assert!(!stage.livekit.see("hall", "anna").permission.can_subscribe);
}

#[tokio::test(start_paused = true)]
async fn a_join_that_waited_too_long_for_the_budget_is_looked_at_again() {
    let rate = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN };
    let stage = Stage::seen(LiveKit::default(), QUIET, |view| view.limits.rate = Some(rate)).await;
    for identity in ["anna", "bert", "carl", "dora"] {
        stage.join("hall", guest(identity)).await;
    }
    stage.pass_secs(10).await;
    let said = stage.livekit.said();
    assert_eq!(count(&said, "update"), 4, "{said:?}");
    assert!(count(&said, "get") >= 1, "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_small_budget_is_spent_on_progress() {
    let livekit = hall((0..20).map(|number| guest(&format!("guest-{number}"))));
    let two = NonZeroU32::new(2).unwrap();
    let limits = Limits { rate: Some(Rate { per_second: two, burst: two }), max_in_flight: 32 };
    let stage = Stage::seen(livekit, QUIET, |view| view.limits = limits).await;
    stage.pass_secs(60).await;
    let left = (0..20).filter(|number| stage.livekit.see("hall", &format!("guest-{number}")).permission.can_publish);
    assert_eq!(left.count(), 0, "{:?}", stage.livekit.said());
}

#[tokio::test(start_paused = true)]
async fn a_full_room_is_listed_rather_than_asked_for_one_by_one() {
    let livekit = hall((0..100).map(|number| guest(&format!("guest-{number}"))));
    let mut stage = Stage::at(livekit, SEAT).await;
    stage.pass_secs(5).await;
    stage.livekit.said();
    stage.rule(QUIET).await;
    stage.pass_secs(1).await;
    let said = stage.livekit.said();
    assert_eq!(count(&said, "update"), 100);
    assert_eq!((count(&said, "get"), count(&said, "list")), (0, 1), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn where_the_room_cannot_be_listed_everybody_is_asked_for_one_by_one() {
    let livekit = hall((0..20).map(|number| guest(&format!("guest-{number}"))));
    let mut stage = Stage::at(livekit, SEAT).await;
    stage.pass_secs(5).await;
    stage.livekit.fail("list hall", 1_000_000, unavailable());
    stage.livekit.said();
    stage.rule(QUIET).await;
    stage.pass_secs(1).await;
    assert_eq!(count(&stage.livekit.said(), "update"), 20);
}
