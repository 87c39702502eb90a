//! A listing is a look, and a look can be wrong.

use std::time::Duration;

use usher_testkit::{Fault, TokenSpec};

use crate::stage::{AGAIN, HOUSE, SOON, Scene, Stage};

/// Lets listings suffer a fault for some rounds; nobody may notice.
async fn nobody_notices(fault: Fault) {
    let stage = Stage::with(Scene { resync_interval: Some("5s"), ..Default::default() }).await;
    stage.policy("rules", "hall-", HOUSE).await;
    let anna = stage.join(&TokenSpec::new("hall-1", "anna")).await;
    let bert = stage.join(&TokenSpec::new("hall-1", "bert")).await;
    for guest in [&anna, &bert] {
        guest.wait_for(SOON, |info| !info.permission.can_publish).await;
    }
    stage.proxy.clear();
    stage.proxy.fault("ListParticipants", fault.clone());
    stage.proxy.fault("ListRooms", fault);
    tokio::time::sleep(Duration::from_secs(17)).await;
    assert!(stage.proxy.count("ListParticipants") + stage.proxy.count("ListRooms") >= 3, "{:?}", stage.proxy.counts());
    assert_eq!(stage.proxy.writes().len(), 0, "{:?}", stage.proxy.counts());
    stage.proxy.clear_faults();
    for guest in [&anna, &bert] {
        guest.assert_unchanged_for(Duration::from_secs(1)).await;
    }
    assert_eq!(stage.livekit.participants("hall-1").await.len(), 2);
    // It still does its work.
    let carl = stage.join(&TokenSpec::new("hall-1", "carl")).await;
    carl.wait_for(AGAIN, |info| !info.permission.can_publish).await;
}

#[tokio::test]
async fn an_empty_listing_removes_nobody() {
    let empty = Fault::Reply {
        status: http::StatusCode::OK,
        content_type: "application/protobuf".to_owned(),
        body: bytes::Bytes::new(),
    };
    nobody_notices(empty).await;
}

#[tokio::test]
async fn a_failed_listing_removes_nobody() {
    nobody_notices(Fault::twirp(503, "unavailable", "no response from servers")).await;
}

#[tokio::test]
async fn a_listing_that_breaks_off_removes_nobody() {
    nobody_notices(Fault::LoseReply).await;
}

#[tokio::test]
async fn a_partial_listing_removes_nobody() {
    let stage = Stage::with(Scene { resync_interval: Some("5s"), ..Default::default() }).await;
    stage.policy("rules", "hall-", HOUSE).await;
    let anna = stage.join(&TokenSpec::new("hall-1", "anna")).await;
    let bert = stage.join(&TokenSpec::new("hall-1", "bert")).await;
    for guest in [&anna, &bert] {
        guest.wait_for(SOON, |info| !info.permission.can_publish).await;
    }
    // What the server would say if it had lost one of the two: the same answer without its last participant.
    let whole = stage.proxy.wait_for("ListParticipants", 1, Duration::from_secs(20)).await;
    assert!(!whole.is_empty());
    let anna_alone = {
        use livekit_protocol::{ListParticipantsResponse, ParticipantInfo, ParticipantPermission};
        use prost::Message;
        let seen = stage.livekit.participant("hall-1", "anna").await.expect("she is there");
        let participant = ParticipantInfo {
            sid: seen["sid"].as_str().unwrap().to_owned(),
            identity: "anna".to_owned(),
            state: 2,
            permission: Some(ParticipantPermission {
                can_subscribe: true,
                can_publish_data: true,
                ..Default::default()
            }),
            ..Default::default()
        };
        ListParticipantsResponse { participants: vec![participant] }.encode_to_vec()
    };
    stage.proxy.clear();
    stage.proxy.fault(
        "ListParticipants",
        Fault::Reply {
            status: http::StatusCode::OK,
            content_type: "application/protobuf".to_owned(),
            body: anna_alone.into(),
        },
    );
    stage.proxy.wait_for("ListParticipants", 3, Duration::from_secs(25)).await;
    stage.proxy.clear_faults();
    stage.proxy.wait_for("ListParticipants", 4, Duration::from_secs(25)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.proxy.writes().len(), 0, "{:?}", stage.proxy.counts());
    for guest in [&anna, &bert] {
        assert!(!guest.permission().can_publish);
    }
}
