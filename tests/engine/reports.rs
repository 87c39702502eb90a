//! What is reported, and when.

use std::time::Duration;

use usher::engine::PolicyReport;

use crate::support::{Fault, LiveKit, QUIET, SEAT, Stage, guest, hall, policy, spec, unavailable};

#[tokio::test(start_paused = true)]
async fn a_policy_without_rooms_is_settled_when_the_rooms_are_known() {
    let mut stage = Stage::with(QUIET).await;
    let told = stage.tells(|policy| policy.settled).await;
    assert_eq!((told.counts.rooms, told.counts.participants, told.failure), (0, 0, None));
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_settled_when_everybody_is_as_declared_and_not_before() {
    let livekit = hall([guest("anna"), guest("bert")]);
    livekit.fault("update hall/bert", 1, Fault::Slow(Duration::from_secs(3)));
    let mut stage = Stage::at(livekit, QUIET).await;
    let told = stage.tells(|policy| policy.counts.compliant == 1).await;
    assert_eq!((told.settled, told.counts.participants), (false, 2));
    let told = stage.tells(|policy| policy.settled).await;
    assert_eq!((told.counts.rooms, told.counts.participants, told.counts.compliant, told.counts.pending), (1, 2, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_not_settled_before_every_room_of_it_was_looked_at() {
    let livekit = hall([guest("anna")]);
    livekit.add("hall-2", guest("bert"));
    livekit.fault("list hall-2", 1, Fault::Slow(Duration::from_secs(3)));
    let mut stage = Stage::at(livekit, SEAT).await;
    let told = stage.tells(|policy| policy.counts.compliant == 1).await;
    assert!(!told.settled);
    stage.tells(|policy| policy.settled && policy.counts.compliant == 2).await;
}

#[tokio::test(start_paused = true)]
async fn many_rooms_are_told_of_together() {
    let livekit = LiveKit::default();
    for number in 0..1000 {
        livekit.add(&format!("hall-{}", number % 50), guest(&format!("guest-{number}")));
    }
    let mut stage = Stage::at(livekit, QUIET).await;
    let told = stage.tells(|policy| policy.settled).await;
    assert_eq!((told.counts.rooms, told.counts.participants, told.counts.compliant), (50, 1000, 1000));
    // While a report is made, further rooms change: it is of them as well.
    stage.govern([policy("rules", SEAT)]).await;
    let told = stage.tells(|policy| policy.settled).await;
    assert_eq!((told.counts.participants, told.counts.compliant, told.counts.pending), (1000, 1000, 0));
}

#[tokio::test(start_paused = true)]
async fn it_stays_settled_when_somebody_joins() {
    let mut stage = Stage::with(QUIET).await;
    stage.tells(|policy| policy.settled).await;
    stage.livekit.fault("update hall/anna", 1, Fault::Slow(Duration::from_secs(3)));
    stage.join("hall", guest("anna")).await;
    let told = stage.tells(|policy| policy.counts.pending == 1).await;
    assert!(told.settled);
}

#[tokio::test(start_paused = true)]
async fn where_people_come_without_end_a_policy_settles_nevertheless() {
    let stage = Stage::with(SEAT).await;
    stage.livekit.set_latency(Duration::from_millis(150));
    let mut stage = stage;
    stage.govern([policy("rules", QUIET)]).await;
    for number in 0..50 {
        stage.join("hall", guest(&format!("guest-{number}"))).await;
        stage.pass(Duration::from_millis(20)).await;
    }
    assert!(stage.tells(|_| true).await.settled);
}

#[tokio::test(start_paused = true)]
async fn another_version_has_to_settle_anew() {
    let mut stage = Stage::at(hall([guest("anna")]), QUIET).await;
    let before = stage.tells(|policy| policy.settled).await;
    stage.livekit.fault("update hall/anna", 1, Fault::Slow(Duration::from_secs(3)));
    stage.rule("- {name: r, set: {permission: {canPublish: true}}}").await;
    let told = stage.tells(|policy| !std::sync::Arc::ptr_eq(&policy.policy, &before.policy)).await;
    assert_eq!((told.settled, told.counts.pending), (false, 1));
    stage.tells(|policy| policy.settled && policy.counts.compliant == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_fails_is_settled_and_says_why() {
    let livekit = hall([guest("anna")]);
    livekit.fail("update", 1000, unavailable());
    let mut stage = Stage::at(livekit, QUIET).await;
    let told = stage.tells(|policy| policy.settled).await;
    assert_eq!((told.counts.failed, told.samples.len()), (1, 1));
    assert!(told.failure.unwrap().contains("unavailable"));
}

#[tokio::test(start_paused = true)]
async fn an_audited_policy_counts_and_does_nothing() {
    let audit = spec("rules", "mode: Audit\nrooms: [{prefix: hall}]\nrules:\n- {name: r, set: {name: Guest}}");
    let mut stage = Stage::seen(hall([guest("anna")]), SEAT, |view| view.policies = vec![audit]).await;
    let told = stage.tells(|policy| policy.settled && policy.counts.rooms == 1).await;
    assert_eq!((told.counts.participants, told.counts.violations), (1, 1));
    assert!(stage.livekit.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn samples_are_of_the_first_rooms_that_have_any() {
    let livekit = LiveKit::default();
    for number in 0..400 {
        livekit.add(&format!("hall-{:02}", number / 10), guest(&format!("guest-{number:03}")));
    }
    let audit = spec("rules", "mode: Audit\nrooms: [{prefix: hall}]\nrules:\n- {name: r, set: {name: Guest}}");
    let mut stage = Stage::seen(livekit, SEAT, |view| view.policies = vec![audit]).await;
    let sampled = |from: usize| (from..from + 20).map(|number| format!("guest-{number:03}")).collect::<Vec<_>>();
    let shown = |told: &PolicyReport| told.samples.iter().map(|sample| sample.identity.clone()).collect::<Vec<_>>();
    let told = stage.tells(|policy| policy.settled && policy.counts.rooms == 40).await;
    assert_eq!((told.counts.violations, shown(&told)), (400, sampled(0)));
    // The first room and half of the next have none any more.
    for number in 0..15 {
        let (room, identity) = (format!("hall-{:02}", number / 10), format!("guest-{number:03}"));
        stage.livekit.change(&room, &identity, |guest| guest.name = "Guest".into());
    }
    let told = stage.tells(|policy| policy.counts.violations == 385).await;
    assert_eq!(shown(&told), sampled(15));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_reported_when_nothing_is_new() {
    let mut stage = Stage::at(hall([guest("anna"), guest("bert")]), SEAT).await;
    stage.tells(|policy| policy.settled && policy.counts.compliant == 2).await;
    stage.pass_secs(120).await;
    stage.reports.mark_unchanged();
    let mut reports = 0;
    for _ in 0..1000 {
        stage.pass(Duration::from_millis(300)).await;
        reports += u32::from(stage.reports.has_changed().unwrap());
        stage.reports.mark_unchanged();
    }
    // In ten rounds of listings, each with the moment of the last resync at most.
    assert!(reports <= 11, "{reports}");
}

#[tokio::test(start_paused = true)]
async fn many_changes_make_few_reports() {
    let mut stage = Stage::with(SEAT).await;
    stage.pass_secs(5).await;
    stage.reports.mark_unchanged();
    let mut reports = 0;
    for number in 0..1000 {
        stage.join("hall", guest(&format!("guest-{number}"))).await;
        reports += u32::from(stage.reports.has_changed().unwrap());
        stage.reports.mark_unchanged();
    }
    assert!(reports <= 6, "{reports} in a second");
    stage.tells(|policy| policy.counts.compliant == 1000).await;
}

#[tokio::test(start_paused = true)]
async fn the_moment_of_the_last_resync_is_that_of_the_oldest_listing() {
    let livekit = LiveKit::default();
    livekit.add("hall-1", guest("anna"));
    livekit.add("hall-2", guest("anna"));
    let mut stage = Stage::at(livekit, SEAT).await;
    stage.report(|report| report.resynced_at.is_some()).await;
    stage.livekit.fail("list hall-2", 1000, unavailable());
    stage.pass_secs(300).await;
    let age = stage.clock.now().duration_since(stage.latest().resynced_at.unwrap());
    assert!(age.as_secs() > 250, "{age}");
    stage.livekit.heal();
    stage.pass_secs(90).await;
    let age = stage.clock.now().duration_since(stage.latest().resynced_at.unwrap());
    assert!(age.as_secs() < 70, "{age}");
}
