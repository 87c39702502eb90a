//! The official SDK on the simulated server.

use std::{collections::HashMap, time::Duration};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use livekit_api::{
    access_token::TokenVerifier,
    services::room::{RoomClient, UpdateParticipantOptions},
    webhooks::WebhookReceiver,
};
use livekit_protocol::{ParticipantPermission, TrackSource, participant_info::KindDetail};
use tokio::sync::mpsc;
use usher::{
    livekit::Credentials,
    simulator::{Cloud, Edition, Join, Options, Publication, Running},
};
use usher_testkit::ApiKey;

use crate::stage::key;

fn options() -> Options {
    let ApiKey { key, secret } = key();
    Options { keys: vec![Credentials::new(key, secret)], delay_factor: 0.0, ..Options::default() }
}

fn client(server: &Running) -> RoomClient {
    let ApiKey { key, secret } = key();
    RoomClient::with_api_key(&server.url(), &key, &secret)
}

#[tokio::test]
async fn the_official_client_works() {
    let server = Running::start(Options { remote_unmute: true, ..options() }).await.unwrap();
    let (simulator, client) = (server.simulator(), client(&server));
    let room = client.create_room("room", Default::default()).await.unwrap();
    simulator.join(Join::new("room", "ann").attribute("role", "host")).unwrap();
    simulator.join(Join::new("room", "bob")).unwrap();
    let track = simulator.publish("room", "ann", &Publication::of(TrackSource::Microphone)).unwrap().unwrap();

    let rooms = client.list_rooms(vec![]).await.unwrap();
    assert_eq!((rooms.len(), &rooms[0].sid, rooms[0].num_participants), (1, &room.sid, 2));
    let everybody = client.list_participants("room").await.unwrap();
    assert_eq!(everybody, simulator.participants("room"));
    assert_eq!(client.get_participant("room", "ann").await.unwrap(), everybody[0]);

    for muted in [true, false] {
        assert_eq!(client.mute_published_track("room", "ann", &track, muted).await.unwrap().muted, muted);
    }
    let update = UpdateParticipantOptions {
        permission: Some(ParticipantPermission { can_subscribe: true, ..Default::default() }),
        metadata: "m".to_owned(),
        name: "n".to_owned(),
        attributes: HashMap::from([("seat".to_owned(), "1".to_owned())]),
    };
    let ann = client.update_participant("room", "ann", update).await.unwrap();
    assert_eq!(Some(&ann), simulator.participant("room", "ann").as_ref());
    assert_eq!((ann.name.as_str(), ann.metadata.as_str(), ann.attributes.len(), ann.tracks.len()), ("n", "m", 2, 0));
    assert_eq!(client.update_room_metadata("room", "about").await.unwrap().metadata, "about");

    client.remove_participant("room", "ann").await.unwrap();
    for (call, error) in [
        ("remove", client.remove_participant("room", "ann").await.unwrap_err()),
        ("get", client.get_participant("room", "ann").await.unwrap_err()),
    ] {
        assert!(error.to_string().contains("not_found"), "{call}: {error}");
    }
    let stub = client.forward_participant("room", "bob", "hall").await.unwrap_err();
    assert!(stub.to_string().contains("not implemented"), "{stub}");
    client.delete_room("room").await.unwrap();
    assert_eq!(simulator.counts(), (0, 0));
}

#[tokio::test]
async fn the_official_client_forwards_and_moves_in_the_cloud() {
    let server = Running::start(Options { edition: Edition::Cloud(Cloud::default()), ..options() }).await.unwrap();
    let (simulator, client) = (server.simulator(), client(&server));
    simulator.join(Join::new("room", "ann")).unwrap();
    client.forward_participant("room", "ann", "overflow").await.unwrap();
    let copy = &client.list_participants("overflow").await.unwrap()[0];
    assert_eq!(copy.kind_details, [i32::from(KindDetail::Forwarded)]);
    client.move_participant("room", "ann", "hall").await.unwrap();
    assert_eq!(client.list_participants("hall").await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_official_receiver_reads_our_webhooks() {
    let (sender, mut bodies) = mpsc::channel(100);
    let receive = async move |headers: HeaderMap, body: Bytes| {
        let authorization = headers["authorization"].to_str().unwrap().to_owned();
        sender.try_send((authorization, String::from_utf8(body.to_vec()).unwrap())).unwrap();
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", post(receive))).await.unwrap() });
    let server = Running::start(Options { webhook_urls: vec![url], ..options() }).await.unwrap();
    let simulator = server.simulator();
    let mut events = simulator.listen(100);
    simulator.join(Join::new("room", "ann").attribute("role", "host")).unwrap();
    simulator.publish("room", "ann", &Publication::of(TrackSource::Camera)).unwrap().unwrap();

    let ApiKey { key, secret } = key();
    let receiver = WebhookReceiver::new(TokenVerifier::with_api_key(&key, &secret));
    for expected in ["room_started", "participant_joined", "track_published"] {
        let (authorization, body) =
            tokio::time::timeout(Duration::from_secs(10), bodies.recv()).await.unwrap().unwrap();
        let event = receiver.receive(&body, &authorization).unwrap();
        assert_eq!(event.event, expected);
        assert_eq!(event, *events.try_recv().unwrap());
    }
}
