//! Somebody joins or publishes, and a webhook says so.

use std::time::Duration;

use usher::{api::State, engine::What, policy::Permission};

use crate::support::{
    Fault, LiveKit, MUTED, QUIET, SEAT, Stage, count, guest, hall, microphone, not_found, policy, speaker, spec, status,
};

fn joined(participant: &usher::policy::Participant, whole: bool) -> What {
    What::Joined { participant: Box::new(participant.clone()), whole }
}

#[tokio::test(start_paused = true)]
async fn the_webhook_alone_is_enough_to_act() {
    let stage = Stage::with(QUIET).await;
    stage.join("hall", guest("anna")).await;
    assert_eq!(stage.livekit.said(), ["update hall/anna permission"]);
    assert!(!stage.livekit.see("hall", "anna").permission.can_publish);
}

#[tokio::test(start_paused = true)]
async fn those_who_join_a_room_have_their_turn_in_the_order_in_which_they_came() {
    let stage = Stage::with(QUIET).await;
    let names: Vec<_> = ('a'..='z').rev().map(String::from).collect();
    for name in &names {
        let somebody = guest(name);
        stage.livekit.add("hall", somebody.clone());
        stage.hear_joined("hall", &somebody);
    }
    stage.rest().await;
    assert_eq!(
        stage.livekit.writes(),
        names.iter().map(|name| format!("update hall/{name} permission")).collect::<Vec<_>>()
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_as_declared_costs_no_request() {
    let stage = Stage::with(QUIET).await;
    let mut quiet = guest("anna");
    quiet.permission.can_publish = false;
    stage.join("hall", quiet).await;
    assert!(stage.livekit.said().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_no_rule_names_is_sent_back_as_it_was() {
    let stage =
        Stage::with("- {name: r, match: {include: [Hidden]}, set: {permission: {canPublishData: false}}}").await;
    let permission = Permission {
        can_publish_data: true,
        can_update_metadata: true,
        hidden: true,
        agent: true,
        ..Permission::default()
    };
    let mut watcher = guest("watcher");
    watcher.permission = permission;
    stage.join("hall", watcher).await;
    let expected = Permission { can_publish_data: false, ..permission };
    assert_eq!(stage.livekit.see("hall", "watcher").permission, expected);
}

#[tokio::test(start_paused = true)]
async fn rooms_that_no_policy_governs_are_left_alone() {
    let stage = Stage::with(QUIET).await;
    let anna = stage.join("lobby", guest("anna")).await;
    stage.publish("lobby", "anna", microphone()).await;
    stage.hear_left("lobby", &anna);
    stage.pass_secs(100).await;
    assert!(stage.livekit.said().iter().all(|what| what == "rooms"));
}

#[tokio::test(start_paused = true)]
async fn a_doubled_webhook_is_answered_once() {
    let stage = Stage::with(QUIET).await;
    stage.livekit.set_latency(Duration::from_millis(20));
    let anna = stage.join("hall", guest("anna")).await;
    stage.hear_joined("hall", &anna);
    stage.pass_secs(1).await;
    stage.hear_joined("hall", &anna);
    stage.pass_secs(1).await;
    assert_eq!(stage.livekit.said(), ["update hall/anna permission"]);
}

#[tokio::test(start_paused = true)]
async fn an_old_webhook_makes_us_ask_first() {
    let stage = Stage::with(QUIET).await;
    stage.hear("hall", What::RoomStarted);
    let anna = guest("anna");
    stage.livekit.add("hall", anna.clone());
    stage.livekit.change("hall", "anna", |anna| anna.permission.can_subscribe = false);
    stage.hear_late("hall", joined(&anna, true), Duration::from_secs(6));
    stage.rest().await;
    assert_eq!(stage.livekit.said(), ["get hall/anna", "update hall/anna permission"]);
    assert!(!stage.livekit.see("hall", "anna").permission.can_subscribe);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_cannot_be_read_whole_makes_us_ask_first() {
    let stage = Stage::with(QUIET).await;
    stage.hear("hall", What::RoomStarted);
    let anna = guest("anna");
    stage.livekit.add("hall", anna.clone());
    stage.hear("hall", joined(&anna, false));
    stage.rest().await;
    assert_eq!(stage.livekit.said(), ["get hall/anna", "update hall/anna permission"]);
}

#[tokio::test(start_paused = true)]
async fn asking_for_somebody_is_repeated_when_it_fails() {
    let stage = Stage::with(QUIET).await;
    stage.hear("hall", What::RoomStarted);
    let anna = guest("anna");
    stage.livekit.add("hall", anna.clone());
    stage.livekit.fail("get hall/anna", 2, status(502));
    stage.hear("hall", joined(&anna, false));
    stage.pass_secs(3).await;
    assert_eq!(stage.livekit.writes(), ["update hall/anna permission"]);
}

#[tokio::test(start_paused = true)]
async fn a_room_whose_beginning_was_missed_is_listed_after_the_join() {
    let stage = Stage::with(QUIET).await;
    stage.livekit.add("hall", guest("bert"));
    let anna = guest("anna");
    stage.livekit.add("hall", anna.clone());
    stage.hear_joined("hall", &anna);
    stage.rest().await;
    let said = stage.livekit.said();
    assert_eq!(said[..2], ["update hall/anna permission", "list hall"]);
    assert_eq!(said[2..], ["update hall/bert permission"]);
}

#[tokio::test(start_paused = true)]
async fn a_new_session_of_an_identity_is_enforced_anew() {
    let stage = Stage::with(QUIET).await;
    let first = stage.join("hall", guest("anna")).await;
    stage.pass_secs(1).await;
    stage.join("hall", guest("anna")).await;
    // The end of the first session is heard after the beginning of the second.
    stage.hear_left("hall", &first);
    stage.rest().await;
    assert_eq!(stage.livekit.said(), ["update hall/anna permission", "update hall/anna permission"]);
    stage.publish("hall", "anna", microphone()).await;
    assert!(stage.livekit.said().is_empty(), "she is still known");
}

#[tokio::test(start_paused = true)]
async fn a_join_that_is_heard_after_its_end_brings_nobody_back() {
    let mut stage = Stage::with(QUIET).await;
    stage.hear("hall", What::RoomStarted);
    let anna = guest("anna");
    stage.hear_left("hall", &anna);
    stage.hear_joined("hall", &anna);
    stage.rest().await;
    assert!(stage.livekit.said().is_empty());
    stage.report(|report| (report.rooms, report.participants) == (1, 0)).await;
}

#[tokio::test(start_paused = true)]
async fn the_join_of_an_earlier_session_does_not_replace_a_later_one() {
    let stage = Stage::with(QUIET).await;
    let mut earlier = guest("anna");
    earlier.permission.can_subscribe = false;
    stage.pass_secs(1).await;
    stage.join("hall", guest("anna")).await;
    stage.hear_joined("hall", &earlier);
    stage.rest().await;
    assert_eq!(stage.livekit.said(), ["update hall/anna permission"]);
}

#[tokio::test(start_paused = true)]
async fn a_track_of_somebody_unknown_makes_us_ask_for_the_participant() {
    let stage = Stage::with(QUIET).await;
    stage.hear("hall", What::RoomStarted);
    stage.livekit.add("hall", guest("anna"));
    stage.publish("hall", "anna", microphone()).await;
    stage.publish("hall", "anna", microphone()).await;
    assert_eq!(stage.livekit.said(), ["get hall/anna", "update hall/anna permission"]);
}

#[tokio::test(start_paused = true)]
async fn a_track_of_another_session_than_the_known_one_makes_us_ask() {
    let stage = Stage::with(QUIET).await;
    let first = stage.join("hall", guest("anna")).await;
    stage.livekit.said();
    stage.pass_secs(1).await;
    // The webhooks of her leaving and joining again are lost.
    stage.livekit.add("hall", guest("anna"));
    stage.publish("hall", "anna", microphone()).await;
    assert_eq!(stage.livekit.said(), ["get hall/anna", "update hall/anna permission"]);
    stage.hear_published("hall", &first, &microphone());
    stage.rest().await;
}

#[tokio::test(start_paused = true)]
async fn a_published_track_is_acted_on_without_asking() {
    let stage = Stage::with(MUTED).await;
    stage.join("hall", guest("anna")).await;
    stage.pass_secs(10).await;
    stage.publish("hall", "anna", microphone()).await;
    let said = stage.livekit.said();
    assert_eq!((count(&said, "mute"), count(&said, "get")), (1, 0));
    assert!(stage.livekit.see("hall", "anna").tracks[0].muted);
}

#[tokio::test(start_paused = true)]
async fn an_unpublished_track_is_a_reason_to_look_again() {
    let rules = "
- {name: on-air, match: {publishing: [Microphone]}, set: {attributes: {light: red}}}
- {name: off-air, set: {attributes: {light: green}}}";
    let stage = Stage::with(rules).await;
    let anna = stage.join("hall", speaker("anna")).await;
    assert_eq!(&**stage.livekit.see("hall", "anna").attributes.get("light").unwrap(), "red");
    let track = anna.tracks[0].sid.clone();
    stage.livekit.change("hall", "anna", |anna| anna.tracks.clear());
    stage.hear("hall", What::TrackUnpublished { identity: "anna".into(), track });
    stage.rest().await;
    assert_eq!(&**stage.livekit.see("hall", "anna").attributes.get("light").unwrap(), "green");
}

#[tokio::test(start_paused = true)]
async fn everybody_of_a_crowd_is_enforced() {
    let stage = Stage::with(QUIET).await;
    stage.livekit.set_latency(Duration::from_millis(2));
    for number in 0..300 {
        let identity = format!("guest-{number}");
        let participant = guest(&identity);
        stage.livekit.add("hall", participant.clone());
        stage.hear("hall", What::RoomStarted);
        stage.hear_joined("hall", &participant);
    }
    stage.pass_secs(1).await;
    let said = stage.livekit.said();
    assert_eq!(said.len(), 300);
    assert!(said.iter().all(|what| what.starts_with("update")));
    assert_eq!(stage.livekit.most_under_way(), 32);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_being_asked_for_does_not_come_back() {
    let mut stage = Stage::with(QUIET).await;
    let anna = stage.join("hall", guest("anna")).await;
    stage.pass_secs(3).await;
    stage.livekit.said();
    stage.livekit.change("hall", "anna", |anna| anna.permission.can_publish = true);
    stage.livekit.fault("get hall/anna", 1, Fault::Slow(Duration::from_secs(1)));
    stage.govern([policy("rules", "- {name: r, set: {permission: {canSubscribe: false}}}")]).await;
    assert_eq!(stage.livekit.asked(), ["get hall/anna"]);
    stage.livekit.take("hall", "anna");
    stage.hear_left("hall", &anna);
    stage.pass_secs(2).await;
    assert!(stage.livekit.writes().is_empty());
    stage.report(|report| report.participants == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_not_heard_yet_of_who_joined_is_asked_again() {
    let stage = Stage::with(QUIET).await;
    stage.livekit.fail("update hall/anna", 1, not_found());
    stage.join("hall", guest("anna")).await;
    assert_eq!(stage.livekit.said(), ["update hall/anna permission"]);
    stage.pass_secs(2).await;
    assert_eq!(stage.livekit.said(), ["list hall", "update hall/anna permission"]);
}

#[tokio::test(start_paused = true)]
async fn an_update_that_met_another_session_counts_for_that() {
    let stage = Stage::with(SEAT).await;
    stage.livekit.fault("update hall/anna", 1, Fault::Slow(Duration::from_secs(1)));
    let first = stage.join("hall", guest("anna")).await;
    stage.pass(Duration::from_millis(100)).await;
    stage.join("hall", guest("anna")).await;
    stage.hear_left("hall", &first);
    stage.pass_secs(2).await;
    assert_eq!(&**stage.livekit.see("hall", "anna").attributes.get("seat").unwrap(), "front");
    assert_eq!(stage.livekit.said().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_room_is_the_end_of_all_sessions_in_it() {
    let mut stage = Stage::with(QUIET).await;
    stage.join("hall", guest("anna")).await;
    stage.report(|report| (report.rooms, report.participants) == (1, 1)).await;
    stage.pass_secs(2).await;
    stage.livekit.end("hall");
    stage.hear("hall", What::RoomFinished);
    stage.report(|report| (report.rooms, report.participants) == (0, 0)).await;
    stage.livekit.said();
    stage.pass_secs(60).await;
    assert!(stage.livekit.said().iter().all(|what| what == "rooms"));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_room_is_not_that_of_another_of_its_name() {
    let mut stage = Stage::with(QUIET).await;
    stage.join("hall", guest("anna")).await;
    stage.livekit.end("hall");
    stage.pass_secs(5).await;
    stage.join("hall", guest("bert")).await;
    // It comes late: LiveKit had to repeat it.
    stage.hear_late("hall", What::RoomFinished, Duration::from_secs(3));
    stage.report(|report| (report.rooms, report.participants) == (1, 1)).await;
    let said = stage.livekit.writes();
    assert_eq!(said, ["update hall/anna permission", "update hall/bert permission"]);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_of_something_past_makes_no_room() {
    let mut stage = Stage::at(LiveKit::default(), QUIET).await;
    stage.hear_left("hall", &guest("anna"));
    stage.hear("hall", What::RoomFinished);
    stage.hear("hall", What::TrackUnpublished { identity: "anna".into(), track: "TR_0".into() });
    stage.govern([spec("rules", "rooms: [{glob: '*'}]\nrules:\n- {name: r, set: {name: x}}")]).await;
    stage.pass_secs(1).await;
    assert_eq!(stage.latest().rooms, 0);
}

#[tokio::test(start_paused = true)]
async fn the_time_from_the_webhook_to_the_enforcement_is_measured() {
    let stage = Stage::with(QUIET).await;
    let mut quiet = guest("quiet");
    quiet.permission.can_publish = false;
    stage.join("hall", quiet).await;
    stage.livekit.fault("update hall/anna", 1, Fault::Slow(Duration::from_millis(40)));
    stage.join("hall", guest("anna")).await;
    stage.pass_secs(1).await;
    stage.publish("hall", "anna", microphone()).await;
    let text = stage.metrics.encode().unwrap();
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).map(ToOwned::to_owned);
    let count = "usher_time_to_enforce_seconds_count{noticed=\"join\"}";
    assert_eq!(line(count), Some(format!("{count} 1")));
    let sum = line("usher_time_to_enforce_seconds_sum{noticed=\"join\"}").unwrap();
    let sum: f64 = sum.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((0.04..0.05).contains(&sum), "{sum}");
}

#[tokio::test(start_paused = true)]
async fn who_was_listed_while_joining_is_acted_upon_when_the_webhook_comes() {
    for whole in [true, false] {
        let mut anna = guest("anna");
        anna.state = State::Joining;
        let stage = Stage::at(hall([anna]), QUIET).await;
        assert_eq!(stage.livekit.writes(), [""; 0], "nobody is touched before being active");
        stage.livekit.change("hall", "anna", |anna| anna.state = State::Active);
        let active = stage.livekit.see("hall", "anna");
        stage.livekit.said();
        stage.hear("hall", joined(&active, whole));
        stage.rest().await;
        assert_eq!(stage.livekit.said(), ["get hall/anna", "update hall/anna permission"]);
        stage.hear("hall", joined(&active, whole));
        stage.pass_secs(1).await;
        assert_eq!(stage.livekit.said(), [""; 0], "the same webhook again changes nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_sessions_that_began_in_the_same_moment_none_is_taken_for_the_last() {
    let stage = Stage::with(QUIET).await;
    let first = guest("anna");
    let mut second = guest("anna");
    second.permission = Permission::default();
    stage.livekit.add("hall", second.clone());
    stage.hear_joined("hall", &second);
    stage.rest().await;
    // The webhook of the first comes late: what it may do is not what the second is to get.
    stage.hear_joined("hall", &first);
    stage.rest().await;
    assert_eq!(stage.livekit.said(), ["list hall", "get hall/anna"]);
    assert_eq!(stage.livekit.see("hall", "anna").permission, Permission::default());
}
