//! Who may be in a room.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use usher_testkit::{TokenSpec, eventually};

use super::may_publish;
use crate::stage::{A_WHILE, SOON, Stage};

#[tokio::test]
async fn breakout_rooms() {
    let stage = Stage::for_example("breakout-rooms").await;
    let assigned = |identity: &str, room: &str| TokenSpec::new("breakout-1", identity).attribute("breakout", room);
    let anna = stage.join(&assigned("anna", "1").grant("canPublish", false)).await;
    let facilitator = stage.join(&TokenSpec::new("breakout-1", "facilitator-eve").grant("canPublish", false)).await;
    let agent = stage.join(&TokenSpec::new("breakout-1", "note-taker").kind("agent")).await;
    may_publish(&anna, &["CAMERA", "MICROPHONE", "SCREEN_SHARE", "SCREEN_SHARE_AUDIO"]).await;
    facilitator.wait_for(SOON, |info| info.permission.can_publish).await;
    stage.is_removed(&assigned("bert", "2")).await;
    stage.is_removed(&TokenSpec::new("breakout-1", "carl")).await;
    // Its own word does not open the door.
    stage.is_removed(&assigned("mallory", "1").grant("canUpdateOwnMetadata", true)).await;
    let mut elsewhere = assigned("bert", "2");
    elsewhere.room = "breakout-2".to_owned();
    let bert = stage.join(&elsewhere).await;
    may_publish(&bert, &["CAMERA", "MICROPHONE", "SCREEN_SHARE", "SCREEN_SHARE_AUDIO"]).await;
    agent.assert_unchanged_for(A_WHILE).await;
    let there = stage.livekit.participants("breakout-1").await;
    assert_eq!(there.len(), 3, "{there:?}");
}

#[tokio::test]
async fn ban() {
    let stage = Stage::for_example("ban").await;
    let anna = stage.join(&TokenSpec::new("any-room", "anna")).await;
    let trudy = stage.join(&TokenSpec::new("any-room", "trudy")).await;
    let mallory = TokenSpec::new("any-room", "mallory").name("trudy");
    stage.is_removed(&mallory).await;
    stage.is_removed(&TokenSpec::new("other-room", "spammer-7")).await;
    for untouched in [&anna, &trudy] {
        untouched.assert_unchanged_for(A_WHILE).await;
    }
    // A ban that ends soon: until then its participant goes again and again, afterwards it may stay.
    let until = Timestamp::now() + SignedDuration::from_secs(12);
    let until = Timestamp::from_second(until.as_second()).expect("it is a moment");
    let patch = format!("[{{\"op\":\"replace\",\"path\":\"/spec/rules/0/activeUntil\",\"value\":\"{until}\"}}]");
    stage.kubectl(&["patch", "roompolicy", "bans", "--type=json", "-p", &patch]).await;
    stage.is_removed(&mallory).await;
    assert!(Timestamp::now() < until, "the machine was too slow for this ban");
    let left = until.duration_since(Timestamp::now()).unsigned_abs();
    tokio::time::sleep(left + Duration::from_secs(1)).await;
    stage.join(&mallory).await.assert_unchanged_for(A_WHILE).await;
}

#[tokio::test]
async fn recorders_and_agents() {
    let stage = Stage::for_example("recorders-and-agents").await;
    let spec = |identity: &str| TokenSpec::new("board-room", identity);
    let anna = stage.join(&spec("anna")).await;
    let agent = stage.join(&spec("agent-7").kind("agent")).await;
    let recorder = spec("EG_1").kind("egress").grant("hidden", true).grant("recorder", true);
    let recorder = stage.join(&recorder).await;
    stage.is_removed(&spec("carl")).await;
    stage.is_removed(&spec("+15550100").kind("sip")).await;
    stage.is_removed(&spec("spy").grant("hidden", true)).await;

    // Another policy names them: they stay.
    let careless = "\n- name: everybody\n  match:\n    identities: [{glob: '*'}]\n    kinds: [Standard, Agent, Egress]\n    \
                    include: [Hidden]\n  remove: {}";
    stage.policy("careless", "board-", careless).await;
    stage.after_a_resync().await;
    tokio::time::sleep(A_WHILE).await;
    let mut there: Vec<_> = stage.livekit.participants("board-room").await;
    there.sort_by_key(|info| info["identity"].to_string());
    let there: Vec<_> = there.iter().map(|info| info["identity"].as_str().unwrap_or_default()).collect();
    assert_eq!(there, ["EG_1", "agent-7", "anna"]);
    assert!(anna.permission().can_publish && agent.permission().can_subscribe && !recorder.sid().is_empty());
}

#[tokio::test]
async fn audit_first() {
    let stage = Stage::for_example("audit-first").await;
    let member = stage.join(&TokenSpec::new("club-1", "member-anna")).await;
    let stranger = stage.join(&TokenSpec::new("club-1", "bert")).await;
    eventually(Duration::from_secs(60), "the audit", async || {
        let status = stage.get("roompolicy", "members-only").await["status"].take();
        let (summary, sample) = (&status["summary"], &status["samples"][0]);
        let is = summary["noncompliant"] == 1 && summary["violations"] == 1 && sample["identity"] == "bert";
        if is && sample["rule"] == "strangers" { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    stage.wait_ready("roompolicy", "members-only", "True", "Audited").await;
    stranger.assert_unchanged_for(A_WHILE).await;
    assert_eq!(stage.proxy.writes().len(), 0, "an audit changes nothing");
    stage.follow("audit-first", 1).await;
    stranger.wait_removed(SOON).await;
    member.assert_unchanged_for(A_WHILE).await;
}
