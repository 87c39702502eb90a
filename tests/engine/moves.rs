//! Moves, and circles of them.

use usher::policy::{Participant, TransferId, Transport};

use crate::support::{Stage, cloud, count, guest, movement, refused};

const ADMIT: &str = "source: {rooms: [{exact: lobby}], match: {attributes: [{key: admitted, values: [{exact: \
                     \"true\"}]}]}}\ndestinationRoom: hall";
const BACK: &str = "source: {rooms: [{exact: hall}], match: {attributes: [{key: admitted, values: [{exact: \
                    \"true\"}]}]}}\ndestinationRoom: lobby";

fn id(name: &str) -> TransferId {
    TransferId { transport: Transport::Move, name: usher::policy::ObjectName::new("livekit", name) }
}

fn admitted(identity: &str) -> Participant {
    Participant { attributes: [("admitted".into(), "true".into())].into_iter().collect(), ..guest(identity) }
}

#[tokio::test(start_paused = true)]
async fn whoever_matches_is_moved_and_the_policies_of_the_destination_apply() {
    let mut stage = Stage::bringing(cloud("lobby", [admitted("anna"), guest("bert")]), [movement("m", ADMIT)]).await;
    stage.join("lobby", admitted("carl")).await;
    assert_eq!(stage.livekit.who("lobby"), ["bert"]);
    assert_eq!(stage.livekit.who("hall"), ["anna", "carl"]);
    assert!(!stage.livekit.see("hall", "anna").permission.can_publish);
    let told = stage.tells_of(&id("m"), |report| report.settled && report.counts.participants == 0).await;
    assert_eq!((told.counts.rooms, told.circle, told.in_use), (1, None, None));
    // Whoever is admitted later is moved by the next listing.
    stage.livekit.change("lobby", "bert", |bert| drop(bert.attributes.insert("admitted".into(), "true".into())));
    stage.pass_secs(40).await;
    assert_eq!(stage.livekit.who("hall"), ["anna", "bert", "carl"]);
    // And whoever comes back is moved again: nobody sent them.
    let there = stage.livekit.see("hall", "anna");
    stage.livekit.take("hall", "anna");
    stage.hear_left("hall", &there);
    stage.join("lobby", admitted("anna")).await;
    assert_eq!(stage.livekit.who("hall"), ["anna", "bert", "carl"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_moved_onto_their_own_identity() {
    let livekit = cloud("lobby", [admitted("anna")]);
    livekit.add("hall", guest("anna"));
    let mut stage = Stage::bringing(livekit, [movement("m", ADMIT)]).await;
    let told = stage.tells_of(&id("m"), |report| report.counts.failed == 1).await;
    assert_eq!(told.in_use.as_deref(), Some("anna is in hall already, otherwise than as a copy"));
    assert_eq!(count(&stage.livekit.said(), "move"), 0);
    stage.livekit.take("hall", "anna");
    stage.pass_secs(90).await;
    assert_eq!(stage.livekit.who("lobby"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_copy_does_not_stand_in_the_way() {
    let livekit = cloud("lobby", [admitted("anna")]);
    livekit.add("hall", Participant { forwarded: true, ..guest("anna") });
    let stage = Stage::bringing(livekit, [movement("m", ADMIT)]).await;
    stage.pass_secs(30).await;
    assert_eq!((stage.livekit.who("lobby"), stage.livekit.who("hall")), (vec![], vec!["anna".to_owned()]));
    // Where the server thinks otherwise, that is told and not tried all the time.
    stage.livekit.fail("move", 1_000, refused());
    stage.livekit.add("hall", Participant { forwarded: true, ..guest("bert") });
    stage.join("lobby", admitted("bert")).await;
    stage.pass_secs(200).await;
    let said = stage.livekit.said();
    assert_eq!(count(&said, "move lobby/bert"), 1);
    assert!(count(&said, "get hall/bert") <= 2, "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn self_asserted_attributes_admit_nobody() {
    let mut anna = admitted("anna");
    anna.permission.can_update_metadata = true;
    let stage = Stage::bringing(cloud("lobby", [anna]), [movement("m", ADMIT)]).await;
    stage.pass_secs(60).await;
    assert_eq!(stage.livekit.who("lobby"), ["anna"]);
}

#[tokio::test(start_paused = true)]
async fn the_lower_of_two_moves_that_make_a_circle_stops() {
    let both = || [movement("a", ADMIT), movement("b", BACK)];
    let mut stage = Stage::bringing(cloud("lobby", [admitted("anna")]), both()).await;
    stage.pass_secs(120).await;
    assert_eq!(stage.livekit.who("hall"), ["anna"]);
    assert_eq!(count(&stage.livekit.said(), "move"), 1);
    for name in ["a", "b"] {
        let told = stage.tells_of(&id(name), |report| report.circle.is_some()).await;
        let circle = told.circle.unwrap();
        assert!(
            circle.contains("livekit/a and livekit/b") && circle.ends_with("livekit/b has stopped for them"),
            "{circle}"
        );
    }
    // Once what they select on has changed, and changed back, it is another journey.
    stage.livekit.change("hall", "anna", |anna| drop(anna.attributes.insert("admitted".into(), "no".into())));
    stage.pass_secs(40).await;
    assert_eq!(stage.livekit.who("hall"), ["anna"]);
    for name in ["a", "b"] {
        stage.tells_of(&id(name), |report| report.circle.is_none()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_higher_of_two_moves_brings_back_and_the_lower_stops() {
    let both = || [movement("a", BACK), movement("b", ADMIT)];
    let mut stage = Stage::bringing(cloud("lobby", [admitted("anna")]), both()).await;
    stage.pass_secs(120).await;
    assert_eq!(stage.livekit.who("lobby"), ["anna"]);
    assert_eq!(count(&stage.livekit.said(), "move"), 2);
    let told = stage.tells_of(&id("b"), |report| report.counts.failed == 1).await;
    assert!(told.circle.unwrap().ends_with("livekit/b has stopped for them"));
    // Without the other, there is no circle any more.
    let only = stage.view.transfers[1].clone();
    stage.bring([only]).await;
    stage.pass_secs(40).await;
    assert_eq!(stage.livekit.who("hall"), ["anna"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_selected_fields_makes_no_circle() {
    let back = "source: {rooms: [{exact: hall}], match: {attributes: [{key: admitted, absent: true}]}}\ndestinationRoom: \
                lobby";
    let mut stage =
        Stage::bringing(cloud("lobby", [admitted("anna")]), [movement("a", ADMIT), movement("b", back)]).await;
    assert_eq!(stage.livekit.who("hall"), ["anna"]);
    stage.view.resync_request = 1;
    stage.livekit.change("hall", "anna", |anna| anna.attributes.clear());
    stage.show();
    stage.rest().await;
    assert_eq!(stage.livekit.who("lobby"), ["anna"]);
    stage.livekit.change("lobby", "anna", |anna| drop(anna.attributes.insert("admitted".into(), "true".into())));
    stage.view.resync_request = 2;
    stage.show();
    stage.pass_secs(1).await;
    // She has been in the hall before, within a minute: as somebody else, so to say, when she was sent back.
    assert_eq!(stage.latest().transfers[&id("b")].circle, None);
}

#[tokio::test(start_paused = true)]
async fn the_first_of_two_moves_takes_the_participant() {
    let other = ADMIT.replace("destinationRoom: hall", "destinationRoom: cellar");
    let stage =
        Stage::bringing(cloud("lobby", [admitted("anna")]), [movement("b", &other), movement("a", ADMIT)]).await;
    assert_eq!((stage.livekit.who("hall"), stage.livekit.who("cellar")), (vec!["anna".to_owned()], vec![]));
}

#[tokio::test(start_paused = true)]
async fn audited_moves_move_nobody() {
    let mut stage =
        Stage::bringing(cloud("lobby", [admitted("anna")]), [movement("m", &format!("{ADMIT}\nmode: Audit"))]).await;
    let told = stage.tells_of(&id("m"), |report| report.settled).await;
    assert_eq!((told.counts.participants, told.counts.violations), (1, 1));
    assert_eq!(stage.livekit.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_cannot_be_moved_is_told_of() {
    let livekit = cloud("lobby", [admitted("anna")]);
    livekit.fail("move", 1_000, refused());
    let mut stage = Stage::bringing(livekit, [movement("m", ADMIT)]).await;
    stage.tells_of(&id("m"), |report| report.counts.failed == 1 && report.failure.is_some()).await;
    stage.pass_secs(250).await;
    assert_eq!(count(&stage.livekit.said(), "move"), 1);
}
