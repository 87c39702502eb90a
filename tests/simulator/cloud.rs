//! What LiveKit Cloud does beyond the open-source server.

use livekit_protocol::{
    DisconnectReason, TrackSource,
    participant_info::{Kind, KindDetail},
};
use usher::{
    livekit::{Calls, Class},
    simulator::{Change, Cloud, Edition, Join, JoinError, Options, Publication, Running, Simulator},
};

use crate::support::{client, cloud};

fn identities(simulator: &Simulator, room: &str) -> Vec<String> {
    simulator.participants(room).into_iter().map(|participant| participant.identity).collect()
}

#[tokio::test]
async fn a_forwarded_participant_mirrors_its_source_until_either_goes() {
    let server = Running::start(cloud()).await.unwrap();
    let (simulator, client) = (server.simulator(), client(&server));
    simulator.join(Join::new("stage", "ann").permission(|permission| permission.can_update_metadata = true)).unwrap();
    let camera = simulator.publish("stage", "ann", &Publication::of(TrackSource::Camera)).unwrap().unwrap();
    for _ in 0..2 {
        client.forward_participant("stage", "ann", "overflow").await.unwrap();
    }

    let copy = simulator.participant("overflow", "ann").unwrap();
    assert_eq!(copy.kind_details, [i32::from(KindDetail::Forwarded)]);
    assert_ne!(copy.sid, simulator.participant("stage", "ann").unwrap().sid);
    assert_eq!(copy.tracks.len(), 1);
    assert_ne!(copy.tracks[0].sid, camera);

    simulator.publish("stage", "ann", &Publication::of(TrackSource::Microphone)).unwrap().unwrap();
    simulator.mute("stage", "ann", &camera, true).unwrap();
    let attributes = [("seat".to_owned(), "1".to_owned())].into();
    simulator.change("stage", "ann", &Change { attributes, ..Change::default() }).unwrap();
    let copy = simulator.participant("overflow", "ann").unwrap();
    assert_eq!(copy.attributes["seat"], "1");
    assert_eq!(copy.tracks.iter().map(|track| track.muted).collect::<Vec<_>>(), [true, false]);

    client.remove_participant("overflow", "ann", None).await.unwrap();
    assert_eq!(identities(simulator, "overflow"), [""; 0]);
    assert_eq!(identities(simulator, "stage"), ["ann"]);
    simulator.mute("stage", "ann", &camera, false).unwrap();
    assert_eq!(identities(simulator, "overflow"), [""; 0], "it does not come back by itself");

    client.forward_participant("stage", "ann", "overflow").await.unwrap();
    simulator.leave("stage", "ann", DisconnectReason::ClientInitiated).unwrap();
    assert_eq!(identities(simulator, "overflow"), [""; 0]);
}

#[tokio::test]
async fn a_moved_participant_is_in_one_room() {
    let server = Running::start(cloud()).await.unwrap();
    let (simulator, client) = (server.simulator(), client(&server));
    simulator.join(Join::new("lobby", "ann").attribute("admitted", "true")).unwrap();
    simulator.publish("lobby", "ann", &Publication::of(TrackSource::Camera)).unwrap().unwrap();
    client.move_participant("lobby", "ann", "hall").await.unwrap();
    assert_eq!(identities(simulator, "lobby"), [""; 0]);
    let ann = simulator.participant("hall", "ann").unwrap();
    assert_eq!((ann.attributes["admitted"].as_str(), ann.tracks.len()), ("true", 1));
}

#[tokio::test]
async fn an_identity_in_use_is_refused_and_nobody_thrown_out() {
    let server = Running::start(cloud()).await.unwrap();
    let (simulator, client) = (server.simulator(), client(&server));
    simulator.join(Join::new("lobby", "ann")).unwrap();
    let there = simulator.join(Join::new("hall", "ann")).unwrap();
    for refused in [
        client.move_participant("lobby", "ann", "hall").await.unwrap_err(),
        client.forward_participant("lobby", "ann", "hall").await.unwrap_err(),
    ] {
        assert_eq!((refused.class(), refused.status()), (Class::Refused, Some(409)), "{refused}");
    }
    assert_eq!(simulator.participant("hall", "ann").unwrap().sid, there);
    assert_eq!(identities(simulator, "lobby"), ["ann"]);
}

#[tokio::test]
async fn agents_recorders_and_copies_are_not_moved() {
    let server = Running::start(cloud()).await.unwrap();
    let (simulator, client) = (server.simulator(), client(&server));
    for (identity, kind) in [("agent", Kind::Agent), ("recorder", Kind::Egress)] {
        simulator.join(Join { kind, ..Join::new("stage", identity) }).unwrap();
    }
    simulator.join(Join::new("lobby", "copy")).unwrap();
    client.forward_participant("lobby", "copy", "stage").await.unwrap();
    for identity in ["agent", "recorder", "copy"] {
        let refused = client.move_participant("stage", identity, "hall").await.unwrap_err();
        assert_eq!(refused.class(), Class::Refused, "{identity}: {refused}");
    }
    assert_eq!(identities(simulator, "stage"), ["agent", "copy", "recorder"]);
    assert_eq!(identities(simulator, "hall"), [""; 0]);
}

#[tokio::test]
async fn webhooks_tell_of_copies_and_of_the_moved_where_that_is_switched_on() {
    for announces_copies in [true, false] {
        let simulator = Simulator::new(Options { edition: Edition::Cloud(Cloud { announces_copies }), ..cloud() });
        let mut events = simulator.listen(100);
        let direct = simulator.direct(std::time::Duration::from_secs(5));
        for identity in ["ann", "bob"] {
            simulator.join(Join::new("stage", identity)).unwrap();
        }
        direct.forward_participant("stage", "ann", "overflow").await.unwrap();
        direct.move_participant("stage", "bob", "hall").await.unwrap();
        let mut joined = Vec::new();
        while let Ok(event) = events.try_recv() {
            let room = event.room.as_ref().map(|room| room.name.clone()).unwrap_or_default();
            joined.extend((event.event == "participant_joined").then_some(room));
        }
        let expected: &[&str] =
            if announces_copies { &["stage", "stage", "overflow", "hall"] } else { &["stage", "stage"] };
        assert_eq!(joined, expected);
    }
}

#[tokio::test]
async fn a_removal_revokes_older_tokens() {
    let server = Running::start(cloud()).await.unwrap();
    let (simulator, client) = (server.simulator(), client(&server));
    let now = simulator.now().seconds();
    let with_token_of = |issued_at| simulator.join(Join { issued_at: Some(issued_at), ..Join::new("room", "ann") });
    with_token_of(now - 100).unwrap();
    client.remove_participant("room", "ann", Some(1)).await.unwrap();
    with_token_of(now - 100).unwrap();
    client.remove_participant("room", "ann", None).await.unwrap();
    assert_eq!(with_token_of(now - 100), Err(JoinError::Revoked));
    assert_eq!(with_token_of(now + 10), Err(JoinError::Revoked), "what is left out is now and a minute");
    assert!(with_token_of(now + 70).is_ok());
}

#[tokio::test]
async fn the_open_source_server_revokes_nothing() {
    let server = Running::start(Options { edition: Edition::OpenSource, ..cloud() }).await.unwrap();
    let (simulator, client) = (server.simulator(), client(&server));
    let old = || Join { issued_at: Some(1), ..Join::new("room", "ann") };
    simulator.join(old()).unwrap();
    client.remove_participant("room", "ann", None).await.unwrap();
    assert!(simulator.join(old()).is_ok());
}

#[tokio::test]
async fn a_room_that_is_not_there_is_an_error() {
    let server = Running::start(cloud()).await.unwrap();
    let error = client(&server).list_participants("nowhere").await.unwrap_err();
    assert_eq!((error.class(), error.status()), (Class::Gone, Some(404)));
}
