//! Forwards: copies are made, kept and ended.

use std::time::Duration;

use usher::{
    api::Feature,
    livekit::Error,
    policy::{Participant, TransferId, TransferMember, Transport},
};

use crate::support::{Fault, LiveKit, QUIET, Stage, cloud, count, forward, guest, refused, spec, unavailable};

const TO_ONE: &str = "source: {rooms: [{exact: stage}]}\ndestinationRooms: [overflow-1]";
const TO_BOTH: &str = "source: {rooms: [{exact: stage}]}\ndestinationRooms: [overflow-1, overflow-2]";
const SPEAKERS: &str = "source: {rooms: [{exact: stage}], match: {attributes: [{key: role, values: [{exact: \
                        speaker}]}]}}\ndestinationRooms: [overflow-1]";

fn id(name: &str) -> TransferId {
    TransferId { transport: Transport::Forward, name: usher::policy::ObjectName::new("livekit", name) }
}

fn speaker(identity: &str) -> Participant {
    Participant { attributes: [("role".into(), "speaker".into())].into_iter().collect(), ..guest(identity) }
}

#[tokio::test(start_paused = true)]
async fn who_is_there_and_who_joins_is_forwarded_to_every_destination() {
    let mut stage = Stage::bringing(cloud("stage", [guest("anna")]), [forward("f", TO_BOTH)]).await;
    stage.join("stage", guest("bert")).await;
    stage.rest().await;
    for room in ["overflow-1", "overflow-2"] {
        assert_eq!(stage.livekit.who(room), ["[anna]", "[bert]"]);
    }
    let told = stage.tells_of(&id("f"), |report| report.counts.compliant == 2).await;
    assert!(told.settled);
    assert_eq!((told.counts.rooms, told.counts.participants, told.counts.pending, told.counts.failed), (1, 2, 0, 0));
    assert_eq!(stage.latest().features.forward, Feature::Supported);
    // From now on nothing is to be done.
    stage.livekit.calls();
    stage.pass_secs(120).await;
    assert_eq!(stage.livekit.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn rooms_without_forwards_are_asked_nothing_more() {
    let stage = Stage::bringing(cloud("stage", []), [forward("f", TO_ONE)]).await;
    stage.livekit.said();
    stage.join("hall", guest("anna")).await;
    assert_eq!(stage.livekit.said(), ["update hall/anna permission"]);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_has_gone_is_made_again_while_its_source_is_there() {
    let stage = Stage::bringing(cloud("stage", [guest("anna")]), [forward("f", TO_ONE)]).await;
    let copy = stage.livekit.see("overflow-1", "anna");
    stage.livekit.take("overflow-1", "anna");
    stage.hear_left("overflow-1", &copy);
    stage.rest().await;
    assert_eq!(stage.livekit.who("overflow-1"), ["[anna]"]);
    // Without any webhook as well.
    stage.livekit.take("overflow-1", "anna");
    stage.pass_secs(70).await;
    assert_eq!(stage.livekit.who("overflow-1"), ["[anna]"]);
    // And not without its source.
    stage.livekit.calls();
    stage.livekit.take("stage", "anna");
    stage.pass_secs(120).await;
    assert_eq!(stage.livekit.who("overflow-1"), [""; 0]);
    assert_eq!(stage.livekit.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_ended_again_and_again_is_made_less_often() {
    let mut stage = Stage::bringing(cloud("stage", [guest("anna")]), [forward("f", TO_ONE)]).await;
    for _ in 0..60 {
        if let Some(copy) = stage.livekit.find("overflow-1", "anna") {
            stage.livekit.take("overflow-1", "anna");
            stage.hear_left("overflow-1", &copy);
        }
        stage.pass_secs(1).await;
    }
    let made = count(&stage.livekit.said(), "forward");
    assert!((5..=9).contains(&made), "{made}");
    let told = stage.tells_of(&id("f"), |report| report.undone).await;
    assert_eq!(told.counts.pending, 1);
}

/// Anna is in two source rooms, only in the first one as somebody to be forwarded, and her copy stands.
fn in_two_sources() -> (LiveKit, TransferMember) {
    let livekit = cloud("stage-1", [speaker("anna"), guest("bert")]);
    livekit.add("stage-2", guest("anna"));
    livekit.add("overflow-1", Participant { forwarded: true, ..guest("anna") });
    (livekit, forward("f", &SPEAKERS.replace("exact: stage", "prefix: stage-")))
}

#[tokio::test(start_paused = true)]
async fn a_first_listing_that_lacks_the_source_ends_no_copy() {
    let (livekit, forward) = in_two_sources();
    livekit.fault("list stage-1", 1, Fault::Shows(Box::new(guest("bert"))));
    let stage = Stage::bringing(livekit, [forward]).await;
    stage.pass_secs(120).await;
    assert_eq!(stage.livekit.writes(), [""; 0]);
    // Two looks have shown nobody else who wants it.
    stage.livekit.change("stage-1", "anna", |anna| anna.attributes.clear());
    stage.pass_secs(60).await;
    assert_eq!(stage.livekit.writes(), ["remove overflow-1/anna"]);
}

#[tokio::test(start_paused = true)]
async fn a_first_list_of_rooms_that_lacks_the_source_ends_no_copy() {
    let (livekit, forward) = in_two_sources();
    livekit.fault("rooms", 1, Fault::ShowsNobody);
    let mut stage = Stage::bringing(livekit, [forward]).await;
    // One of the rooms becomes known otherwise.
    let anna = stage.livekit.see("stage-2", "anna");
    stage.hear_joined("stage-2", &anna);
    stage.hear_joined("overflow-1", &stage.livekit.see("overflow-1", "anna"));
    stage.tells_of(&id("f"), |report| report.counts.compliant == 1).await;
    stage.pass_secs(120).await;
    assert_eq!(stage.livekit.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_nobody_wants_after_a_start_goes_within_seconds() {
    let (livekit, forward) = in_two_sources();
    livekit.take("stage-1", "anna");
    livekit.add("overflow-1", Participant { forwarded: true, ..guest("anna") });
    let stage = Stage::bringing(livekit, [forward]).await;
    stage.pass_secs(3).await;
    assert_eq!(stage.livekit.writes(), ["remove overflow-1/anna"]);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_stops_matching_loses_its_copy() {
    let stage = Stage::bringing(cloud("stage", [speaker("anna"), speaker("bert")]), [forward("f", SPEAKERS)]).await;
    assert_eq!(stage.livekit.who("overflow-1"), ["[anna]", "[bert]"]);
    stage.livekit.calls();
    stage.livekit.change("stage", "anna", |anna| anna.attributes.clear());
    stage.pass_secs(40).await;
    assert_eq!(stage.livekit.writes(), ["remove overflow-1/anna"]);
    assert_eq!(stage.livekit.who("overflow-1"), ["[bert]"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_copy_is_left_alone_and_stands_in_the_way() {
    let livekit = cloud("stage", [guest("anna"), guest("bert")]);
    livekit.add("overflow-1", guest("anna"));
    let mut stage = Stage::bringing(livekit, [forward("f", TO_ONE)]).await;
    assert_eq!(stage.livekit.who("overflow-1"), ["anna", "[bert]"]);
    let told = stage.tells_of(&id("f"), |report| report.counts.failed == 1 && report.counts.compliant == 1).await;
    assert!(told.settled);
    assert_eq!(told.in_use.as_deref(), Some("anna is in overflow-1 already, otherwise than as a copy"));
    assert_eq!(told.samples.first().unwrap().identity, "anna");
    // When that one leaves, the copy is made.
    let there = stage.livekit.see("overflow-1", "anna");
    stage.livekit.take("overflow-1", "anna");
    stage.hear_left("overflow-1", &there);
    stage.rest().await;
    assert_eq!(stage.livekit.who("overflow-1"), ["[anna]", "[bert]"]);
    stage.tells_of(&id("f"), |report| report.counts.compliant == 2 && report.in_use.is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn who_came_in_unheard_is_not_driven_out() {
    let stage = Stage::bringing(cloud("stage", []), [forward("f", TO_ONE)]).await;
    stage.livekit.add("overflow-1", guest("bert"));
    stage.pass_secs(40).await;
    // No webhook tells of this one, and the last listing was a while ago.
    stage.livekit.add("overflow-1", guest("anna"));
    stage.pass_secs(5).await;
    stage.join("stage", guest("anna")).await;
    stage.pass_secs(60).await;
    assert_eq!(stage.livekit.who("overflow-1"), ["anna", "bert"]);
    assert_eq!(count(&stage.livekit.said(), "forward"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_leaves_the_list_loses_its_copies() {
    let mut stage = Stage::bringing(cloud("stage", [guest("anna"), guest("bert")]), [forward("f", TO_BOTH)]).await;
    stage.livekit.calls();
    stage.bring([forward("f", TO_ONE)]).await;
    stage.pass_secs(1).await;
    let mut writes = stage.livekit.writes();
    writes.sort();
    assert_eq!(writes, ["remove overflow-2/anna", "remove overflow-2/bert"]);
    assert_eq!(stage.livekit.who("overflow-1"), ["[anna]", "[bert]"]);
    // Later copies there, made by somebody else, are none of ours.
    let copy = Participant { forwarded: true, ..guest("anna") };
    stage.pass_secs(60).await;
    stage.livekit.add("overflow-2", copy);
    stage.livekit.calls();
    stage.pass_secs(120).await;
    assert_eq!(stage.livekit.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_another_forward_wants_stays() {
    let forwards = || [forward("f", TO_BOTH), forward("g", SPEAKERS)];
    let mut stage = Stage::bringing(cloud("stage", [speaker("anna"), guest("bert")]), forwards()).await;
    // One copy, whoever wants it.
    assert_eq!(count(&stage.livekit.said(), "forward stage/anna overflow-1"), 1);
    stage
        .bring([
            forward("f", "source: {rooms: [{exact: stage}]}\ndestinationRooms: [overflow-2]"),
            forwards()[1].clone(),
        ])
        .await;
    stage.pass_secs(1).await;
    assert_eq!(stage.livekit.who("overflow-1"), ["[anna]"]);
    assert_eq!(stage.livekit.who("overflow-2"), ["[anna]", "[bert]"]);
}

#[tokio::test(start_paused = true)]
async fn deletion_with_stop_ends_the_copies_and_says_when_that_is_done() {
    let mut stage = Stage::bringing(cloud("stage", [guest("anna"), guest("bert")]), [forward("f", TO_BOTH)]).await;
    let other = Participant { forwarded: true, ..guest("stranger") };
    stage.livekit.add("overflow-1", other);
    let mut ending = stage.view.transfers[0].clone();
    ending.ending = true;
    stage.livekit.calls();
    stage.bring([ending]).await;
    stage.tells_of(&id("f"), |report| report.retired).await;
    assert_eq!(stage.livekit.who("overflow-1"), ["[stranger]"]);
    assert_eq!(stage.livekit.who("overflow-2"), [""; 0]);
    assert_eq!(count(&stage.livekit.writes(), "remove"), 4);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_to_be_done_while_the_server_is_away() {
    let mut stage = Stage::bringing(cloud("stage", [guest("anna")]), [forward("f", TO_ONE)]).await;
    stage.livekit.fail("", 1_000_000, Error::Connect(None));
    stage.pass_secs(40).await;
    let mut ending = stage.view.transfers[0].clone();
    ending.ending = true;
    stage.bring([ending]).await;
    stage.pass_secs(30).await;
    assert!(!stage.latest().transfers[&id("f")].retired);
    stage.livekit.heal();
    stage.tells_of(&id("f"), |report| report.retired).await;
    assert_eq!(stage.livekit.who("overflow-1"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_source_listing_that_fails_or_shows_nobody_ends_no_copy() {
    let stage = Stage::bringing(cloud("stage", [guest("anna")]), [forward("f", TO_ONE)]).await;
    stage.livekit.calls();
    stage.livekit.fail("list stage", 3, unavailable());
    stage.pass_secs(60).await;
    stage.livekit.fault("list stage", 3, Fault::ShowsNobody);
    stage.pass_secs(180).await;
    stage.livekit.fault("list overflow-1", 3, Fault::ShowsNobody);
    stage.pass_secs(180).await;
    stage.livekit.fault("rooms", 3, Fault::ShowsNobody);
    stage.pass_secs(180).await;
    assert_eq!(count(&stage.livekit.said(), "remove"), 0);
    assert_eq!(stage.livekit.who("overflow-1"), ["[anna]"]);
}

#[tokio::test(start_paused = true)]
async fn suspended_or_audited_forwards_do_nothing() {
    let audit = forward("f", &format!("{TO_BOTH}\nmode: Audit"));
    let mut stage = Stage::bringing(cloud("stage", [guest("anna")]), [audit]).await;
    let told = stage.tells_of(&id("f"), |report| report.settled).await;
    assert_eq!((told.counts.participants, told.counts.violations, told.counts.compliant), (1, 2, 0));
    stage.pass_secs(60).await;
    assert_eq!(stage.livekit.writes(), [""; 0]);
    stage.bring([forward("f", TO_BOTH)]).await;
    assert_eq!(stage.livekit.who("overflow-1"), ["[anna]"]);
    // Without it, as when it is suspended, copies stay.
    stage.livekit.calls();
    stage.bring([]).await;
    stage.pass_secs(60).await;
    assert_eq!(stage.livekit.writes(), [""; 0]);
    assert_eq!(stage.livekit.who("overflow-1"), ["[anna]"]);
}

#[tokio::test(start_paused = true)]
async fn room_policies_apply_to_copies_only_where_they_name_them() {
    let named = "rooms: [{exact: overflow-1}]\nrules:\n- {name: r, match: {include: [Forwarded]}, set: {attributes: {seat: back}}}";
    let unnamed = "rooms: [{exact: overflow-2}]\nrules:\n- {name: r, set: {attributes: {seat: back}}}";
    let stage = Stage::seen(cloud("stage", [guest("anna")]), QUIET, |view| {
        view.transfers = vec![forward("f", TO_BOTH)];
        view.policies = vec![spec("named", named), spec("unnamed", unnamed)];
    })
    .await;
    stage.pass_secs(1).await;
    assert_eq!(&**stage.livekit.see("overflow-1", "anna").attributes.get("seat").unwrap(), "back");
    assert!(stage.livekit.see("overflow-2", "anna").attributes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_is_to_be_removed_is_not_forwarded() {
    let banned = "rooms: [{exact: stage}]\nrules:\n- {name: r, match: {identities: [{exact: troll}]}, remove: {}}";
    let stage = Stage::seen(cloud("stage", [guest("anna")]), QUIET, |view| {
        view.transfers = vec![forward("f", TO_ONE)];
        view.policies = vec![spec("banned", banned)];
    })
    .await;
    stage.livekit.fail("remove stage/troll", 3, unavailable());
    stage.join("stage", guest("troll")).await;
    stage.pass_secs(10).await;
    assert_eq!(count(&stage.livekit.said(), "forward stage/troll"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_refuses_is_told_and_not_repeated() {
    let livekit = cloud("stage", [guest("anna"), guest("bert")]);
    livekit.fail("forward stage/anna", 1, refused());
    let mut stage = Stage::bringing(livekit, [forward("f", TO_ONE)]).await;
    let told = stage.tells_of(&id("f"), |report| report.counts.failed == 1).await;
    assert!(told.failure.unwrap().contains("invalid_argument"));
    assert_eq!(stage.livekit.who("overflow-1"), ["[bert]"]);
    stage.pass_secs(200).await;
    assert_eq!(count(&stage.livekit.said(), "forward stage/anna"), 1);
    stage.pass_secs(150).await;
    stage.tells_of(&id("f"), |report| report.counts.compliant == 2 && report.failure.is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_forward_whose_answer_is_lost_is_not_sent_twice() {
    let livekit = cloud("stage", [guest("anna")]);
    livekit.fault("forward", 1, Fault::LosesReply(Error::Cut(None)));
    let stage = Stage::bringing(livekit, [forward("f", TO_ONE)]).await;
    stage.pass_secs(60).await;
    assert_eq!(count(&stage.livekit.said(), "forward"), 1);
    assert_eq!(stage.livekit.who("overflow-1"), ["[anna]"]);
}

#[tokio::test(start_paused = true)]
async fn many_are_checked_by_a_listing_and_not_one_by_one() {
    let livekit = cloud("stage", (0..200).map(|number| guest(&format!("guest-{number}"))));
    livekit.add("overflow-1", guest("bert"));
    let stage = Stage::bringing(livekit, [forward("f", TO_ONE)]).await;
    stage.pass(Duration::from_secs(1)).await;
    assert_eq!(stage.livekit.who("overflow-1").len(), 201);
    let said = stage.livekit.said();
    assert_eq!(count(&said, "forward"), 200);
    // Each is looked at once after it has come.
    assert!(count(&said, "get") <= 210, "{}", count(&said, "get"));
}

#[tokio::test(start_paused = true)]
async fn a_destination_in_which_nobody_is_is_no_room_in_session() {
    let livekit = cloud("stage", [guest("anna")]);
    livekit.fail("forward", 100, unavailable());
    let mut stage = Stage::bringing(livekit, [forward("f", TO_ONE)]).await;
    let report = stage.report(|report| report.participants == 1).await;
    assert_eq!(report.rooms, 1);
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_lacks_the_source_ends_no_copy_for_another_of_its_identity() {
    let both = SPEAKERS.replace("[{exact: stage}]", "[{exact: stage}, {exact: side}]");
    let livekit = cloud("stage", [speaker("anna"), guest("bert")]);
    livekit.add("side", guest("anna"));
    let stage = Stage::bringing(livekit, [forward("f", &both)]).await;
    assert_eq!(stage.livekit.who("overflow-1"), ["[anna]"]);
    stage.livekit.calls();
    stage.livekit.fault("list stage", 1, Fault::Shows(Box::new(stage.livekit.see("stage", "bert"))));
    stage.pass_secs(60).await;
    assert_eq!(count(&stage.livekit.said(), "remove"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_look_at_a_copy_that_failed_does_not_stand_in_the_way_of_the_next_one() {
    let stage = Stage::bringing(cloud("stage", []), [forward("f", TO_ONE)]).await;
    stage.livekit.fault("forward", 1, Fault::Slow(Duration::from_millis(500)));
    stage.livekit.add("stage", guest("anna"));
    stage.hear_joined("stage", &stage.livekit.see("stage", "anna"));
    stage.pass(Duration::from_millis(100)).await;
    // The copy is heard of before the forward is answered, and cannot be looked at then.
    let copy = stage.livekit.see("overflow-1", "anna");
    stage.hear_joined("overflow-1", &copy);
    stage.livekit.fail("get overflow-1", 1, unavailable());
    stage.pass_secs(2).await;
    stage.livekit.take("overflow-1", "anna");
    stage.hear_left("overflow-1", &copy);
    stage.pass_secs(90).await;
    assert_eq!(stage.livekit.who("overflow-1"), ["[anna]"]);
}
