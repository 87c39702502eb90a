//! What was written down of a forward, for a worker that was not there then.

use std::sync::Arc;

use usher::{
    livekit::Error,
    policy::{ObjectName, Participant, Transfer, TransferId, TransferMember, Transport},
};

use crate::support::{LiveKit, QUIET, Stage, cloud, forward, guest};

const TO_ONE: &str = "source: {rooms: [{exact: stage}]}\ndestinationRooms: [overflow-1]";

fn id() -> TransferId {
    TransferId { transport: Transport::Forward, name: ObjectName::new("livekit", "f") }
}

/// What a forward is remembered for.
fn once(forward: &TransferMember, rooms: &[&str]) -> Arc<Transfer> {
    Arc::new(forward.transfer.leading_to(rooms.iter().map(|room| Arc::from(*room))))
}

/// Anna on the stage, and copies of her and of a stranger in these rooms.
fn copies_in(rooms: &[&str]) -> LiveKit {
    let livekit = cloud("stage", [guest("anna")]);
    for room in rooms {
        for identity in ["anna", "stranger"] {
            livekit.add(room, Participant { forwarded: true, ..guest(identity) });
        }
    }
    livekit
}

/// A worker that begins at a server where this forward once led elsewhere too.
async fn begins(livekit: LiveKit, forward: TransferMember, rooms: &[&str]) -> Stage {
    let remembered = vec![once(&forward, rooms)];
    Stage::seen(livekit, QUIET, |view| {
        view.transfers = vec![forward];
        view.remembered = remembered;
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_left_the_list_while_nobody_worked_loses_its_copies() {
    let livekit = copies_in(&["overflow-1", "overflow-2", "overflow-3"]);
    let mut stage = begins(livekit, forward("f", TO_ONE), &["overflow-2"]).await;
    let told = stage.tells_of(&id(), |report| report.settled && report.left.is_empty()).await;
    assert_eq!(told.counts.compliant, 1);
    assert_eq!(stage.livekit.writes(), ["remove overflow-2/anna"]);
    assert_eq!(stage.livekit.who("overflow-1"), ["[anna]", "[stranger]"]);
    assert_eq!(stage.livekit.who("overflow-2"), ["[stranger]"]);
    assert_eq!(stage.livekit.who("overflow-3"), ["[anna]", "[stranger]"]);
    // From then on that room is none of its business.
    stage.pass_secs(60).await;
    stage.livekit.add("overflow-2", Participant { forwarded: true, ..guest("anna") });
    stage.pass_secs(120).await;
    assert_eq!(stage.livekit.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn as_long_as_nobody_can_look_the_room_is_told_of() {
    let livekit = copies_in(&["overflow-2"]);
    livekit.fail("", 1_000_000, Error::Connect(None));
    let mut stage = begins(livekit, forward("f", TO_ONE), &["overflow-2"]).await;
    stage.pass_secs(60).await;
    assert_eq!(stage.latest().transfers[&id()].left, [Arc::from("overflow-2")]);
    stage.livekit.heal();
    stage.tells_of(&id(), |report| report.left.is_empty()).await;
    assert_eq!(stage.livekit.who("overflow-2"), ["[stranger]"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_deleted_is_over_when_there_is_nothing_left_there_either() {
    let livekit = copies_in(&["overflow-1", "overflow-2"]);
    let ending = TransferMember { ending: true, ..forward("f", TO_ONE) };
    let mut stage = begins(livekit, ending, &["overflow-2"]).await;
    stage.tells_of(&id(), |report| report.retired).await;
    for room in ["overflow-1", "overflow-2"] {
        assert_eq!(stage.livekit.who(room), ["[stranger]"]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_only_reports_ends_nothing() {
    let audit = forward("f", &format!("{TO_ONE}\nmode: Audit"));
    let stage = begins(copies_in(&["overflow-2"]), audit, &["overflow-2"]).await;
    stage.pass_secs(120).await;
    assert_eq!(stage.livekit.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_another_forward_wants_there_stays() {
    let first = forward("f", TO_ONE);
    let remembered = vec![once(&first, &["overflow-2"])];
    let second = forward("g", "source: {rooms: [{exact: stage}]}\ndestinationRooms: [overflow-2]");
    let stage = Stage::seen(copies_in(&["overflow-2"]), QUIET, |view| {
        view.transfers = vec![first, second];
        view.remembered = remembered;
    })
    .await;
    stage.pass_secs(120).await;
    assert_eq!(stage.livekit.who("overflow-2"), ["[anna]", "[stranger]"]);
}
