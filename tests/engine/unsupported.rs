//! Forwards and moves on a server that has neither, as the open-source server.

use usher::{
    api::Feature,
    policy::{ObjectName, TransferId, Transport},
};

use crate::support::{LiveKit, QUIET, Stage, count, forward, guest, hall, movement};

const FORWARD: &str = "source: {rooms: [{exact: hall}]}\ndestinationRooms: [overflow]";
const MOVE: &str = "source: {rooms: [{exact: hall}]}\ndestinationRoom: cellar";

async fn both(livekit: LiveKit) -> Stage {
    Stage::seen(livekit, QUIET, |view| view.transfers = vec![forward("f", FORWARD), movement("m", MOVE)]).await
}

fn id(transport: Transport, name: &str) -> TransferId {
    TransferId { transport, name: ObjectName::new("livekit", name) }
}

#[tokio::test(start_paused = true)]
async fn one_question_each_and_none_again_before_a_day() {
    let mut stage = both(hall([guest("anna"), guest("bert"), guest("carl")])).await;
    stage.report(|report| report.features.forward == Feature::Unsupported).await;
    stage.report(|report| report.features.move_ == Feature::Unsupported).await;
    for number in 0..100 {
        stage.join("hall", guest(&format!("guest-{number}"))).await;
        stage.pass_secs(600).await;
    }
    let said = stage.livekit.said();
    assert_eq!((count(&said, "forward"), count(&said, "move")), (1, 1));
    // All else goes on.
    assert!(stage.livekit.who("hall").iter().all(|who| !stage.livekit.see("hall", who).permission.can_publish));
    let report = stage.latest();
    assert!(report.transfers.values().all(|transfer| transfer.settled), "{report:?}");
    stage.pass_secs(8 * 3600).await;
    let said = stage.livekit.said();
    assert_eq!((count(&said, "forward"), count(&said, "move")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn another_spec_or_server_is_worth_a_question() {
    let mut stage = both(hall([guest("anna")])).await;
    stage.pass_secs(60).await;
    stage.livekit.calls();
    stage.bring([forward("f", FORWARD), movement("m", MOVE)]).await;
    stage.pass_secs(60).await;
    let said = stage.livekit.said();
    assert_eq!((count(&said, "forward"), count(&said, "move")), (1, 1));
    // A server that has learned it is used, as soon as it is asked.
    stage.livekit.be_cloud();
    stage.bring([forward("f", FORWARD)]).await;
    stage.report(|report| report.features.forward == Feature::Supported).await;
    assert_eq!(stage.livekit.who("overflow"), ["[anna]"]);
}

#[tokio::test(start_paused = true)]
async fn deletion_on_such_a_server_has_nothing_to_wait_for() {
    let mut stage = both(hall([guest("anna")])).await;
    stage.report(|report| report.features.forward == Feature::Unsupported).await;
    let mut ending = stage.view.transfers[0].clone();
    ending.ending = true;
    stage.bring([ending]).await;
    stage.tells_of(&id(Transport::Forward, "f"), |report| report.retired).await;
    assert_eq!(count(&stage.livekit.said(), "remove"), 0);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_matches_nothing_is_asked() {
    let stage = both(LiveKit::default()).await;
    stage.pass_secs(600).await;
    let said = stage.livekit.said();
    assert_eq!((count(&said, "forward"), count(&said, "move")), (0, 0));
    assert_eq!(stage.latest().features.forward, Feature::Unknown);
}
