//! One of several replicas leads. The stage is one of them; what its webhooks do not tell came to another one.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use usher::{
    engine::{Leadership, LeadershipSender},
    policy::Participant,
};

use crate::support::{
    Fault, LiveKit, MUTED_ONCE, NO_TROLL, QUIET, SEAT, Stage, count, forward, guest, hall, microphone, movement,
    policy, speaker, unavailable,
};

const DAY: Duration = Duration::from_secs(86_400);

async fn follower(livekit: LiveKit, rules: &str) -> (LeadershipSender, Stage) {
    let (sender, leadership) = Leadership::elected();
    (sender, Stage::led(Arc::new(livekit), rules, leadership, |_| {}).await)
}

async fn holder(livekit: LiveKit, rules: &str) -> (LeadershipSender, Stage) {
    let (sender, leadership) = Leadership::elected();
    sender.hold_until(Instant::now() + DAY);
    (sender, Stage::led(Arc::new(livekit), rules, leadership, |_| {}).await)
}

#[tokio::test(start_paused = true)]
async fn a_follower_at_rest_keeps_a_connection_and_asks_and_reports_nothing_else() {
    let (_sender, mut stage) = follower(hall([guest("anna")]), QUIET).await;
    stage.pass_secs(1000).await;
    stage.view.resync_request = 1;
    stage.view.resync_interval = Duration::from_secs(5);
    stage.show();
    stage.pass_secs(1000).await;
    let calls = stage.livekit.calls();
    assert!((79..=82).contains(&calls.len()) && calls.iter().all(|call| call.what == "ping"), "{calls:?}");
    assert!(stage.reports.borrow().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_follower_enforces_what_webhooks_tell_by_the_same_requests() {
    let (_sender, stage) = follower(LiveKit::default(), &format!("{NO_TROLL}\n{QUIET}\n{MUTED_ONCE}")).await;
    stage.join("hall", guest("anna")).await;
    stage.join("hall", guest("troll")).await;
    assert_eq!(stage.livekit.said(), ["update hall/anna permission", "remove hall/troll"]);
    // Of a room whose beginning another replica was told.
    stage.livekit.add("hall-2", guest("bert"));
    let bert = stage.join("hall-2", guest("carl")).await;
    assert_eq!(stage.livekit.said(), ["update hall-2/carl permission"]);
    assert!(stage.livekit.see("hall-2", "bert").permission.can_publish, "{bert:?} alone was told of");
}

#[tokio::test(start_paused = true)]
async fn a_follower_asks_for_whom_it_does_not_know() {
    let (_sender, stage) = follower(hall([guest("anna")]), MUTED_ONCE).await;
    stage.publish("hall", "anna", microphone()).await;
    let said = stage.livekit.said();
    assert_eq!((said.len(), count(&said, "get hall/anna"), count(&said, "mute hall/anna")), (2, 1, 1), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_follower_repeats_what_failed_and_finds_a_server_that_was_away() {
    let (_sender, stage) = follower(LiveKit::default(), QUIET).await;
    stage.livekit.fail("update", 2, unavailable());
    stage.join("hall", guest("anna")).await;
    stage.pass_secs(5).await;
    assert!(!stage.livekit.see("hall", "anna").permission.can_publish);
    stage.livekit.fail("", 1000, crate::support::status(502));
    stage.join("hall", guest("bert")).await;
    stage.pass_secs(30).await;
    stage.livekit.heal();
    stage.pass_secs(10).await;
    assert!(!stage.livekit.see("hall", "bert").permission.can_publish);
    stage.livekit.said();
    stage.pass_secs(1000).await;
    assert!(stage.livekit.said().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_follower_takes_another_policy_for_what_it_hears_next_and_leaves_the_present_to_the_holder() {
    let (_sender, mut stage) = follower(LiveKit::default(), SEAT).await;
    stage.join("hall", guest("anna")).await;
    stage.livekit.said();
    stage.rule(QUIET).await;
    stage.pass_secs(10).await;
    assert!(stage.livekit.said().is_empty());
    stage.join("hall", guest("bert")).await;
    assert_eq!(stage.livekit.said(), ["update hall/bert permission"]);
}

#[tokio::test(start_paused = true)]
async fn a_session_grows_old_also_at_a_follower() {
    let rules = "- {name: late, match: {identities: [{glob: '*'}], joinedFor: 10s}, remove: {}}";
    let (_sender, stage) = follower(LiveKit::default(), rules).await;
    stage.join("hall", guest("anna")).await;
    stage.pass(Duration::from_millis(9900)).await;
    assert!(stage.livekit.find("hall", "anna").is_some());
    stage.pass(Duration::from_millis(200)).await;
    assert!(stage.livekit.find("hall", "anna").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_follower_forgets_what_the_holder_has_seen_since() {
    let (_sender, stage) = follower(LiveKit::default(), QUIET).await;
    let anna = stage.join("hall", guest("anna")).await;
    stage.livekit.said();
    stage.pass_secs(50).await;
    stage.publish("hall", "anna", microphone()).await;
    assert!(stage.livekit.said().is_empty(), "it is known");
    stage.pass_secs(200).await;
    let track = microphone();
    stage.hear_published("hall", &anna, &track);
    stage.rest().await;
    assert_eq!(stage.livekit.said(), ["get hall/anna"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_becomes_the_holder_lists_everything_at_once_and_reports_then() {
    let livekit = hall([guest("anna"), guest("bert")]);
    livekit.add("hall-2", guest("carl"));
    let (sender, mut stage) = follower(livekit, QUIET).await;
    stage.join("hall", guest("dora")).await;
    stage.livekit.said();
    stage.livekit.set_latency(Duration::from_millis(400));
    sender.hold_until(Instant::now() + DAY);
    stage.pass(Duration::from_millis(300)).await;
    assert!(stage.reports.borrow().values().all(|report| report.policies.values().all(|policy| !policy.settled)));
    stage.pass_secs(3).await;
    let said = stage.livekit.said();
    assert_eq!((count(&said, "rooms"), count(&said, "list hall"), count(&said, "update")), (1, 2, 3), "{said:?}");
    let report = stage.tells(|policy| policy.settled).await;
    assert_eq!((report.counts.rooms, report.counts.participants, report.counts.compliant), (2, 4, 4));
    // And it goes on.
    stage.pass_secs(100).await;
    assert!(count(&stage.livekit.said(), "list") >= 4);
}

#[tokio::test(start_paused = true)]
async fn what_only_a_follower_heard_of_and_is_over_does_not_hold_up_the_new_holder() {
    let (sender, mut stage) = follower(LiveKit::default(), QUIET).await;
    stage.join("hall", guest("anna")).await;
    stage.join("hall-2", guest("bert")).await;
    stage.livekit.end("hall-2");
    stage.livekit.take("hall", "anna");
    sender.hold_until(Instant::now() + DAY);
    stage.pass_secs(1).await;
    let report = stage.tells(|policy| policy.settled).await;
    assert_eq!(report.counts.participants, 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_holder_only_learns_of_tracks_that_were_there() {
    let (sender, mut stage) = follower(hall([speaker("anna")]), SEAT).await;
    stage.join("hall", speaker("bert")).await;
    stage.rule(MUTED_ONCE).await;
    sender.hold_until(Instant::now() + DAY);
    stage.pass_secs(1).await;
    assert!(stage.livekit.writes().iter().all(|write| !write.starts_with("mute")));
    stage.publish("hall", "bert", microphone()).await;
    assert_eq!(count(&stage.livekit.writes(), "mute hall/bert"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_follower_mutes_once_only_what_was_published_since_the_rule_came() {
    let (_sender, mut stage) = follower(LiveKit::default(), SEAT).await;
    let bert = stage.join("hall", speaker("bert")).await;
    stage.rule(MUTED_ONCE).await;
    stage.livekit.said();
    let track = microphone();
    stage.publish("hall", "bert", track.clone()).await;
    assert_eq!(stage.livekit.writes(), [format!("mute hall/bert {}", track.sid)], "{bert:?}");
}

#[tokio::test(start_paused = true)]
async fn joins_under_way_at_a_turn_are_finished() {
    let (sender, stage) = follower(LiveKit::default(), QUIET).await;
    stage.livekit.fault("update", 1, Fault::Slow(Duration::from_secs(1)));
    stage.livekit.fail("update", 2, unavailable());
    stage.join("hall", guest("anna")).await;
    stage.join("hall", guest("bert")).await;
    sender.hold_until(Instant::now() + DAY);
    stage.pass(Duration::from_millis(100)).await;
    sender.follow();
    stage.pass_secs(5).await;
    for identity in ["anna", "bert"] {
        assert!(!stage.livekit.see("hall", identity).permission.can_publish, "{identity}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_leads_no_more_stops_listing_and_takes_back_its_report() {
    let (sender, mut stage) = holder(hall([guest("anna")]), QUIET).await;
    stage.report(|report| report.rooms == 1).await;
    assert!(stage.metrics.encode().unwrap().contains("last_successful_resync"));
    sender.follow();
    stage.rest().await;
    assert!(stage.reports.borrow().is_empty());
    stage.livekit.said();
    stage.pass_secs(100).await;
    assert!(stage.livekit.said().is_empty());
    let metrics = stage.metrics.encode().unwrap();
    assert!(!metrics.contains("usher_last_successful_resync_timestamp_seconds{"), "{metrics}");
    stage.join("hall", guest("bert")).await;
    assert_eq!(stage.livekit.said(), ["update hall/bert permission"]);
}

#[tokio::test(start_paused = true)]
async fn a_term_that_is_not_renewed_ends_without_anybodys_word() {
    let (sender, stage) = holder(hall([guest("anna")]), QUIET).await;
    sender.hold_until(Instant::now() + Duration::from_secs(60));
    stage.pass_secs(63).await;
    assert!(count(&stage.livekit.said(), "list hall") >= 2);
    stage.pass_secs(100).await;
    assert!(stage.livekit.said().is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_policy_reaches_also_those_whom_only_other_replicas_heard_of() {
    let (_sender, mut stage) = holder(hall([guest("anna")]), SEAT).await;
    stage.livekit.add("hall", guest("bert"));
    stage.livekit.said();
    stage.rule(QUIET).await;
    let mut writes = stage.livekit.writes();
    writes.sort();
    assert_eq!(writes, ["update hall/anna permission", "update hall/bert permission"]);
    let report = stage.tells(|policy| policy.settled).await;
    assert_eq!((report.counts.participants, report.counts.compliant), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_rule_begins_to_the_second_also_for_those_whom_only_other_replicas_heard_of() {
    let rules = "- {name: quiet, activeFrom: '2026-06-01T12:00:15Z', set: {permission: {canPublish: false}}}";
    let (_sender, mut stage) = holder(hall([guest("anna")]), rules).await;
    stage.view.resync_interval = Duration::from_secs(3600);
    stage.show();
    stage.livekit.add("hall", guest("bert"));
    stage.pass(Duration::from_millis(14_900)).await;
    assert!(stage.livekit.writes().is_empty());
    stage.pass(Duration::from_millis(200)).await;
    assert_eq!(stage.livekit.writes().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_was_frozen_does_nothing_before_it_knows_what_was_declared_meanwhile() {
    let (_sender, mut stage) = holder(hall([guest("anna")]), QUIET).await;
    stage.pass_secs(1).await;
    stage.livekit.said();
    // Somebody else, by another policy.
    stage.livekit.change("hall", "anna", |anna| anna.permission.can_publish = true);
    tokio::time::advance(Duration::from_secs(40)).await;
    let bert = stage.join("hall", guest("bert")).await;
    stage.pass_secs(1).await;
    assert!(stage.livekit.said().is_empty(), "it waits");
    stage.view.policies = vec![policy("rules", SEAT)];
    stage.govern([policy("rules", SEAT)]).await;
    stage.pass_secs(5).await;
    let mut writes = stage.livekit.writes();
    writes.sort();
    assert_eq!(writes, ["update hall/anna attributes", "update hall/bert attributes"], "{bert:?}");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_follower_is_as_careful() {
    let (_sender, stage) = follower(LiveKit::default(), QUIET).await;
    tokio::time::advance(Duration::from_secs(40)).await;
    stage.join("hall", guest("anna")).await;
    stage.pass_secs(1).await;
    assert!(stage.livekit.said().is_empty());
    stage.pass_secs(2).await;
    assert_eq!(stage.livekit.writes(), ["update hall/anna permission"]);
}

#[tokio::test(start_paused = true)]
async fn a_follower_forwards_and_moves_who_joins_and_ends_no_copies() {
    let livekit = LiveKit::default();
    livekit.be_cloud();
    livekit.add("stage", guest("anna"));
    let transfers = || {
        let hosts = "match: {attributes: [{key: role}]}";
        vec![
            forward("f", &format!("source: {{rooms: [{{exact: stage}}], {hosts}}}\ndestinationRooms: [overflow]")),
            movement("m", "source: {rooms: [{exact: lobby}]}\ndestinationRoom: cellar"),
        ]
    };
    let host = |identity: &str| Participant {
        attributes: [("role".into(), "host".into())].into_iter().collect(),
        ..guest(identity)
    };
    livekit.add("overflow", Participant { forwarded: true, ..guest("anna") });
    let (sender, leadership) = Leadership::elected();
    let mut stage = Stage::led(Arc::new(livekit), QUIET, leadership, |view| view.transfers = transfers()).await;
    assert!(stage.livekit.said().is_empty());
    stage.join("stage", host("bert")).await;
    stage.join("stage", guest("anna")).await;
    stage.join("lobby", guest("carl")).await;
    assert_eq!(stage.livekit.who("overflow"), ["[anna]", "[bert]"]);
    assert_eq!((stage.livekit.who("lobby"), stage.livekit.who("cellar")), (vec![], vec!["carl".to_owned()]));
    let said = stage.livekit.said();
    assert_eq!((count(&said, "list"), count(&said, "rooms"), count(&said, "remove")), (0, 0, 0), "{said:?}");
    // Other forwards are the holder's business, and so is what has to be listed.
    stage.bring(transfers()).await;
    stage.pass_secs(200).await;
    assert!(stage.livekit.said().is_empty());
    assert!(stage.reports.borrow().is_empty());
    // Once it is the holder, the copy of whom no forward takes goes.
    sender.hold_until(Instant::now() + DAY);
    stage.pass_secs(5).await;
    assert_eq!(stage.livekit.who("overflow"), ["[bert]"]);
    let told = stage.report(|report| report.transfers.values().all(|one| one.settled)).await;
    assert_eq!(told.transfers.values().map(|one| one.counts.compliant).sum::<u32>(), 1);
}
