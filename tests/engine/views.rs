//! Other policies, another server behind the same name, a request to resync.

use std::{sync::Arc, time::Duration};

use crate::support::{Fault, QUIET, SEAT, Stage, count, guest, hall, policy, spec};

#[tokio::test(start_paused = true)]
async fn a_new_policy_reaches_who_is_there() {
    let mut stage = Stage::at(hall([guest("anna")]), SEAT).await;
    stage.livekit.said();
    let mut policies = stage.view.policies.clone();
    policies.push(policy("quiet", QUIET));
    stage.govern(policies).await;
    assert_eq!(stage.livekit.asked(), ["update hall/anna permission"]);
}

#[tokio::test(start_paused = true)]
async fn rooms_that_a_policy_newly_governs_are_found() {
    let livekit = hall([guest("anna")]);
    livekit.add("lobby", guest("bert"));
    let mut stage = Stage::at(livekit, QUIET).await;
    stage.livekit.said();
    let lobby = spec("lobby", "rooms: [{exact: lobby}]\nrules:\n- {name: r, set: {name: Guest}}");
    let policies = [Arc::clone(&stage.view.policies[0]), lobby];
    stage.govern(policies).await;
    assert_eq!(stage.livekit.said(), ["rooms", "list lobby", "update lobby/bert name"]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_changes_nothing_for_anybody_costs_no_request_for_participants() {
    let mut stage = Stage::at(hall([guest("anna")]), QUIET).await;
    stage.livekit.said();
    let policies =
        [Arc::clone(&stage.view.policies[0]), policy("other", "- {name: r, set: {permission: {canSubscribe: true}}}")];
    stage.govern(policies).await;
    assert_eq!(stage.livekit.said(), ["rooms"]);
}

#[tokio::test(start_paused = true)]
async fn rooms_that_no_policy_governs_any_more_are_forgotten() {
    let mut stage = Stage::at(hall([guest("anna")]), QUIET).await;
    stage.report(|report| report.rooms == 1).await;
    stage.govern([]).await;
    stage.report(|report| (report.rooms, report.participants) == (0, 0)).await;
    stage.livekit.change("hall", "anna", |anna| anna.permission.can_publish = true);
    stage.livekit.said();
    stage.pass_secs(100).await;
    assert!(stage.livekit.said().iter().all(|what| what == "rooms"));
}

#[tokio::test(start_paused = true)]
async fn answers_of_a_server_that_was_replaced_count_no_more() {
    let livekit = hall([guest("anna"), guest("old")]);
    livekit.fault("list hall", 1, Fault::Slow(Duration::from_secs(2)));
    let mut stage = Stage::at(livekit, SEAT).await;
    let old = Arc::clone(&stage.livekit);
    stage.view.livekit = Arc::new(hall([guest("bert")]));
    stage.livekit = Arc::clone(&stage.view.livekit);
    stage.show();
    stage.pass(Duration::from_millis(2500)).await;
    assert_eq!(stage.livekit.said(), ["rooms", "list hall", "update hall/bert attributes"]);
    assert!(old.writes().is_empty());
    stage.report(|report| report.participants == 1).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_waited_for_at_a_replaced_server_is_worked_on_at_the_new_one() {
    let mut stage = Stage::with(QUIET).await;
    stage.livekit.fault("update hall/anna", 1, Fault::Hangs);
    let anna = stage.join("hall", guest("anna")).await;
    stage.pass_secs(1).await;
    stage.view.livekit = Arc::new(hall([anna]));
    stage.livekit = Arc::clone(&stage.view.livekit);
    stage.show();
    stage.rest().await;
    assert!(!stage.livekit.see("hall", "anna").permission.can_publish);
}

#[tokio::test(start_paused = true)]
async fn a_requested_resync_lists_everything_now_and_is_reported_as_done() {
    let mut stage = Stage::at(hall([guest("anna")]), SEAT).await;
    stage.pass_secs(3).await;
    stage.livekit.said();
    stage.view.resync_request = 5;
    stage.show();
    stage.rest().await;
    let mut said = stage.livekit.said();
    said.sort();
    assert_eq!(said, ["list hall", "rooms"]);
    stage.report(|report| report.resync_done == 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_resync_requested_before_the_start_is_done_by_the_start() {
    let mut stage = Stage::seen(hall([guest("anna")]), SEAT, |view| view.resync_request = 3).await;
    stage.report(|report| report.resync_done == 3).await;
    assert_eq!(count(&stage.livekit.said(), "list"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_had_begun_does_not_count_for_a_later_request() {
    let livekit = hall([guest("anna")]);
    livekit.fault("rooms", 1, Fault::Slow(Duration::from_secs(1)));
    livekit.fault("list hall", 2, Fault::Slow(Duration::from_secs(1)));
    let mut stage = Stage::at(livekit, SEAT).await;
    stage.pass(Duration::from_millis(500)).await;
    stage.view.resync_request = 1;
    stage.show();
    stage.pass_secs(1).await;
    stage.view.resync_request = 2;
    stage.show();
    stage.pass_secs(4).await;
    let report = stage.report(|report| report.resync_done == 2).await;
    assert_eq!(report.participants, 1);
    let said = stage.livekit.said();
    assert_eq!((count(&said, "rooms"), count(&said, "list")), (3, 2), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_shorter_interval_holds_at_once() {
    let mut stage =
        Stage::seen(hall([guest("anna")]), SEAT, |view| view.resync_interval = Duration::from_secs(3600)).await;
    stage.livekit.said();
    stage.view.resync_interval = Duration::from_secs(5);
    stage.show();
    stage.pass_secs(50).await;
    assert!(count(&stage.livekit.said(), "list") >= 8);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_no_more_is_left_alone() {
    let stage = Stage::at(hall([guest("anna")]), SEAT).await;
    stage.pass_secs(1).await;
    stage.show_nothing();
    stage.pass_secs(1).await;
    stage.livekit.said();
    stage.pass_secs(100).await;
    assert!(stage.livekit.said().is_empty());
    assert!(stage.reports.borrow().is_empty());
    stage.show();
    stage.rest().await;
    assert_eq!(stage.livekit.said(), ["rooms", "list hall"]);
}
