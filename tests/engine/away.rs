//! A server that does not answer, or not as it should.

use std::time::Duration;

use usher::{
    engine::{Health, What},
    livekit::Error,
};

use crate::support::{LiveKit, QUIET, SEAT, Stage, count, guest, hall, not_found, policy, status};

const DOWN: Error = Error::Connect(None);

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_at_the_start_is_probed_and_then_worked_on() {
    let livekit = hall([guest("anna")]);
    livekit.fail("", 1_000_000, DOWN);
    let mut stage = Stage::at(livekit, QUIET).await;
    stage.report(|report| matches!(&report.health, Health::Unreachable(why) if why.contains("cannot connect"))).await;
    stage.pass_secs(60).await;
    let said = stage.livekit.said();
    assert!(said.iter().all(|what| what == "rooms") && said.len() < 30, "{said:?}");
    stage.livekit.heal();
    stage.tells(|policy| policy.settled && policy.counts.compliant == 1).await;
    assert_eq!(stage.latest().health, Health::Good);
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_every_room_is_listed_the_oldest_first() {
    let livekit = LiveKit::default();
    for room in ["hall-a", "hall-b", "hall-c"] {
        livekit.add(room, guest("anna"));
    }
    livekit.set_latency(Duration::from_millis(1));
    let stage = Stage::seen(livekit, SEAT, |view| {
        view.limits.max_in_flight = 1;
        view.resync_interval = Duration::from_secs(36_000);
    })
    .await;
    stage.pass_secs(1).await;
    // A room that was listed in between, for it did not know of who had joined.
    stage.livekit.fail("update hall-a/bert", 1, not_found());
    stage.join("hall-a", guest("bert")).await;
    stage.pass_secs(2).await;
    stage.livekit.fail("", 1_000_000, DOWN);
    stage.join("hall-b", guest("bert")).await;
    stage.pass_secs(10).await;
    stage.livekit.heal();
    stage.livekit.said();
    stage.pass_secs(6).await;
    let said: Vec<_> = stage.livekit.said().into_iter().filter(|what| what.starts_with("list")).collect();
    assert_eq!(said, ["list hall-b", "list hall-c", "list hall-a"]);
}

#[tokio::test(start_paused = true)]
async fn who_joined_in_an_outage_is_enforced_after_it() {
    let stage = Stage::with(QUIET).await;
    stage.livekit.fail("", 1_000_000, DOWN);
    stage.join("hall", guest("anna")).await;
    stage.pass_secs(20).await;
    let said = stage.livekit.said();
    assert!(count(&said, "rooms") < 12 && count(&said, "update") <= 2, "{said:?}");
    stage.livekit.heal();
    stage.pass_secs(6).await;
    assert!(!stage.livekit.see("hall", "anna").permission.can_publish);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_in_an_outage_hastens_the_next_probe() {
    let stage = Stage::with(QUIET).await;
    stage.livekit.fail("", 1_000_000, DOWN);
    stage.pass_secs(90).await;
    stage.livekit.heal();
    stage.livekit.said();
    stage.hear("lobby", What::RoomStarted);
    stage.pass(Duration::from_millis(300)).await;
    assert_eq!(count(&stage.livekit.said(), "rooms"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_accepted_is_tried_slowly_until_there_is_another() {
    let livekit = hall([guest("anna")]);
    livekit.fail("", 1_000_000, status(401));
    let mut stage = Stage::at(livekit, QUIET).await;
    stage.report(|report| matches!(&report.health, Health::Unauthorized(_))).await;
    stage.pass_secs(300).await;
    let tries = stage.livekit.said().len();
    assert!((8..20).contains(&tries), "{tries}");
    stage.view.livekit = std::sync::Arc::new(hall([guest("anna")]));
    stage.livekit = std::sync::Arc::clone(&stage.view.livekit);
    stage.show();
    stage.rest().await;
    assert_eq!(stage.livekit.said(), ["rooms", "list hall", "update hall/anna permission"]);
    stage.report(|report| report.health == Health::Good).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_fewer_requests_gets_fewer_and_no_round_of_listings_for_it() {
    let livekit = LiveKit::default();
    for number in 0..20 {
        livekit.add(&format!("hall-{number}"), guest("anna"));
    }
    let mut stage = Stage::at(livekit, SEAT).await;
    stage.pass_secs(2).await;
    stage.livekit.said();
    stage.livekit.fail("update hall-0/bert", 1, status(429));
    stage.livekit.fail("rooms", 2, status(429));
    stage.join("hall-0", guest("bert")).await;
    stage.report(|report| matches!(&report.health, Health::RateLimited(_))).await;
    stage.pass_secs(10).await;
    let said = stage.livekit.said();
    assert_eq!(&**stage.livekit.see("hall-0", "bert").attributes.get("seat").unwrap(), "front", "{said:?}");
    assert!(count(&said, "list") < 20, "{said:?}");
    assert_eq!(stage.latest().health, Health::Good);
}

#[tokio::test(start_paused = true)]
async fn whoever_answers_and_is_no_livekit_is_probed_only() {
    let livekit = LiveKit::default();
    livekit.fail("", 1_000_000, Error::NotLiveKit("it is HTML"));
    let mut stage = Stage::at(livekit, QUIET).await;
    stage.report(|report| matches!(&report.health, Health::Unreachable(why) if why.contains("LiveKit"))).await;
    stage.join("hall", guest("anna")).await;
    stage.pass_secs(60).await;
    let said = stage.livekit.said();
    assert!(said.iter().all(|what| what == "rooms") && said.len() < 30, "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_away() {
    let mut stage = Stage::with(QUIET).await;
    stage.livekit.fail("", 1_000_000, Error::Timeout(Duration::from_secs(5)));
    stage.join("hall", guest("anna")).await;
    stage.report(|report| matches!(&report.health, Health::Unreachable(_))).await;
}

#[tokio::test(start_paused = true)]
async fn policies_that_change_in_an_outage_hold_after_it() {
    let mut stage = Stage::at(hall([guest("anna")]), SEAT).await;
    stage.livekit.fail("", 1_000_000, DOWN);
    stage.pass_secs(60).await;
    stage.govern([policy("rules", QUIET)]).await;
    stage.pass_secs(10).await;
    stage.livekit.heal();
    let told = stage.tells(|policy| policy.settled).await;
    assert_eq!((told.counts.compliant, told.failure), (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_crowd_that_joined_in_an_outage_is_listed_rather_than_asked_for_one_by_one() {
    let stage = Stage::with(QUIET).await;
    stage.livekit.fail("", 1_000_000, DOWN);
    for number in 0..100 {
        stage.join("hall", guest(&format!("guest-{number}"))).await;
    }
    stage.pass_secs(20).await;
    stage.livekit.heal();
    stage.livekit.said();
    stage.pass_secs(6).await;
    let said = stage.livekit.said();
    assert_eq!(count(&said, "update"), 100);
    assert!(count(&said, "get") <= 4 && count(&said, "list") <= 2, "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_for_how_long_it_wants_to_be_left_alone_is() {
    let mut stage = Stage::with(SEAT).await;
    let limit = Error::Status { status: 429, retry_after: Some(Duration::from_secs(20)) };
    stage.livekit.fail("update hall/anna", 1, limit);
    stage.join("hall", guest("anna")).await;
    stage.report(|report| matches!(&report.health, Health::RateLimited(_))).await;
    stage.livekit.said();
    stage.join("hall", guest("bert")).await;
    stage.pass_secs(18).await;
    assert_eq!(stage.livekit.said(), [""; 0]);
    stage.pass_secs(6).await;
    assert_eq!(&**stage.livekit.see("hall", "anna").attributes.get("seat").unwrap(), "front");
    assert_eq!(&**stage.livekit.see("hall", "bert").attributes.get("seat").unwrap(), "front");
    assert_eq!(stage.latest().health, Health::Good);
}

#[tokio::test(start_paused = true)]
async fn webhooks_do_not_hasten_what_a_server_asked_to_wait_for() {
    let mut stage = Stage::with(SEAT).await;
    let busy = Error::Status { status: 503, retry_after: Some(Duration::from_secs(20)) };
    stage.livekit.fail("update hall/anna", 1, busy);
    stage.join("hall", guest("anna")).await;
    stage.report(|report| matches!(&report.health, Health::Unreachable(_))).await;
    stage.livekit.said();
    for number in 0..18 {
        stage.join("hall", guest(&format!("guest-{number}"))).await;
        stage.pass_secs(1).await;
    }
    assert_eq!(stage.livekit.said(), [""; 0]);
    stage.pass_secs(6).await;
    for identity in ["anna", "guest-0", "guest-17"] {
        assert_eq!(&**stage.livekit.see("hall", identity).attributes.get("seat").unwrap(), "front");
    }
    assert_eq!(stage.latest().health, Health::Good);
}
