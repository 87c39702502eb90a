//! What listings find, and what they must not break.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::support::{Fault, LiveKit, MUTED, QUIET, SEAT, Stage, count, guest, hall, speaker, status, unavailable};

#[tokio::test(start_paused = true)]
async fn who_is_there_at_the_start_is_found() {
    let livekit = hall([guest("anna"), guest("bert")]);
    livekit.add("lobby", guest("carl"));
    let stage = Stage::at(livekit, QUIET).await;
    let mut said = stage.livekit.said();
    said[2..].sort();
    assert_eq!(said, ["rooms", "list hall", "update hall/anna permission", "update hall/bert permission"]);
}

#[tokio::test(start_paused = true)]
async fn rooms_are_listed_again_after_the_interval_and_not_before() {
    let stage = Stage::at(hall([guest("anna")]), QUIET).await;
    stage.pass_secs(300).await;
    let calls = stage.livekit.calls();
    let listings: Vec<Instant> = calls.iter().filter(|call| call.what == "list hall").map(|call| call.at).collect();
    let gaps: Vec<_> = listings.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.len() >= 9, "{gaps:?}");
    assert!(gaps[1..].iter().all(|gap| (27..=33).contains(&gap.as_secs())), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn what_others_change_is_put_right() {
    let stage = Stage::at(hall([guest("anna")]), QUIET).await;
    for _ in 0..3 {
        stage.livekit.change("hall", "anna", |anna| anna.permission.can_publish = true);
        stage.pass_secs(34).await;
        assert!(!stage.livekit.see("hall", "anna").permission.can_publish);
    }
    // Each time from what the listing showed, without another look.
    assert_eq!(count(&stage.livekit.said(), "get"), 0);
}

#[tokio::test(start_paused = true)]
async fn many_rooms_are_not_listed_all_at_once() {
    let livekit = LiveKit::default();
    for number in 0..1000 {
        livekit.add(&format!("hall-{number}"), guest("anna"));
    }
    let stage = Stage::at(livekit, SEAT).await;
    stage.pass_secs(31).await;
    stage.livekit.calls();
    stage.pass_secs(300).await;
    let mut seconds: HashMap<u64, usize> = HashMap::new();
    let begun = Instant::now() - Duration::from_secs(300);
    for call in stage.livekit.calls().into_iter().filter(|call| call.what.starts_with("list")) {
        *seconds.entry((call.at - begun).as_secs()).or_default() += 1;
    }
    let most = seconds.values().max().unwrap();
    // On average 33.
    assert!(*most < 100, "{most} in one second");
    assert!(seconds.len() > 290);
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_began_before_a_change_does_not_undo_the_knowledge_of_it() {
    let stage = Stage::with(SEAT).await;
    stage.join("hall", guest("anna")).await;
    stage.livekit.said();
    stage.livekit.fault("list hall", 1, Fault::Slow(Duration::from_secs(2)));
    stage.pass_secs(26).await;
    // Under way, and soon older than what comes now.
    while count(&stage.livekit.said(), "list") == 0 {
        stage.pass(Duration::from_millis(100)).await;
    }
    stage.join("hall", guest("bert")).await;
    stage.pass_secs(5).await;
    assert_eq!(stage.livekit.writes(), ["update hall/bert attributes"]);
}

#[tokio::test(start_paused = true)]
async fn a_listing_of_an_older_version_changes_nothing() {
    let stage = Stage::with(SEAT).await;
    let before = stage.join("hall", guest("anna")).await;
    stage.livekit.said();
    stage.livekit.fault("list hall", 100, Fault::Shows(Box::new(before)));
    stage.pass_secs(100).await;
    let said = stage.livekit.said();
    assert!(count(&said, "list") >= 3);
    assert_eq!(count(&said, "update"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_empty_listing_reverts_nothing() {
    let mut stage = Stage::at(hall([guest("anna")]), SEAT).await;
    stage.report(|report| report.participants == 1).await;
    stage.livekit.said();
    stage.livekit.fault("list hall", 1, Fault::ShowsNobody);
    stage.livekit.fault("rooms", 1, Fault::ShowsNobody);
    stage.pass_secs(100).await;
    assert!(stage.livekit.writes().is_empty());
    stage.report(|report| report.participants == 1).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_missing_from_two_listings_has_left() {
    let mut stage = Stage::at(hall([guest("anna"), guest("bert")]), SEAT).await;
    stage.report(|report| report.participants == 2).await;
    stage.livekit.take("hall", "anna");
    stage.pass_secs(70).await;
    stage.report(|report| report.participants == 1).await;
    stage.livekit.end("hall");
    stage.pass_secs(100).await;
    stage.report(|report| (report.rooms, report.participants) == (0, 0)).await;
    stage.livekit.said();
    stage.pass_secs(100).await;
    assert_eq!(count(&stage.livekit.said(), "list"), 0);
}

#[tokio::test(start_paused = true)]
async fn who_left_while_the_room_was_listed_does_not_come_back() {
    let livekit = hall([guest("anna"), guest("bert")]);
    livekit.fault("list hall", 1, Fault::Slow(Duration::from_secs(1)));
    let mut stage = Stage::at(livekit, SEAT).await;
    let anna = stage.livekit.see("hall", "anna");
    stage.livekit.take("hall", "anna");
    stage.hear_left("hall", &anna);
    stage.pass_secs(2).await;
    assert_eq!(stage.livekit.writes(), ["update hall/bert attributes"]);
    stage.report(|report| report.participants == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_room_that_cannot_be_listed_is_tried_less_and_less_often_and_that_is_told() {
    let livekit = hall([guest("anna")]);
    livekit.fail("list hall", 1000, unavailable());
    let mut stage = Stage::at(livekit, SEAT).await;
    let told = stage.tells(|policy| policy.failure.is_some()).await;
    assert!(told.settled, "it has failed");
    assert!(told.failure.unwrap().starts_with("the room cannot be listed: unavailable"));
    stage.pass_secs(300).await;
    let tries = count(&stage.livekit.said(), "list hall");
    assert!((10..30).contains(&tries), "{tries}");
    stage.livekit.heal();
    stage.tells(|policy| policy.failure.is_none() && policy.counts.compliant == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_list_its_rooms_still_has_joins_enforced() {
    let livekit = LiveKit::default();
    livekit.fail("rooms", 1000, unavailable());
    let mut stage = Stage::at(livekit, QUIET).await;
    stage.report(|report| matches!(&report.health, usher::engine::Health::Unreachable(_))).await;
    stage.join("hall", guest("anna")).await;
    assert_eq!(stage.livekit.writes(), ["update hall/anna permission"]);
    stage.livekit.heal();
    stage.report(|report| report.health == usher::engine::Health::Good).await;
}

#[tokio::test(start_paused = true)]
async fn an_unmute_that_no_webhook_tells_of_is_found() {
    let stage = Stage::at(hall([speaker("anna")]), MUTED).await;
    assert!(stage.livekit.see("hall", "anna").tracks[0].muted);
    stage.livekit.change("hall", "anna", |anna| anna.tracks[0].muted = false);
    stage.pass_secs(34).await;
    assert!(stage.livekit.see("hall", "anna").tracks[0].muted);
}

#[tokio::test(start_paused = true)]
async fn one_failed_request_for_the_rooms_is_no_reason_to_ask_for_all_of_them_again() {
    let livekit = hall([guest("anna")]);
    livekit.fail("rooms", 1, status(502));
    let stage = Stage::at(livekit, SEAT).await;
    stage.pass_secs(2).await;
    let said = stage.livekit.said();
    assert_eq!((count(&said, "rooms"), count(&said, "list")), (2, 1));
}
