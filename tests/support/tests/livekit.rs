//! livekit-server and participants: what is done by one is seen by the other.

#![allow(clippy::expect_used, clippy::panic)]

use serde_json::json;
use std::time::{Duration, Instant};
use usher_testkit::{JoinError, LiveKit, LiveKitOptions, Participants, ParticipantsOptions, TokenSpec};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_participant_is_who_its_token_says() {
    let start = Instant::now();
    let livekit = LiveKit::start(LiveKitOptions::default()).await;
    println!("livekit-server after {:?}", start.elapsed());
    let participants = Participants::start();
    let token = TokenSpec::new("room", "alice")
        .name("Alice")
        .metadata("{\"role\":\"teacher\"}")
        .attribute("team", "red")
        .kind("agent")
        .grant("canPublishSources", vec!["camera", "microphone"])
        .grant("canUpdateOwnMetadata", true);
    let start = Instant::now();
    let alice = participants.join(&livekit, &token).await;
    println!("joined after {:?}", start.elapsed());

    let info = alice.info();
    assert_eq!((info.identity.as_str(), info.name.as_str(), info.kind.as_str()), ("alice", "Alice", "AGENT"));
    assert_eq!(info.metadata, "{\"role\":\"teacher\"}");
    assert_eq!(info.attributes["team"], "red");
    assert_eq!(info.permission.can_publish_sources, ["CAMERA", "MICROPHONE"]);
    assert!(info.permission.can_update_metadata && info.permission.can_subscribe && !info.permission.hidden);

    let seen = livekit.participant("room", "alice").await.expect("the server has it");
    assert_eq!(seen["sid"], alice.sid());
    assert_eq!(seen["kind"], "AGENT");
    assert_eq!(livekit.participant("room", "bob").await, None);
    assert!(livekit.participants("another room").await.is_empty());

    alice.set_attributes([("team", "blue")]).await.expect("it may");
    alice.wait_for(SOON, |info| info.attributes["team"] == "blue").await;
    alice.leave().await;
    assert!(livekit.participants("room").await.is_empty());
}

#[tokio::test]
async fn a_participant_publishes_what_it_may_under_true_and_false_sources() {
    let livekit = LiveKit::start(LiveKitOptions::default()).await;
    let participants = Participants::start();
    let sources = vec!["camera", "microphone", "screen_share"];
    let alice = participants.join(&livekit, &TokenSpec::new("room", "alice").grant("canPublishSources", sources)).await;
    let camera = alice.publish("video", "CAMERA", "face").await;
    let microphone = alice.publish("audio", "MICROPHONE", "voice").await;
    let screen = alice.publish("video", "SCREEN_SHARE", "slides").await;
    // A microphone that says it is a camera.
    let liar = alice.publish("audio", "CAMERA", "not a camera").await;
    assert_eq!(alice.try_publish("audio", "SCREEN_SHARE_AUDIO", "no").await, Err("NOT_ALLOWED".to_owned()));

    let expected = [
        (&camera, "VIDEO", "CAMERA", "face"),
        (&microphone, "AUDIO", "MICROPHONE", "voice"),
        (&screen, "VIDEO", "SCREEN_SHARE", "slides"),
        (&liar, "AUDIO", "CAMERA", "not a camera"),
    ];
    alice.wait_for(SOON, |info| info.tracks.len() == expected.len()).await;
    for (sid, media, source, label) in expected {
        let info = alice.info();
        let track = info.track(sid).unwrap_or_else(|| panic!("no {sid}\n{}", alice.history()));
        assert_eq!((track.r#type.as_str(), track.source.as_str(), track.name.as_str()), (media, source, label));
    }
    alice.mute(&microphone, true).await;
    alice.wait_for(SOON, |info| info.track(&microphone).is_some_and(|track| track.muted)).await;
    alice.unpublish(&screen).await;
    alice.wait_for(SOON, |info| info.track(&screen).is_none()).await;
}

#[tokio::test]
async fn a_participant_sees_what_an_administrator_does_to_it() {
    let livekit = LiveKit::start(LiveKitOptions { enable_remote_unmute: true, ..LiveKitOptions::default() }).await;
    let participants = Participants::start();
    let alice = participants.join(&livekit, &TokenSpec::new("room", "alice")).await;
    let camera = alice.publish("video", "CAMERA", "face").await;
    let microphone = alice.publish("audio", "MICROPHONE", "voice").await;
    alice.wait_published(&camera, SOON).await;
    alice.wait_published(&microphone, SOON).await;

    livekit.mute_track("room", "alice", &microphone, true).await.ok();
    alice.wait_muted(&microphone, true, SOON).await;
    livekit.mute_track("room", "alice", &microphone, false).await.ok();
    alice.wait_muted(&microphone, false, SOON).await;

    let permission = json!({"can_subscribe": true, "can_publish": true, "can_publish_sources": ["MICROPHONE"]});
    livekit.update_participant("room", "alice", json!({"permission": permission, "metadata": "watched"})).await;
    alice.wait_unpublished(&camera, SOON).await;
    alice.wait_for(SOON, |info| info.permission.can_publish_sources == ["MICROPHONE"]).await;
    let since = alice.wait_for(SOON, |info| info.metadata == "watched").await;
    assert!(since >= alice.connected_at());
    assert!(!alice.permission().can_publish_data);

    alice.wait_quiet(Duration::from_millis(400), SOON).await;
    alice.assert_unchanged_for(Duration::from_millis(300)).await;
    livekit.remove_participant("room", "alice").await;
    let at = alice.wait_removed(SOON).await;
    assert!(at > since);
}

#[tokio::test]
async fn without_the_option_nobody_unmutes_from_afar() {
    let livekit = LiveKit::start(LiveKitOptions::default()).await;
    let participants = Participants::start();
    let alice = participants.join(&livekit, &TokenSpec::new("room", "alice")).await;
    let microphone = alice.publish("audio", "MICROPHONE", "voice").await;
    livekit.mute_track("room", "alice", &microphone, true).await.ok();
    let reply = livekit.mute_track("room", "alice", &microphone, false).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (412, "failed_precondition"));
}

#[tokio::test]
async fn the_first_token_forgets_what_the_refreshed_one_keeps() {
    let livekit = LiveKit::start(LiveKitOptions::default()).await;
    let participants = Participants::start();
    let alice = participants.join(&livekit, &TokenSpec::new("room", "alice")).await;
    let first = alice.sid();
    let before = jiff::Timestamp::now();
    livekit.update_participant("room", "alice", json!({"permission": {"can_subscribe": true}})).await;
    let since = alice.wait_for(SOON, |info| !info.permission.can_publish).await;
    alice.wait_token(before.max(since - Duration::from_secs(1)), SOON).await;
    assert_eq!(alice.refreshed_claims().await["video"]["canPublish"], false);

    alice.reconnect_refreshed().await;
    assert_ne!(alice.sid(), first);
    assert!(!alice.permission().can_publish);
    alice.reconnect_first().await;
    assert!(alice.permission().can_publish);

    alice.drop_connection().await;
    alice.try_reconnect("first").await.expect("it can come back");
    assert_eq!(livekit.participants("room").await.len(), 1);
}

#[tokio::test]
async fn a_restarted_server_has_the_same_address_and_no_memory() {
    let livekit = LiveKit::start(LiveKitOptions::default()).await;
    let participants = Participants::start();
    let alice = participants.join(&livekit, &TokenSpec::new("room", "alice")).await;
    let url = livekit.url();
    let start = Instant::now();
    livekit.kill().await;
    assert!(livekit.try_api("ListRooms", json!({})).await.is_err());
    livekit.start().await;
    println!("livekit-server back after {:?}", start.elapsed());
    assert_eq!(livekit.url(), url);
    assert_eq!(alice.wait_left(SOON).await.reason, None);
    assert!(livekit.participants("room").await.is_empty());
    alice.reconnect_first().await;
    assert_eq!(livekit.participants("room").await.len(), 1);
}

#[tokio::test]
async fn limits_and_log_level_reach_the_server() {
    let options = LiveKitOptions {
        max_metadata_size: Some(10),
        max_attributes_size: Some(10),
        log_level: "info".to_owned(),
        extra: json!({"room": {"max_participants": 1}}),
        ..LiveKitOptions::default()
    };
    let livekit = LiveKit::start(options).await;
    let participants = Participants::start();
    let _alice = participants.join(&livekit, &TokenSpec::new("room", "alice")).await;
    for change in [json!({"metadata": "longer than ten"}), json!({"attributes": {"a": "longer than ten"}})] {
        let mut body = change;
        body["room"] = json!("room");
        body["identity"] = json!("alice");
        assert_eq!(livekit.api("UpdateParticipant", body).await.code(), "invalid_argument");
    }
    let token = livekit.token(&TokenSpec::new("room", "bob"));
    let refused = participants.try_join(&livekit.ws_url(), &token, "bob").await;
    assert!(matches!(&refused, Err(JoinError(_))), "{refused:?}");
    assert!(livekit.log().contains("\"level\":\"info\""), "{}", livekit.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_participants_join_at_once() {
    let livekit = LiveKit::start(LiveKitOptions::default()).await;
    let participants = Participants::start_with(&ParticipantsOptions { others: false });
    let specs: Vec<_> = (0..50).map(|n| TokenSpec::new("room", &format!("user-{n}"))).collect();
    let start = Instant::now();
    let all = participants.join_all(&livekit, &specs).await;
    println!("{} participants joined after {:?}", all.len(), start.elapsed());
    assert_eq!(livekit.participants("room").await.len(), all.len());
}

#[tokio::test]
#[should_panic(expected = "history of alice#0")]
async fn a_wait_that_fails_tells_what_happened() {
    let livekit = LiveKit::start(LiveKitOptions::default()).await;
    let participants = Participants::start();
    let alice = participants.join(&livekit, &TokenSpec::new("room", "alice")).await;
    alice.wait_for(Duration::from_millis(100), |info| info.name == "Bob").await;
}
