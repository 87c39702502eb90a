//! Webhooks of both servers: the same events, in the same order, of the same shape.

use std::time::{Duration, SystemTime};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use livekit_protocol::{DisconnectReason, TrackSource};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use usher::{
    livekit::{Calls, Client, Config, Credentials, ParticipantUpdate, webhook::Verifier},
    simulator::{Options, Publication, Running},
};
use usher_testkit::{ApiKey, LiveKit, LiveKitOptions, Participants, TokenSpec};

use crate::{normal::normal, stage::key};

const SOON: Duration = Duration::from_secs(20);

fn credentials() -> Credentials {
    let ApiKey { key, secret } = key();
    Credentials::new(key, secret)
}

/// Webhooks as they come, verified and parsed.
struct Received(mpsc::Receiver<Value>);

impl Received {
    async fn start() -> (String, Self) {
        let (sender, received) = mpsc::channel(100);
        let receive = async move |headers: HeaderMap, body: Bytes| {
            let authorization = headers["authorization"].to_str().unwrap();
            Verifier::new(&[credentials()]).verify(authorization, &body, SystemTime::now()).unwrap();
            let head = |name: &str| headers[name].to_str().unwrap().to_owned();
            let head = json!({"content-type": head("content-type"), "user-agent": head("user-agent")});
            let body: Value = serde_json::from_slice(&body).unwrap();
            sender.try_send(json!({"head": head, "body": body})).unwrap();
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", post(receive))).await.unwrap() });
        (url, Self(received))
    }

    async fn until(&mut self, event: &str) -> Vec<Value> {
        let mut received = Vec::new();
        loop {
            let mut webhook = tokio::time::timeout(SOON, self.0.recv()).await.unwrap().unwrap();
            let last = webhook["body"]["event"] == event;
            if let Some(participant) = webhook["body"]["participant"].as_object_mut() {
                // See `run`: it depends on how often the server looked.
                participant.remove("version");
            }
            received.push(normal(webhook, "no prefix"));
            if last {
                return received;
            }
        }
    }
}

fn ann() -> TokenSpec {
    let spec = TokenSpec::new("room", "ann").name("Ann ü").metadata("{\"a\": \"<b>\"}").attribute("role", "host");
    spec.grant("canPublishSources", vec!["microphone", "camera"]).grant("canUpdateOwnMetadata", true)
}

fn bob() -> TokenSpec {
    TokenSpec::new("room", "bob").kind("agent").grant("hidden", true)
}

fn client(url: &str) -> Client {
    Client::new(Config::new(url.parse().unwrap(), credentials())).unwrap()
}

/// What an administrator does: takes the camera away, removes ann, ends the room.
async fn take_camera(client: &Client) {
    let mut permission = client.get_participant("room", "ann").await.unwrap().permission.unwrap();
    permission.can_publish_sources = vec![TrackSource::Microphone.into()];
    let update = ParticipantUpdate { permission: Some(permission), ..Default::default() };
    client.update_participant("room", "ann", update).await.unwrap();
}

async fn delete_room(url: &str) {
    let headers = HeaderMap::from_iter([
        ("content-type".parse().unwrap(), "application/json".parse().unwrap()),
        ("authorization".parse().unwrap(), format!("Bearer {}", key().admin_token("room", "")).parse().unwrap()),
    ]);
    let url = format!("{url}/twirp/livekit.RoomService/DeleteRoom");
    let reply = usher_testkit::request(http::Method::POST, &url, headers, r#"{"room": "room"}"#).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
}

async fn of_the_real_server() -> Vec<Value> {
    let (url, mut received) = Received::start().await;
    let options = LiveKitOptions { webhook_urls: vec![url], keys: vec![key()], ..LiveKitOptions::default() };
    let livekit = LiveKit::start(options).await;
    let participants = Participants::start();
    let client = client(&livekit.url());
    let mut webhooks = Vec::new();
    let ann = participants.join(&livekit, &ann()).await;
    webhooks.extend(received.until("participant_joined").await);
    for (media, source) in [("audio", "MICROPHONE"), ("video", "CAMERA")] {
        ann.publish(media, source, "label").await;
        webhooks.extend(received.until("track_published").await);
    }
    take_camera(&client).await;
    webhooks.extend(received.until("track_unpublished").await);
    let bob = participants.join(&livekit, &bob()).await;
    webhooks.extend(received.until("participant_joined").await);
    bob.leave().await;
    webhooks.extend(received.until("participant_left").await);
    client.remove_participant("room", "ann", None).await.unwrap();
    webhooks.extend(received.until("participant_left").await);
    delete_room(&livekit.url()).await;
    webhooks.extend(received.until("room_finished").await);
    webhooks
}

async fn of_the_simulator() -> Vec<Value> {
    let (url, mut received) = Received::start().await;
    let options = Options { webhook_urls: vec![url], keys: vec![credentials()], ..Options::default() };
    let server = Running::start(options).await.unwrap();
    let simulator = server.simulator();
    simulator.join(simulator.admit(&ann().sign(&key())).unwrap()).unwrap();
    for source in [TrackSource::Microphone, TrackSource::Camera] {
        let publication = Publication { name: "label".into(), ..Publication::of(source) };
        simulator.publish("room", "ann", &publication).unwrap().unwrap();
    }
    let client = client(&server.url());
    take_camera(&client).await;
    simulator.join(simulator.admit(&bob().sign(&key())).unwrap()).unwrap();
    simulator.leave("room", "bob", DisconnectReason::ClientInitiated).unwrap();
    client.remove_participant("room", "ann", None).await.unwrap();
    delete_room(&server.url()).await;
    received.until("room_finished").await
}

#[tokio::test]
async fn the_simulator_tells_what_livekit_tells() {
    let (real, simulated) = (of_the_real_server().await, of_the_simulator().await);
    let events =
        |webhooks: &[Value]| webhooks.iter().map(|webhook| webhook["body"]["event"].clone()).collect::<Vec<_>>();
    assert_eq!(events(&real), events(&simulated));
    assert!(real.len() >= 10, "{real:?}");
    let mut wrong = String::new();
    for (real, simulated) in real.iter().zip(&simulated) {
        let event = real["body"]["event"].as_str().unwrap_or_default();
        crate::differences::between(event, real, simulated, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong}");
}
