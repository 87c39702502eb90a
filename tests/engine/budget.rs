//! What may be asked of a server, and who goes first.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use tokio::time::Instant;
use usher::engine::{Leadership, Limits, Rate};

use crate::support::{Fault, LiveKit, QUIET, SEAT, Stage, View, count, guest, hall};

pub fn limits(per_second: u32, burst: u32) -> Limits {
    let number = |number| NonZeroU32::new(number).unwrap();
    Limits { rate: Some(Rate { per_second: number(per_second), burst: number(burst) }), max_in_flight: 32 }
}

pub fn many_rooms() -> LiveKit {
    let livekit = LiveKit::default();
    for number in 0..200 {
        livekit.add(&format!("hall-{number}"), guest("anna"));
    }
    livekit
}

#[tokio::test(start_paused = true)]
async fn no_more_is_asked_than_is_allowed() {
    let begun = Instant::now();
    let stage = Stage::seen(many_rooms(), SEAT, |view| view.limits = limits(10, 20)).await;
    stage.pass_secs(60).await;
    let calls = stage.livekit.calls();
    for (number, call) in calls.iter().enumerate() {
        let allowed = 20.0 + (call.at - begun).as_secs_f64() * 10.0 + 1.0;
        assert!((number as f64) < allowed, "{number} {:?}", call.at - begun);
    }
    assert!(calls.len() > 500, "and what is allowed is used: {}", calls.len());
}

#[tokio::test(start_paused = true)]
async fn two_replicas_together_ask_no_more_than_is_allowed() {
    let begun = Instant::now();
    // Ten a second, divided by two.
    let share = |view: &mut View| {
        view.limits = limits(5, 5);
        view.resync_interval = Duration::from_secs(10);
    };
    let livekit = Arc::new(many_rooms());
    let (sender, leadership) = Leadership::elected();
    sender.hold_until(begun + Duration::from_secs(3600));
    let _holder = Stage::led(Arc::clone(&livekit), SEAT, leadership, share).await;
    let (_sender, leadership) = Leadership::elected();
    let follower = Stage::led(Arc::clone(&livekit), SEAT, leadership, share).await;
    for number in 0..600 {
        follower.join(&format!("hall-{}", number % 200), guest(&format!("guest-{number}"))).await;
        follower.pass(Duration::from_millis(100)).await;
    }
    let calls = livekit.calls();
    for (number, call) in calls.iter().enumerate() {
        let allowed = 10.0 + (call.at - begun).as_secs_f64() * 10.0 + 2.0;
        assert!((number as f64) < allowed, "{number} {:?}", call.at - begun);
    }
    assert!(calls.len() > 450, "and what is allowed is used: {}", calls.len());
    let listings = calls.iter().filter(|call| call.what == "rooms" || call.what.starts_with("list ")).count();
    assert!(listings < 250, "{listings}");
}

#[tokio::test(start_paused = true)]
async fn a_join_does_not_wait_for_resync() {
    let stage = Stage::seen(many_rooms(), SEAT, |view| {
        view.limits = limits(10, 10);
        view.resync_interval = Duration::from_secs(10);
    })
    .await;
    // Resync alone would like twenty a second, and has used up its half.
    stage.pass_secs(120).await;
    for number in 0..20 {
        stage.livekit.said();
        stage.join("hall-1", guest(&format!("guest-{number}"))).await;
        stage.pass(Duration::from_millis(200)).await;
        assert_eq!(count(&stage.livekit.said(), "update"), 1, "{number}");
        stage.pass_secs(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn resync_has_half_of_the_budget_at_most() {
    let stage = Stage::seen(many_rooms(), SEAT, |view| {
        view.limits = limits(10, 10);
        view.resync_interval = Duration::from_secs(10);
    })
    .await;
    stage.pass_secs(120).await;
    stage.livekit.said();
    stage.pass_secs(60).await;
    let listings = count(&stage.livekit.said(), "list");
    assert!((280..=305).contains(&listings), "{listings}");
}

#[tokio::test(start_paused = true)]
async fn joins_go_before_a_changed_policy() {
    let livekit = hall((0..50).map(|number| guest(&format!("guest-{number}"))));
    let mut stage = Stage::seen(livekit, SEAT, |view| view.limits = limits(1000, 1000)).await;
    stage.pass_secs(3).await;
    stage.livekit.said();
    stage.view.limits = limits(5, 1);
    stage.rule(&SEAT.replace("front", "back")).await;
    stage.pass_secs(1).await;
    stage.join("hall", guest("anna")).await;
    stage.pass_secs(1).await;
    let said = stage.livekit.said();
    let place = said.iter().position(|what| what == "update hall/anna attributes").unwrap();
    assert!(place < 10, "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn so_many_requests_are_under_way_and_no_more() {
    let livekit = many_rooms();
    livekit.set_latency(Duration::from_millis(50));
    let stage = Stage::seen(livekit, QUIET, |view| view.limits.max_in_flight = 7).await;
    stage.pass_secs(60).await;
    assert_eq!(stage.livekit.most_under_way(), 7);
}

#[tokio::test(start_paused = true)]
async fn listings_that_hang_leave_room_for_joins() {
    let livekit = many_rooms();
    let stage = Stage::seen(livekit, SEAT, |view| view.limits.max_in_flight = 8).await;
    stage.livekit.fault("list", 10_000, Fault::Hangs);
    stage.pass_secs(60).await;
    stage.livekit.said();
    stage.join("hall-1", guest("bert")).await;
    assert_eq!(stage.livekit.said(), ["update hall-1/bert attributes"]);
}

#[tokio::test(start_paused = true)]
async fn other_limits_hold_at_once() {
    let mut stage = Stage::seen(many_rooms(), SEAT, |view| view.limits = limits(1, 1)).await;
    stage.pass_secs(2).await;
    let slowly = stage.livekit.said();
    assert!(slowly.len() < 5, "{slowly:?}");
    stage.view.limits = Limits { rate: None, max_in_flight: 32 };
    stage.show();
    stage.rest().await;
    assert_eq!(count(&slowly, "update") + count(&stage.livekit.said(), "update"), 200);
}
