//! What changes by itself does so in time, without a resync.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use usher_testkit::TokenSpec;

use crate::stage::{AGAIN, SOON, Stage};

const SECOND: SignedDuration = SignedDuration::from_secs(1);

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + seconds).expect("near")
}

#[tokio::test]
async fn joined_for_acts_when_the_time_has_come() {
    let stage = Stage::set().await;
    stage.policy("late", "hall-", "\n- name: late\n  match: {joinedFor: 4s}\n  set: {attributes: {seat: taken}}").await;
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    let at = guest.wait_for(SOON, |info| info.attributes.contains_key("seat")).await;
    let age = at.duration_since(guest.connected_at());
    assert!(age > SECOND * 3 && age < SECOND * 5 + SignedDuration::from_millis(500), "{age:#}");
    assert_eq!(stage.proxy.count("ListParticipants"), 0, "no resync was needed");
}

#[tokio::test]
async fn active_from_and_until_act_within_a_second_of_their_moment() {
    let stage = Stage::set().await;
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    let (from, until) = (in_seconds(12), in_seconds(16));
    stage
        .policy(
            "window",
            "hall-",
            &format!(
                "
- name: quiet hours
  activeFrom: \"{from}\"
  activeUntil: \"{until}\"
  set:
    permission: {{canPublish: false}}
- name: otherwise
  set:
    permission: {{canPublish: true}}"
            ),
        )
        .await;
    assert!(guest.permission().can_publish);
    let closed = guest.wait_for(AGAIN, |info| !info.permission.can_publish).await;
    assert!(closed >= from && closed < from + SECOND, "{closed} {from}");
    let open = guest.wait_for(Duration::from_secs(15), |info| info.permission.can_publish).await;
    assert!(open >= until && open < until + SECOND, "{open} {until}");
}
