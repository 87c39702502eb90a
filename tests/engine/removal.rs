//! Removing participants.

use std::time::Duration;

use usher::engine::What;

use crate::support::{Fault, NO_TROLL, QUIET, Stage, count, guest, hall, not_found, unavailable};

#[tokio::test(start_paused = true)]
async fn who_must_go_goes_by_the_webhook_alone() {
    let mut stage = Stage::with(NO_TROLL).await;
    stage.join("hall", guest("troll")).await;
    stage.join("hall", guest("anna")).await;
    assert_eq!(stage.livekit.said(), ["remove hall/troll"]);
    stage.report(|report| report.participants == 1).await;
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_goes_again_and_at_most_once_a_second() {
    let stage = Stage::with(NO_TROLL).await;
    for _ in 0..100 {
        if stage.livekit.find("hall", "troll").is_none() {
            stage.join("hall", guest("troll")).await;
        }
        stage.pass(Duration::from_millis(99)).await;
    }
    let removals: Vec<_> = stage.livekit.calls().into_iter().filter(|call| call.what.starts_with("remove")).collect();
    assert!(removals.len() >= 8);
    assert!(removals.windows(2).all(|pair| pair[1].at - pair[0].at >= Duration::from_secs(1)), "{removals:?}");
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_before_the_removal_is_answered_waits_a_second_too() {
    let stage = Stage::with(NO_TROLL).await;
    stage.livekit.fault("remove", 1, Fault::Slow(Duration::from_millis(500)));
    stage.join("hall", guest("troll")).await;
    stage.join("hall", guest("troll")).await;
    assert_eq!(stage.livekit.said(), ["remove hall/troll"]);
    stage.pass_secs(2).await;
    assert_eq!(stage.livekit.writes(), ["remove hall/troll"]);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_ends_and_begins_again_is_no_way_round_the_second() {
    let stage = Stage::with(NO_TROLL).await;
    stage.join("hall", guest("troll")).await;
    stage.livekit.end("hall");
    stage.hear("hall", What::RoomFinished);
    stage.join("hall", guest("troll")).await;
    assert_eq!(stage.livekit.writes(), ["remove hall/troll"]);
    stage.pass_secs(2).await;
    assert_eq!(stage.livekit.writes(), ["remove hall/troll"]);
}

#[tokio::test(start_paused = true)]
async fn who_has_gone_by_himself_is_as_good_as_removed() {
    let mut stage = Stage::with(NO_TROLL).await;
    stage.livekit.fail("remove", 1, not_found());
    let troll = stage.join("hall", guest("troll")).await;
    stage.livekit.take("hall", "troll");
    stage.hear_left("hall", &troll);
    stage.pass_secs(60).await;
    assert_eq!(count(&stage.livekit.said(), "remove"), 1);
    assert_eq!(stage.tells(|_| true).await.failure, None);
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_fails_is_repeated_from_a_new_look() {
    let stage = Stage::with(NO_TROLL).await;
    stage.livekit.fail("remove", 1, unavailable());
    stage.join("hall", guest("troll")).await;
    stage.pass_secs(1).await;
    assert_eq!(stage.livekit.said(), ["remove hall/troll", "get hall/troll", "remove hall/troll"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_removed_by_an_old_look() {
    let rules = "- {name: r, match: {attributes: [{key: banned}]}, remove: {}}";
    let mut banned = guest("anna");
    banned.attributes.insert("banned".into(), "yes".into());
    let mut stage = Stage::at(hall([banned]), QUIET).await;
    stage.pass_secs(5).await;
    stage.livekit.change("hall", "anna", |anna| anna.attributes.clear());
    stage.livekit.said();
    stage.rule(rules).await;
    assert_eq!(stage.livekit.asked(), ["get hall/anna"]);
}

#[tokio::test(start_paused = true)]
async fn a_removal_is_the_end_of_what_is_done() {
    let stage = Stage::at(hall([guest("troll"), guest("anna")]), &format!("{NO_TROLL}\n{QUIET}")).await;
    let mut writes = stage.livekit.writes();
    writes.sort();
    assert_eq!(writes, ["remove hall/troll", "update hall/anna permission"]);
}
