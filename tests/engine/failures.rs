//! Requests that fail, and what is made of that.

use std::time::Duration;

use crate::support::{Fault, QUIET, SEAT, Stage, count, guest, hall, not_found, unavailable};

#[tokio::test(start_paused = true)]
async fn what_may_heal_is_repeated_until_it_does() {
    let mut stage = Stage::with(SEAT).await;
    stage.livekit.fail("update hall/anna", 5, unavailable());
    stage.join("hall", guest("anna")).await;
    stage.tells(|policy| policy.counts.compliant == 1).await;
    assert_eq!(count(&stage.livekit.said(), "update"), 6);
}

#[tokio::test(start_paused = true)]
async fn repetitions_come_later_each_time_and_never_double() {
    let stage = Stage::with(SEAT).await;
    stage.livekit.fail("update hall/anna", 1000, unavailable());
    stage.join("hall", guest("anna")).await;
    stage.pass_secs(600).await;
    let calls = stage.livekit.calls();
    let tries: Vec<_> = calls.iter().filter(|call| call.what.starts_with("update")).map(|call| call.at).collect();
    let gaps: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((25..60).contains(&gaps.len()), "{}", gaps.len());
    assert!(gaps[..7].windows(2).all(|pair| pair[0] < pair[1] * 2), "{gaps:?}");
    assert!(gaps[10..].iter().all(|gap| (15..=31).contains(&gap.as_secs())), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn who_asks_to_wait_is_waited_for() {
    let stage = Stage::with(SEAT).await;
    let error = usher::livekit::Error::Twirp {
        status: 503,
        code: usher::livekit::TwirpCode::Unavailable,
        message: String::new(),
        retry_after: Some(Duration::from_secs(20)),
        feature: None,
    };
    stage.livekit.fail("update hall/anna", 1, error);
    stage.join("hall", guest("anna")).await;
    stage.pass_secs(19).await;
    assert_eq!(stage.livekit.writes().len(), 1);
    stage.pass_secs(4).await;
    assert_eq!(stage.livekit.writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_goes_well_at_the_second_try_was_no_failure() {
    let mut stage = Stage::with(SEAT).await;
    stage.livekit.fail("update hall/anna", 1, unavailable());
    stage.join("hall", guest("anna")).await;
    let told = stage.tells(|policy| policy.counts.participants == 1).await;
    assert_eq!((told.counts.failed, &told.failure), (0, &None));
    let told = stage.tells(|policy| policy.counts.compliant == 1 || policy.counts.failed == 1).await;
    assert_eq!((told.counts.compliant, told.failure), (1, None));
}

#[tokio::test(start_paused = true)]
async fn what_fails_again_is_told_and_forgotten_when_it_has_healed() {
    let mut stage = Stage::with(SEAT).await;
    stage.livekit.fail("update hall/anna", 5, unavailable());
    stage.join("hall", guest("anna")).await;
    let told = stage.tells(|policy| policy.failure.is_some()).await;
    assert_eq!((told.counts.participants, told.counts.failed), (1, 1));
    stage.tells(|policy| policy.failure.is_none() && policy.counts.compliant == 1).await;
}

#[tokio::test(start_paused = true)]
async fn who_has_left_meanwhile_is_no_failure() {
    let mut stage = Stage::with(SEAT).await;
    stage.livekit.fail("update hall/anna", 1000, not_found());
    let anna = stage.join("hall", guest("anna")).await;
    stage.livekit.take("hall", "anna");
    stage.hear_left("hall", &anna);
    stage.pass_secs(100).await;
    assert_eq!(count(&stage.livekit.said(), "update"), 1);
    let told = stage.tells(|_| true).await;
    assert_eq!((told.counts.participants, told.counts.failed, told.failure), (0, 0, None));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_yes_and_does_nothing_is_not_asked_without_end() {
    let mut stage = Stage::with(QUIET).await;
    stage.livekit.fault("update hall/anna", 1000, Fault::HasNoEffect);
    stage.join("hall", guest("anna")).await;
    let told = stage.tells(|policy| policy.failure.is_some()).await;
    assert!(told.failure.unwrap().contains("does not show it"));
    stage.livekit.said();
    stage.pass_secs(300).await;
    let tries = count(&stage.livekit.said(), "update");
    assert!((5..40).contains(&tries), "{tries}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_shows_an_older_state_is_not_asked_without_end() {
    let mut stage = Stage::with(SEAT).await;
    let before = stage.join("hall", guest("anna")).await;
    stage.pass_secs(3).await;
    stage.livekit.fault("get hall/anna", 1000, Fault::Shows(Box::new(before)));
    stage.livekit.said();
    stage.rule(QUIET).await;
    stage.pass_secs(60).await;
    let said = stage.livekit.said();
    assert!((3..20).contains(&count(&said, "get")), "{said:?}");
    stage.livekit.heal();
    stage.tells(|policy| policy.counts.compliant == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_answer_was_lost_is_not_done_twice() {
    let mut stage = Stage::with(QUIET).await;
    stage.livekit.fault("update hall/anna", 1, Fault::LosesReply(usher::livekit::Error::Cut(None)));
    stage.join("hall", guest("anna")).await;
    stage.tells(|policy| policy.counts.pending == 1).await;
    // The next look shows it, and with it that there is nothing left to do.
    stage.pass_secs(40).await;
    stage.tells(|policy| policy.counts.compliant == 1 && policy.failure.is_none()).await;
    assert_eq!(stage.livekit.writes(), ["update hall/anna permission"]);
}

#[tokio::test(start_paused = true)]
async fn one_participants_trouble_is_not_anothers() {
    let stage = Stage::at(hall([guest("anna"), guest("bert")]), QUIET).await;
    stage.livekit.heal();
    stage.livekit.fault("update hall/anna", 1, Fault::Hangs);
    stage.livekit.change("hall", "anna", |anna| anna.permission.can_publish = true);
    stage.livekit.change("hall", "bert", |bert| bert.permission.can_publish = true);
    stage.pass_secs(34).await;
    assert!(!stage.livekit.see("hall", "bert").permission.can_publish);
}
