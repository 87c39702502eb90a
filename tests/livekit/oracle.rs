//! The official SDK as an oracle: asked the same, it must hear the same.

use livekit_api::services::ServiceError;
use livekit_api::services::room::{RoomClient, UpdateParticipantOptions};
use usher::livekit::{Calls, Error, ParticipantUpdate};

use crate::scripted::{KEY, SECRET};
use crate::server::{LiveKit, Options, Participants};

/// The Twirp code that both sides heard.
fn assert_same_refusal<A: std::fmt::Debug, B: std::fmt::Debug>(
    call: &str,
    ours: Result<A, Error>,
    theirs: Result<B, ServiceError>,
) {
    let (ours, theirs) = (ours.unwrap_err(), theirs.unwrap_err().to_string());
    assert!(theirs.contains(ours.label()), "{call}: {ours} / {theirs}");
}

#[tokio::test]
async fn both_clients_hear_the_same() {
    let server = LiveKit::start(Options::default()).await;
    let ours = server.client();
    let theirs = RoomClient::with_api_key(&server.url, KEY, SECRET);
    let mut participants = Participants::start(&server);
    participants.join("room", "ann").await;
    participants.join("room", "bob").await;
    let track = participants.publish("ann").await;

    let names = theirs.list_rooms(vec![]).await.unwrap().into_iter().map(|room| room.name);
    assert_eq!(ours.list_rooms(vec![]).await.unwrap(), names.collect::<Vec<_>>());
    let sorted = |mut list: Vec<livekit_protocol::ParticipantInfo>| {
        list.sort_by(|a, b| a.identity.cmp(&b.identity));
        list
    };
    assert_eq!(
        sorted(ours.list_participants("room").await.unwrap()),
        sorted(theirs.list_participants("room").await.unwrap())
    );
    assert_eq!(
        ours.get_participant("room", "ann").await.unwrap(),
        theirs.get_participant("room", "ann").await.unwrap()
    );

    // The same change twice: the second changes nothing, so both see the same participant.
    let permission = livekit_protocol::ParticipantPermission { can_publish: true, ..Default::default() };
    let update = ParticipantUpdate {
        permission: Some(permission.clone()),
        metadata: Some("m".to_owned()),
        name: Some("n".to_owned()),
        ..Default::default()
    };
    let options = UpdateParticipantOptions {
        permission: Some(permission),
        metadata: "m".to_owned(),
        name: "n".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        ours.update_participant("room", "ann", update.clone()).await.unwrap(),
        theirs.update_participant("room", "ann", options.clone()).await.unwrap()
    );
    assert_eq!(
        ours.mute_published_track("room", "ann", &track, true).await.unwrap().unwrap(),
        theirs.mute_published_track("room", "ann", &track, true).await.unwrap()
    );

    assert_same_refusal(
        "unmute",
        ours.mute_published_track("room", "ann", &track, false).await,
        theirs.mute_published_track("room", "ann", &track, false).await,
    );
    assert_same_refusal(
        "forward",
        ours.forward_participant("room", "ann", "hall").await,
        theirs.forward_participant("room", "ann", "hall").await,
    );
    assert_same_refusal(
        "move",
        ours.move_participant("room", "ann", "hall").await,
        theirs.move_participant("room", "ann", "hall").await,
    );
    assert_same_refusal(
        "get",
        ours.get_participant("room", "nobody").await,
        theirs.get_participant("room", "nobody").await,
    );
    assert_same_refusal(
        "update",
        ours.update_participant("room", "nobody", update).await,
        theirs.update_participant("room", "nobody", options).await,
    );

    ours.remove_participant("room", "ann", None).await.unwrap();
    theirs.remove_participant("room", "bob").await.unwrap();
    assert_same_refusal(
        "remove",
        ours.remove_participant("room", "bob", None).await,
        theirs.remove_participant("room", "ann").await,
    );
}
