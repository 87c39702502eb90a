//! What LiveKit gets to see of us.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use livekit_protocol as lk;
use prost::Message;
use serde_json::{Value, json};
use usher::livekit::{Calls, Client, ConfigError, Credentials, Error, ParticipantUpdate};

use crate::scripted::{Request, Scripted, Step, config, protobuf};

/// The one request of one call.
async fn request(call: impl AsyncFnOnce(Client) -> Result<(), Error>) -> Request {
    let server = Scripted::answering(protobuf("")).await;
    call(server.client()).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    requests[0].clone()
}

fn assert_request(request: &Request, method: &str, video: &Value, message: &impl Message) {
    assert_eq!(request.line(), format!("POST /twirp/livekit.RoomService/{method} HTTP/1.1"));
    assert_eq!(request.header("content-type"), Some("application/protobuf"));
    assert_eq!(request.header("x-twirp-timeout-ms"), Some("4500"));
    assert_eq!(request.header("user-agent"), Some(concat!("usher/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(request.body, message.encode_to_vec(), "{method}");

    let claims = request.claims();
    assert_eq!(&claims["video"], video, "{method}: nothing but this is allowed");
    let names: Vec<&String> = claims.as_object().unwrap().keys().collect();
    assert_eq!(names, ["exp", "iss", "nbf", "video"]);
    assert_eq!(claims["iss"], "devkey");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (nbf, exp) = (claims["nbf"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    assert!((now - 65..=now - 60).contains(&nbf) && (now + 295..=now + 300).contains(&exp), "{now} {claims}");
}

#[tokio::test]
async fn each_call_has_a_token_for_just_what_it_does() {
    let (room, identity, destination_room) = ("a/b ü".to_owned(), "ann".to_owned(), "hall".to_owned());
    let admin = json!({"roomAdmin": true, "room": "a/b ü"});
    let both = json!({"roomAdmin": true, "room": "a/b ü", "destinationRoom": "hall"});

    let seen = request(async |client| client.list_rooms(vec!["x".to_owned()]).await.map(drop)).await;
    let message = lk::ListRoomsRequest { names: vec!["x".to_owned()] };
    assert_request(&seen, "ListRooms", &json!({"roomList": true}), &message);

    let seen = request(async |client| client.list_participants("a/b ü").await.map(drop)).await;
    assert_request(&seen, "ListParticipants", &admin, &lk::ListParticipantsRequest { room: room.clone() });

    let who = lk::RoomParticipantIdentity { room: room.clone(), identity: identity.clone(), revoke_token_ts: 0 };
    let seen = request(async |client| client.get_participant("a/b ü", "ann").await.map(drop)).await;
    assert_request(&seen, "GetParticipant", &admin, &who);

    let seen = request(async |client| client.remove_participant("a/b ü", "ann", None).await).await;
    assert_request(&seen, "RemoveParticipant", &admin, &who);

    let seen = request(async |client| client.remove_participant("a/b ü", "ann", Some(1)).await).await;
    assert_request(&seen, "RemoveParticipant", &admin, &lk::RoomParticipantIdentity { revoke_token_ts: 1, ..who });

    let permission = lk::ParticipantPermission { can_publish: true, ..Default::default() };
    let attributes = HashMap::from([("role".to_owned(), "host".to_owned())]);
    let update = ParticipantUpdate {
        permission: Some(permission.clone()),
        metadata: Some("m".to_owned()),
        name: None,
        attributes: attributes.clone(),
    };
    let seen = request(async |client| client.update_participant("a/b ü", "ann", update).await.map(drop)).await;
    let message = lk::UpdateParticipantRequest {
        room: room.clone(),
        identity: identity.clone(),
        metadata: "m".to_owned(),
        permission: Some(permission),
        name: String::new(),
        attributes,
    };
    assert_request(&seen, "UpdateParticipant", &admin, &message);

    let seen = request(async |client| client.mute_published_track("a/b ü", "ann", "TR_x", true).await.map(drop)).await;
    let message = lk::MuteRoomTrackRequest {
        room: room.clone(),
        identity: identity.clone(),
        track_sid: "TR_x".to_owned(),
        muted: true,
    };
    assert_request(&seen, "MutePublishedTrack", &admin, &message);

    let seen = request(async |client| client.forward_participant("a/b ü", "ann", "hall").await).await;
    let message = lk::ForwardParticipantRequest {
        room: room.clone(),
        identity: identity.clone(),
        destination_room: destination_room.clone(),
    };
    assert_request(&seen, "ForwardParticipant", &both, &message);

    let seen = request(async |client| client.move_participant("a/b ü", "ann", "hall").await).await;
    assert_request(&seen, "MoveParticipant", &both, &lk::MoveParticipantRequest { room, identity, destination_room });
}

#[tokio::test]
async fn the_path_prefix_and_the_settings_are_used() {
    let server = Scripted::answering(protobuf("")).await;
    let mut config = config(&format!("ws://{}/video/", server.address));
    config.user_agent = "test/1".to_owned();
    config.timeout = Duration::from_millis(800);
    Client::new(config).unwrap().list_rooms(vec![]).await.unwrap();
    let request = &server.requests()[0];
    assert_eq!(request.line(), "POST /video/twirp/livekit.RoomService/ListRooms HTTP/1.1");
    assert_eq!(request.header("user-agent"), Some("test/1"));
    assert_eq!(request.header("x-twirp-timeout-ms"), Some("720"));
}

/// The environment belongs to the whole process, so another process has it: this program again, for one other test.
#[test]
fn a_proxy_in_the_environment_is_not_used() {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "requests::the_path_prefix_and_the_settings_are_used"]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, "http://127.0.0.1:1");
    }
    let output = command.output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("1 passed"), "{shown}");
}

#[tokio::test]
async fn one_connection_serves_call_after_call() {
    let round = [Step::Read, Step::Send(protobuf(""))];
    let server = Scripted::start([round.clone(), round.clone(), round].concat()).await;
    let client = server.client();
    for _ in 0..3 {
        client.clone().list_rooms(vec![]).await.unwrap();
    }
    assert_eq!(server.requests().len(), 3);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_client_needs_sound_settings() {
    type Change = fn(&mut usher::livekit::Config);
    let cases: [(Change, ConfigError); 8] = [
        (|config| config.credentials = Credentials::new("", "x"), ConfigError::NoApiKey),
        (|config| config.credentials = Credentials::new("x", ""), ConfigError::NoSecret),
        (|config| config.timeout = Duration::ZERO, ConfigError::Timeout),
        (|config| config.user_agent = "a\nb".to_owned(), ConfigError::UserAgent),
        (|config| config.ca = Some(Vec::new()), ConfigError::Ca("holds no certificate")),
        (
            |config| config.ca = Some(b"-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n".to_vec()),
            ConfigError::Ca("is not valid PEM"),
        ),
        (
            |config| config.ca = Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec()),
            ConfigError::Ca("holds a certificate that cannot be read"),
        ),
        (
            |config| config.address = format!("https://h/{}", "a".repeat(70_000)).parse().unwrap(),
            ConfigError::Address("uri too long".to_owned()),
        ),
    ];
    for (change, expected) in cases {
        let mut config = config("https://livekit.example.com");
        change(&mut config);
        assert_eq!(Client::new(config).err(), Some(expected));
    }
}

#[test]
fn debug_shows_no_secret() {
    let config = config("http://livekit.example.com");
    let client = Client::new(config.clone()).unwrap();
    for shown in [format!("{config:?}"), format!("{client:?}")] {
        assert!(shown.contains("devkey") && !shown.contains("a-secret"), "{shown}");
    }
}
