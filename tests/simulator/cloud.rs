//! What LiveKit Cloud does beyond the open-source server.

use livekit_protocol::{DisconnectReason, TrackSource, participant_info::KindDetail};
use usher::{
    livekit::{Calls, Class},
    simulator::{Change, Edition, Join, JoinError, Options, Publication, Running, Simulator},
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
