//! The calls against the real livekit-server.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use livekit_protocol::ParticipantPermission;
use livekit_protocol::participant_info::{Kind, State};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use usher::livekit::{Calls, Class, Client, Credentials, Feature, ParticipantUpdate};

use crate::scripted::{KEY, SECRET, Scripted};
use crate::server::{LiveKit, Options, Participants};

const TRANSIENT: Class = Class::Transient { retry_after: None };

#[tokio::test]
async fn what_is_not_there() {
    let server = LiveKit::start(Options::default()).await;
    let client = server.client();
    assert_eq!(client.list_rooms(vec![]).await, Ok(vec![]));
    assert_eq!(client.list_rooms(vec!["nowhere".to_owned()]).await, Ok(vec![]));
    assert_eq!(client.list_participants("nowhere").await, Ok(vec![]), "no error on the open-source server");

    let update = ParticipantUpdate { name: Some("x".to_owned()), ..Default::default() };
    for (case, error) in [
        ("get", client.get_participant("nowhere", "nobody").await.unwrap_err()),
        ("update", client.update_participant("nowhere", "nobody", update).await.unwrap_err()),
        ("remove", client.remove_participant("nowhere", "nobody", None).await.unwrap_err()),
    ] {
        assert_eq!((error.class(), error.label(), error.status()), (Class::Gone, "not_found", Some(404)), "{case}");
    }
    // These look for a server that holds the participant, for three seconds.
    let (mute, forward, moved) = tokio::join!(
        client.mute_published_track("nowhere", "nobody", "TR_x", true),
        client.forward_participant("nowhere", "nobody", "hall"),
        client.move_participant("nowhere", "nobody", "hall"),
    );
    for (case, error) in [("mute", mute.unwrap_err()), ("forward", forward.unwrap_err()), ("move", moved.unwrap_err())]
    {
        assert_eq!((error.class(), error.label(), error.status()), (TRANSIENT, "unavailable", Some(503)), "{case}");
    }
}

/// By `X-Twirp-Timeout-Ms`; without it the server would look for the participant for three seconds.
#[tokio::test]
async fn the_server_gives_up_before_we_do() {
    let server = LiveKit::start(Options::default()).await;
    let mut config = server.config();
    config.timeout = Duration::from_millis(2500);
    let error = Client::new(config).unwrap().mute_published_track("nowhere", "nobody", "TR_x", true).await.unwrap_err();
    assert_eq!(error.class(), TRANSIENT);
    // Which of the two depends on what it was at when its time was up. Our own timeout would have no status.
    assert!(matches!(error.label(), "canceled" | "unavailable") && error.status().is_some(), "{error:?}");
}

#[tokio::test]
async fn a_participant_is_seen_changed_muted_and_removed() {
    let server = LiveKit::start(Options::default()).await;
    let client = server.client();
    let mut participants = Participants::start(&server);
    participants.join("room ü", "ann").await;
    let track = participants.publish("ann").await;

    assert_eq!(client.list_rooms(vec![]).await.unwrap(), ["room ü"]);
    assert_eq!(client.list_rooms(vec!["room ü".to_owned()]).await.unwrap().len(), 1);
    assert_eq!(client.list_rooms(vec!["other".to_owned()]).await.unwrap().len(), 0);

    let ann = client.get_participant("room ü", "ann").await.unwrap();
    assert_eq!(State::try_from(ann.state), Ok(State::Active));
    assert_eq!(Kind::try_from(ann.kind), Ok(Kind::Standard));
    assert_eq!(ann.attributes["role"], "host");
    assert_eq!(client.list_participants("room ü").await.unwrap()[0].identity, "ann");

    let update = ParticipantUpdate {
        permission: Some(ParticipantPermission { can_subscribe: true, can_publish: true, ..Default::default() }),
        metadata: Some("new".to_owned()),
        name: Some("New".to_owned()),
        attributes: HashMap::from([("seat".to_owned(), "1".to_owned()), ("role".to_owned(), String::new())]),
    };
    let ann = client.update_participant("room ü", "ann", update).await.unwrap();
    assert_eq!((ann.metadata.as_str(), ann.name.as_str()), ("new", "New"));
    assert_eq!(ann.attributes, HashMap::from([("seat".to_owned(), "1".to_owned())]));
    let permission = ann.permission.unwrap();
    assert!(permission.can_publish && !permission.can_publish_data, "the permission is replaced");

    let muted = client.mute_published_track("room ü", "ann", &track, true).await.unwrap().unwrap();
    assert!(muted.muted && muted.sid == track);
    assert_eq!(client.mute_published_track("room ü", "ann", "TR_gone", true).await, Ok(None));
    let unmute = client.mute_published_track("room ü", "ann", &track, false).await.unwrap_err();
    assert_eq!((unmute.class(), unmute.status()), (Class::Unsupported(Feature::RemoteUnmute), Some(412)), "{unmute}");

    let large = ParticipantUpdate { metadata: Some("x".repeat(600 * 1024)), ..Default::default() };
    let large = client.update_participant("room ü", "ann", large).await.unwrap_err();
    assert_eq!((large.class(), large.label()), (Class::Refused, "invalid_argument"), "{large}");

    let forward = client.forward_participant("room ü", "ann", "hall").await.unwrap_err();
    assert_eq!((forward.class(), forward.status()), (Class::Unsupported(Feature::Forward), Some(500)), "{forward}");
    let moved = client.move_participant("room ü", "ann", "hall").await.unwrap_err();
    assert_eq!((moved.class(), moved.status()), (Class::Unsupported(Feature::Move), Some(500)), "{moved}");
    let same = client.move_participant("room ü", "ann", "room ü").await.unwrap_err();
    assert_eq!((same.class(), same.label()), (Class::Refused, "invalid_argument"), "{same}");

    assert_eq!(client.remove_participant("room ü", "ann", None).await, Ok(()));
    let again = client.remove_participant("room ü", "ann", Some(1)).await.unwrap_err();
    assert_eq!(again.class(), Class::Gone);
}

#[tokio::test]
async fn a_server_that_allows_it_unmutes() {
    let server = LiveKit::start(Options { remote_unmute: true, ..Default::default() }).await;
    let client = server.client();
    let mut participants = Participants::start(&server);
    participants.join("room", "ann").await;
    let track = participants.publish("ann").await;
    for muted in [true, false] {
        let answer = client.mute_published_track("room", "ann", &track, muted).await.unwrap().unwrap();
        assert_eq!(answer.muted, muted);
    }
}

#[tokio::test]
async fn keys_that_are_not_accepted() {
    let server = LiveKit::start(Options::default()).await;
    for credentials in
        [Credentials::new(KEY, "another-secret-of-32-characters-or-more"), Credentials::new("other", SECRET)]
    {
        let mut config = server.config();
        config.credentials = credentials;
        let error = Client::new(config).unwrap().list_rooms(vec![]).await.unwrap_err();
        assert_eq!((error.class(), error.label()), (Class::Unauthorized, "http_401"));
        assert!(!format!("{error} {error:?}").contains("eyJ"), "{error:?}");
    }
}

/// What the real server says to tokens that we would never sign, word for word, told to our client by a scripted one.
#[tokio::test]
async fn refusals_of_real_tokens_are_unauthorized_and_silent() {
    let server = LiveKit::start(Options::default()).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let grant = json!({"roomAdmin": true, "room": "room"});
    for (case, claims, echoes, label) in [
        ("expired", json!({"iss": KEY, "nbf": now - 500, "exp": now - 100, "video": grant}), true, "http_401"),
        ("early", json!({"iss": KEY, "nbf": now + 100, "exp": now + 500, "video": grant}), true, "http_401"),
        ("of no grant", json!({"iss": KEY, "nbf": now, "exp": now + 300}), false, "unauthenticated"),
        (
            "of another room",
            json!({"iss": KEY, "nbf": now, "exp": now + 300, "video": {"roomAdmin": true, "room": "other"}}),
            false,
            "unauthenticated",
        ),
    ] {
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
        let request = format!(
            "POST /twirp/livekit.RoomService/ListParticipants HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/protobuf\r\nContent-Length: 6\r\nConnection: close\r\n\r\n\n\x04room"
        );
        let mut connection = tokio::net::TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer).contains(&token), echoes, "{case}: does it echo the token?");

        let replay = Scripted::answering(answer).await;
        let error = replay.client().list_participants("room").await.unwrap_err();
        assert_eq!((error.class(), error.label()), (Class::Unauthorized, label), "{case}: {error}");
        assert!(!format!("{error} {error:?}").contains("eyJ"), "{case}: {error:?}");
    }
}

#[tokio::test]
async fn an_address_beside_the_api_is_a_misconfiguration() {
    let server = LiveKit::start(Options::default()).await;
    let mut config = server.config();
    config.address = format!("{}/wrong", server.url).parse().unwrap();
    let error = Client::new(config).unwrap().list_rooms(vec![]).await.unwrap_err();
    assert_eq!((error.class(), error.label()), (Class::Refused, "http_404"), "{error}");
}
