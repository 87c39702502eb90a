//! What the engine counts moves when what it counts happens.

use std::time::Duration;

use usher::engine::Limits;

use crate::{
    budget::{limits, many_rooms},
    support::{QUIET, SEAT, Stage, guest, hall},
};

#[tokio::test(start_paused = true)]
async fn work_that_waits_for_the_budget_is_counted_by_urgency() {
    let stage = Stage::seen(many_rooms(), SEAT, |view| view.limits = limits(10, 10)).await;
    stage.pass_secs(1).await;
    // Everybody in 200 rooms is to be seen first, which is a change and no resync.
    let depth = stage.metric("usher_queue_depth{urgency=\"change\"}");
    assert!(depth > 100.0, "{depth}");
    assert!(stage.metric("usher_budget_waits_total{urgency=\"change\"}") >= 1.0);
    assert_eq!(stage.metric("usher_budget_waits_total{urgency=\"join\"}"), 0.0);
    stage.pass_secs(120).await;
    assert_eq!(stage.metric("usher_queue_depth{urgency=\"change\"}"), 0.0);
    let (count, sum) = (
        stage.metric("usher_queue_wait_seconds_count{urgency=\"change\"}"),
        stage.metric("usher_queue_wait_seconds_sum{urgency=\"change\"}"),
    );
    assert!(count >= 400.0 && sum / count > 5.0, "{count} {sum}");
}

#[tokio::test(start_paused = true)]
async fn a_join_waits_for_nothing_and_that_is_counted_too() {
    let stage = Stage::with(QUIET).await;
    stage.join("hall", guest("anna")).await;
    assert_eq!(stage.metric("usher_queue_wait_seconds_count{urgency=\"join\"}"), 1.0);
    assert_eq!(stage.metric("usher_queue_wait_seconds_sum{urgency=\"join\"}"), 0.0);
    assert_eq!(stage.metric("usher_budget_waits_total"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn drift_is_what_a_listing_finds_and_no_webhook_told() {
    let stage = Stage::at(hall([guest("anna")]), QUIET).await;
    stage.join("hall", guest("bert")).await;
    stage.pass_secs(40).await;
    assert_eq!(stage.metric("usher_drift_total"), 0.0, "the first look and joins are no drift");
    stage.livekit.change("hall", "anna", |anna| anna.permission.can_publish = true);
    stage.pass_secs(40).await;
    assert!(!stage.livekit.see("hall", "anna").permission.can_publish);
    assert_eq!(stage.metric("usher_drift_total"), 1.0);
    stage.pass_secs(40).await;
    assert_eq!(stage.metric("usher_drift_total"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn resync_stretches_when_the_budget_is_short_and_says_so() {
    let mut stage = Stage::seen(many_rooms(), SEAT, |view| {
        view.limits = limits(10, 10);
        view.resync_interval = Duration::from_secs(10);
    })
    .await;
    // Five a second are resync's: the rooms, and who is in each of 200.
    let report = stage.report(|report| report.stretched.is_some()).await;
    assert_eq!(report.stretched, Some(Duration::from_secs(50)));
    stage.pass_secs(60).await;
    assert!((stage.metric("usher_resync_interval_seconds") - 40.2).abs() < 0.01);
    stage.livekit.said();
    stage.pass_secs(402).await;
    // Every room about ten times, and resync's share is not used up by asking more often.
    let said = stage.livekit.said();
    let listed = |room: &str| said.iter().filter(|what| **what == format!("list {room}")).count();
    for number in 0..200 {
        let times = listed(&format!("hall-{number}"));
        assert!((8..=12).contains(&times), "hall-{number}: {times}");
    }
    stage.view.limits = Limits { rate: None, max_in_flight: 32 };
    stage.show();
    stage.report(|report| report.stretched.is_none()).await;
    assert_eq!(stage.metric("usher_resync_interval_seconds"), 10.0);
}

#[tokio::test(start_paused = true)]
async fn the_catalog_has_a_generation_and_an_age() {
    let mut stage = Stage::with(QUIET).await;
    let (generation, changed) = ("usher_catalog_generation", "usher_catalog_changed_timestamp_seconds");
    let before = (stage.metric(generation), stage.metric(changed));
    stage.pass_secs(60).await;
    assert_eq!((stage.metric(generation), stage.metric(changed)), before);
    stage.rule(SEAT).await;
    assert_eq!(stage.metric(generation), before.0 + 1.0);
    assert!((60.0..62.0).contains(&(stage.metric(changed) - before.1)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_no_more_has_no_series() {
    let stage = Stage::with(QUIET).await;
    stage.join("hall", guest("anna")).await;
    assert!(stage.metrics.encode().unwrap().contains("usher_queue_depth{"));
    stage.show_nothing();
    stage.rest().await;
    let text = stage.metrics.encode().unwrap();
    for name in
        ["usher_queue_depth{", "usher_budget_waits_total{", "usher_drift_total{", "usher_resync_interval_seconds{"]
    {
        assert!(!text.contains(name), "{name}");
    }
}
