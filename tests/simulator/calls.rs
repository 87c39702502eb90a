//! Our own client on the simulated server.

use std::collections::HashMap;

use livekit_protocol::{ParticipantPermission, TrackSource, participant_info::State};
use usher::{
    livekit::{Calls, Class, Feature, ParticipantUpdate},
    simulator::{Join, Method, Publication, Running, Served},
};

use crate::support::{client, options};

#[tokio::test]
async fn a_participant_is_seen_changed_muted_and_removed() {
    let server = Running::start(options()).await.unwrap();
    let (simulator, client) = (server.simulator(), client(&server));
    let sid = simulator.join(Join::new("room ü", "ann").attribute("role", "host")).unwrap();
    let track = simulator.publish("room ü", "ann", &Publication::of(TrackSource::Microphone)).unwrap().unwrap();

    assert_eq!(client.list_rooms(vec![]).await.unwrap(), ["room ü"]);
    let ann = client.get_participant("room ü", "ann").await.unwrap();
    assert_eq!((State::try_from(ann.state), ann.sid), (Ok(State::Active), sid));
    assert_eq!(client.list_participants("room ü").await.unwrap()[0].identity, "ann");

    let muted = client.mute_published_track("room ü", "ann", &track, true).await.unwrap().unwrap();
    assert!(muted.muted && muted.sid == track);
    assert_eq!(client.mute_published_track("room ü", "ann", "TR_gone", true).await, Ok(None));
    let unmute = client.mute_published_track("room ü", "ann", &track, false).await.unwrap_err();
    assert_eq!((unmute.class(), unmute.status()), (Class::Unsupported(Feature::RemoteUnmute), Some(412)));

    let update = ParticipantUpdate {
        permission: Some(ParticipantPermission { can_subscribe: true, ..Default::default() }),
        metadata: Some("new".to_owned()),
        name: Some("New".to_owned()),
        attributes: HashMap::from([("seat".to_owned(), "1".to_owned()), ("role".to_owned(), String::new())]),
    };
    let ann = client.update_participant("room ü", "ann", update).await.unwrap();
    assert_eq!((ann.metadata.as_str(), ann.name.as_str()), ("new", "New"));
    assert_eq!(ann.attributes, HashMap::from([("seat".to_owned(), "1".to_owned())]));
    assert_eq!(ann.tracks, [], "the permission unpublished it");

    let forward = client.forward_participant("room ü", "ann", "hall").await.unwrap_err();
    assert_eq!((forward.class(), forward.status()), (Class::Unsupported(Feature::Forward), Some(500)));
    assert_eq!(client.remove_participant("room ü", "ann", None).await, Ok(()));
    let again = client.remove_participant("room ü", "ann", None).await.unwrap_err();
    assert_eq!(again.class(), Class::Gone);
    server.stop().await;
}

#[tokio::test]
async fn what_begins_to_join_is_given_a_minute() {
    tokio::time::pause();
    let simulator = usher::simulator::Simulator::new(options());
    simulator.begin_to_join(Join::new("room", "ann")).unwrap();
    simulator.begin_to_join(Join::new("room", "bob")).unwrap();
    assert_eq!(simulator.participant("room", "ann").unwrap().state(), State::Joining);
    simulator.connect("room", "bob").unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(61)).await;
    let left: Vec<_> = simulator.participants("room").into_iter().map(|participant| participant.identity).collect();
    assert_eq!(left, ["bob"]);
}

#[tokio::test]
async fn an_empty_room_ends() {
    tokio::time::pause();
    let simulator = usher::simulator::Simulator::new(options());
    simulator.join(Join::new("room", "ann")).unwrap();
    simulator.leave("room", "ann", livekit_protocol::DisconnectReason::ClientInitiated).unwrap();
    assert_eq!(simulator.counts(), (1, 0));
    tokio::time::sleep(std::time::Duration::from_secs(19)).await;
    assert_eq!(simulator.counts(), (1, 0));
    simulator.join(Join::new("room", "bob")).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    assert_eq!(simulator.counts(), (1, 1), "somebody came in time");
    simulator.leave("room", "bob", livekit_protocol::DisconnectReason::ClientInitiated).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(21)).await;
    assert_eq!(simulator.counts(), (0, 0));
}

#[tokio::test]
async fn whoever_listens_is_told_of_calls() {
    let server = Running::start(options()).await.unwrap();
    let (simulator, client) = (server.simulator(), client(&server));
    simulator.join(Join::new("room", "ann")).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let mut calls = simulator.calls(8);
    client.list_rooms(vec![]).await.unwrap();
    client.update_participant("room", "ann", ParticipantUpdate::default()).await.unwrap();
    client.remove_participant("room", "zoe", None).await.unwrap_err();
    let mut told = Vec::new();
    for _ in 0..3 {
        let Served { method, room, identity, done, since_join, .. } = calls.recv().await.unwrap();
        let is_there = method == Method::UpdateParticipant;
        assert_eq!(since_join.is_some_and(|since| since.as_millis() >= 20), is_there, "{method:?} {since_join:?}");
        told.push((method, room.unwrap_or_default(), identity.unwrap_or_default(), done));
    }
    let expected = [
        (Method::ListRooms, "", "", true),
        (Method::UpdateParticipant, "room", "ann", true),
        (Method::RemoveParticipant, "room", "zoe", false),
    ];
    assert_eq!(told, expected.map(|(method, room, identity, done)| (method, room.into(), identity.into(), done)));
}
