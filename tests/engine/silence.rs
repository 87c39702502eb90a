//! A server from which nothing comes is asked whether it is still there.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use tokio::time::Instant;
use usher::{
    engine::{Health, Leadership, Limits, Rate},
    livekit::Error,
};

use crate::support::{Fault, LiveKit, QUIET, Stage, guest, hall, status};

/// Within this time whoever looks at an object must know what is wrong with its server.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// The questions since the last time, and how long after `begun` they were asked.
fn pings(stage: &Stage, begun: Instant) -> Vec<Duration> {
    let calls = stage.livekit.calls().into_iter().filter(|call| call.what == "ping");
    calls.map(|call| call.at - begun).collect()
}

/// A stage at rest, where everything has just been listed and hardly anything will be.
async fn at_rest(livekit: LiveKit) -> Stage {
    let stage = Stage::seen(livekit, QUIET, |view| view.resync_interval = Duration::from_secs(36_000)).await;
    stage.pass_secs(100).await;
    stage.livekit.calls();
    stage
}

#[tokio::test(start_paused = true)]
async fn that_the_key_is_not_taken_any_more_is_told_within_five_seconds_though_nobody_does_anything() {
    for livekit in [LiveKit::default(), hall([guest("anna")])] {
        let mut stage = at_rest(livekit).await;
        let begun = Instant::now();
        stage.livekit.fail("", 1_000_000, status(401));
        stage.report(|report| matches!(report.health, Health::Unauthorized(_))).await;
        assert!(begun.elapsed() < TOLD_WITHIN, "{:?}", begun.elapsed());
        // From then on it is tried as slowly as ever.
        stage.livekit.calls();
        stage.pass_secs(300).await;
        let calls = stage.livekit.calls();
        assert!(calls.len() < 20 && calls.iter().all(|call| call.what == "rooms"), "{calls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn that_nobody_answers_is_told_within_five_seconds_and_that_they_do_again_too() {
    let strange = Error::NotLiveKit("it is HTML");
    let slow = Error::Connect(Some(std::io::ErrorKind::TimedOut));
    for error in [Error::Connect(None), Error::Dns, status(502), strange, slow] {
        let mut stage = at_rest(hall([guest("anna")])).await;
        let begun = Instant::now();
        stage.livekit.fail("", 1_000_000, error);
        stage.report(|report| matches!(report.health, Health::Unreachable(_))).await;
        assert!(begun.elapsed() < TOLD_WITHIN, "{:?}", begun.elapsed());
        let begun = Instant::now();
        stage.livekit.heal();
        stage.report(|report| report.health == Health::Good).await;
        assert!(begun.elapsed() < TOLD_WITHIN, "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn one_broken_connection_is_no_outage() {
    let stage = at_rest(hall([guest("anna")])).await;
    let begun = Instant::now();
    stage.livekit.fail("ping", 1, Error::Cut(None));
    stage.pass_secs(10).await;
    assert_eq!(stage.latest().health, Health::Good);
    let asked = pings(&stage, begun);
    let again = asked[1] - asked[0];
    assert!(again < Duration::from_secs(1) && asked.len() <= 5, "it is soon asked again: {asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_is_asked_every_three_seconds_and_one_that_answers_other_things_is_not() {
    let stage = at_rest(hall([guest("anna")])).await;
    let begun = Instant::now();
    stage.pass_secs(600).await;
    let asked = pings(&stage, begun);
    assert!((198..=200).contains(&asked.len()), "{}", asked.len());

    let begun = Instant::now();
    for number in 0..100 {
        stage.join("hall", guest(&format!("guest-{number}"))).await;
        stage.pass_secs(2).await;
    }
    assert!(pings(&stage, begun).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_question_that_hangs_is_not_followed_by_another_and_holds_up_no_join() {
    let stage = at_rest(hall([guest("anna")])).await;
    stage.livekit.fault("ping", 1, Fault::Hangs);
    let begun = Instant::now();
    stage.pass_secs(60).await;
    assert_eq!(pings(&stage, begun).len(), 1);
    stage.join("hall", guest("bert")).await;
    assert!(!stage.livekit.see("hall", "bert").permission.can_publish);
}

#[tokio::test(start_paused = true)]
async fn a_small_budget_gives_a_tenth_to_the_question() {
    let one = NonZeroU32::MIN;
    let stage = Stage::seen(LiveKit::default(), QUIET, |view| {
        view.limits = Limits { rate: Some(Rate { per_second: one, burst: one }), max_in_flight: 1 };
        view.resync_interval = Duration::from_secs(36_000);
    })
    .await;
    let begun = Instant::now();
    stage.pass_secs(600).await;
    let asked = pings(&stage, begun);
    assert!((55..=60).contains(&asked.len()), "{}", asked.len());
}

#[tokio::test(start_paused = true)]
async fn who_becomes_the_holder_asks_often_and_who_is_not_only_to_keep_a_connection() {
    let (sender, leadership) = Leadership::elected();
    let stage = Stage::led(Arc::new(LiveKit::default()), QUIET, leadership, |_| {}).await;
    let begun = Instant::now();
    stage.pass_secs(60).await;
    // At once, and then before a connection that is idle is closed.
    let seconds: Vec<_> = pings(&stage, begun).iter().map(|after| after.as_secs_f64().round()).collect();
    assert_eq!(seconds, [0.0, 25.0, 50.0]);
    sender.hold_until(Instant::now() + Duration::from_secs(3600));
    stage.pass_secs(10).await;
    assert!(pings(&stage, begun).len() >= 3);
    sender.follow();
    let begun = Instant::now();
    stage.pass_secs(90).await;
    let asked = pings(&stage, begun);
    assert_eq!(asked.len(), 3, "{asked:?}");
    // Who is told of joins keeps it by them.
    let begun = Instant::now();
    for number in 0..10 {
        stage.join("hall", guest(&format!("guest-{number}"))).await;
        stage.pass_secs(20).await;
    }
    let asked = pings(&stage, begun);
    assert!(asked.is_empty(), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn another_server_is_asked_as_well() {
    let mut stage = at_rest(LiveKit::default()).await;
    // The question to the old one never ends.
    stage.livekit.fault("ping", 1, Fault::Hangs);
    stage.pass_secs(10).await;
    stage.view.livekit = Arc::new(LiveKit::default());
    stage.livekit = Arc::clone(&stage.view.livekit);
    stage.show();
    stage.pass_secs(10).await;
    stage.livekit.fail("", 1_000_000, status(401));
    let begun = Instant::now();
    stage.report(|report| matches!(report.health, Health::Unauthorized(_))).await;
    assert!(begun.elapsed() < TOLD_WITHIN, "{:?}", begun.elapsed());
}
