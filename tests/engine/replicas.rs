//! What each replica remembers for itself must not add up.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::time::Instant;
use usher::{
    engine::{Leadership, LeadershipSender},
    policy::{TransferId, TransferMember, Transport},
};

use crate::support::{LiveKit, QUIET, Stage, cloud, count, forward, guest, movement};

/// A holder and a follower at one server.
async fn pair(livekit: LiveKit, transfers: Vec<TransferMember>) -> ([Stage; 2], [LeadershipSender; 2]) {
    let livekit = Arc::new(livekit);
    let (holds, holder) = Leadership::elected();
    holds.hold_until(Instant::now() + Duration::from_secs(86_400));
    let (follows, follower) = Leadership::elected();
    let bring = |view: &mut crate::support::View| view.transfers = transfers.clone();
    let holder = Stage::led(Arc::clone(&livekit), QUIET, holder, bring).await;
    let follower = Stage::led(livekit, QUIET, follower, bring).await;
    ([holder, follower], [holds, follows])
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_ended_again_and_again_is_made_no_more_often_by_two_than_by_one() {
    let to_one = forward("f", "source: {rooms: [{exact: stage}]}\ndestinationRooms: [overflow]");
    let (replicas, _terms) = pair(cloud("stage", []), vec![to_one]).await;
    let anna = guest("anna");
    replicas[0].join("stage", anna.clone()).await;
    replicas[1].hear_joined("stage", &anna);
    replicas[1].rest().await;
    for second in 0..60 {
        if let Some(copy) = replicas[0].livekit.find("overflow", "anna") {
            replicas[0].livekit.take("overflow", "anna");
            replicas[second % 2].hear_left("overflow", &copy);
        }
        replicas[0].pass_secs(1).await;
    }
    let made = count(&replicas[0].livekit.said(), "forward");
    // One alone makes it up to nine times.
    assert!((3..=9).contains(&made), "{made}");
}

#[tokio::test(start_paused = true)]
async fn a_circle_of_moves_ends_though_each_replica_is_told_of_one_room() {
    let moves = vec![
        movement("admit", "source: {rooms: [{exact: lobby}]}\ndestinationRoom: hall"),
        movement("back", "source: {rooms: [{exact: hall}]}\ndestinationRoom: lobby"),
    ];
    for told in [[0, 1], [1, 0]] {
        let (mut replicas, _terms) = pair(cloud("elsewhere", []), moves.clone()).await;
        let rooms = ["lobby", "hall"];
        replicas[told[0]].join("lobby", guest("anna")).await;
        let mut known = HashSet::new();
        for _ in 0..600 {
            for (room, told) in rooms.iter().zip(told) {
                let came = replicas[0].livekit.find(room, "anna").filter(|anna| known.insert(anna.sid.clone()));
                if let Some(anna) = came {
                    replicas[told].hear_joined(room, &anna);
                }
            }
            replicas[0].pass_secs(1).await;
        }
        let moved = count(&replicas[0].livekit.said(), "move");
        assert!((2..=6).contains(&moved), "{moved}");
        assert_eq!(replicas[0].livekit.who("hall"), ["anna"]);
        // Who reports says so at both.
        for name in ["admit", "back"] {
            let name = usher::policy::ObjectName::new("livekit", name);
            let id = TransferId { transport: Transport::Move, name };
            let told = replicas[0].tells_of(&id, |report| report.circle.is_some()).await;
            assert!(told.circle.unwrap().contains("livekit/back has stopped"), "{:?}", told.samples);
        }
    }
}
