//! Webhooks of the real server, and the official receiver beside ours.

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use livekit_api::access_token::TokenVerifier;
use livekit_api::webhooks::WebhookReceiver;
use livekit_protocol::WebhookEvent;
use tokio::sync::mpsc;
use usher::livekit::webhook::{Verifier, WebhookError, sign};
use usher::livekit::{Calls, Credentials};

use crate::scripted::{KEY, SECRET};
use crate::server::{LiveKit, Options, Participants};

struct Delivery {
    headers: HeaderMap,
    body: Bytes,
}

impl Delivery {
    fn authorization(&self) -> &str {
        self.headers["authorization"].to_str().unwrap()
    }
}

/// A receiver that keeps what it gets.
async fn receiver() -> (String, mpsc::UnboundedReceiver<Delivery>) {
    let (sender, deliveries) = mpsc::unbounded_channel();
    let app = Router::new().route(
        "/hook",
        post(async move |headers: HeaderMap, body: Bytes| sender.send(Delivery { headers, body }).unwrap()),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, deliveries)
}

fn official() -> WebhookReceiver {
    WebhookReceiver::new(TokenVerifier::with_api_key(KEY, SECRET))
}

/// The official reading, less what ours leaves out on purpose.
fn reduced(mut event: WebhookEvent) -> WebhookEvent {
    if let Some(room) = &mut event.room {
        *room = livekit_protocol::Room {
            sid: std::mem::take(&mut room.sid),
            name: std::mem::take(&mut room.name),
            metadata: std::mem::take(&mut room.metadata),
            creation_time: room.creation_time,
            creation_time_ms: room.creation_time_ms,
            num_participants: room.num_participants,
            ..Default::default()
        };
    }
    for track in event.participant.iter_mut().flat_map(|participant| &mut participant.tracks).chain(&mut event.track) {
        *track = livekit_protocol::TrackInfo {
            sid: std::mem::take(&mut track.sid),
            r#type: track.r#type,
            name: std::mem::take(&mut track.name),
            muted: track.muted,
            width: track.width,
            height: track.height,
            source: track.source,
            mime_type: std::mem::take(&mut track.mime_type),
            mid: std::mem::take(&mut track.mid),
            stream: std::mem::take(&mut track.stream),
            ..Default::default()
        };
    }
    if let Some(participant) = &mut event.participant {
        participant.client_protocol = 0;
        participant.capabilities.clear();
        participant.data_tracks.clear();
    }
    event.room_end_reason = 0;
    event
}

#[tokio::test]
async fn every_webhook_of_the_real_server_is_accepted_and_read_as_the_sdk_reads_it() {
    let (url, mut deliveries) = receiver().await;
    let server = LiveKit::start(Options { webhook: Some(url), ..Default::default() }).await;
    let mut participants = Participants::start(&server);
    participants.join("room", "ann").await;
    participants.publish("ann").await;
    let listed = server.client().get_participant("room", "ann").await.unwrap();

    let verifier = Verifier::new(&[Credentials::new("unused", "x"), Credentials::new(KEY, SECRET)]);
    let stranger = Verifier::new(&[Credentials::new(KEY, "another")]);
    let mut seen = Vec::new();
    while !seen.contains(&"participant_left".to_owned()) {
        let delivery = tokio::time::timeout(Duration::from_secs(10), deliveries.recv()).await.unwrap().unwrap();
        assert_eq!(delivery.headers["content-type"], "application/webhook+json");
        let (authorization, body) = (delivery.authorization(), &delivery.body);
        let now = SystemTime::now();
        let event = verifier.verify(authorization, body, now).unwrap();
        let theirs = official().receive(std::str::from_utf8(body).unwrap(), authorization).unwrap();
        assert_eq!(event, reduced(theirs));
        assert_eq!(stranger.verify(authorization, body, now), Err(WebhookError::Signature));
        let later = now + Duration::from_secs(7 * 60);
        assert_eq!(verifier.verify(authorization, body, later), Err(WebhookError::Expired));
        if event.event == "participant_joined" {
            let ann = event.participant.unwrap();
            assert_eq!((ann.permission, ann.attributes), (listed.permission.clone(), listed.attributes.clone()));
            assert_eq!(
                (ann.sid, ann.name, ann.metadata),
                (listed.sid.clone(), listed.name.clone(), listed.metadata.clone())
            );
        }
        if event.event == "track_published" {
            participants.leave("ann").await;
        }
        seen.push(event.event);
    }
    for event in ["room_started", "participant_joined", "track_published", "track_unpublished", "participant_left"] {
        assert!(seen.iter().any(|seen| seen == event), "{event} is missing in {seen:?}");
    }
}

#[test]
fn what_we_sign_the_sdk_accepts() {
    let body = r#"{"event":"participant_joined","id":"EV_1","participant":{"identity":"ann"}}"#;
    let token = sign(&Credentials::new(KEY, SECRET), body.as_bytes(), SystemTime::now()).unwrap();
    let event = official().receive(body, &token).unwrap();
    assert_eq!(event.participant.unwrap().identity, "ann");
    assert!(official().receive(&body.replace("ann", "bob"), &token).is_err());

    let token = sign(&Credentials::new(KEY, "another"), body.as_bytes(), SystemTime::now()).unwrap();
    assert!(official().receive(body, &token).is_err());
}
