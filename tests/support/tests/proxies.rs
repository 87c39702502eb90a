//! The proxies, between the real server and stand-ins for the operator.

#![allow(clippy::expect_used, clippy::panic)]

use http::{HeaderMap, Method};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use usher_testkit::{
    Fault, LiveKit, LiveKitOptions, Operator, OperatorOptions, Participants, RecordingProxy, Reply, TokenSpec,
    WebhookRelay, eventually, request,
};

const SOON: Duration = Duration::from_secs(10);

/// Lists the rooms through the proxy.
async fn list(livekit: &LiveKit, proxy: &RecordingProxy) -> Result<Reply, String> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().expect("this is a header"));
    let token = livekit.keys()[0].admin_token("", "");
    headers.insert("authorization", format!("Bearer {token}").parse().expect("this is a header"));
    let url = format!("{}/twirp/livekit.RoomService/ListRooms", proxy.url());
    request(Method::POST, &url, headers, "{}").await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn api_requests_are_recorded_and_broken_as_told() {
    let livekit = LiveKit::start(LiveKitOptions::default()).await;
    let proxy = RecordingProxy::start(livekit.url());
    assert_eq!(list(&livekit, &proxy).await.expect("it answers").text(), "{\"rooms\":[]}");

    proxy.fault_times(1, "ListRooms", Fault::Delay(Duration::from_millis(200)));
    let start = Instant::now();
    list(&livekit, &proxy).await.expect("it answers");
    assert!(start.elapsed() >= Duration::from_millis(200));

    proxy.fault_times(1, "*", Fault::Refuse);
    list(&livekit, &proxy).await.expect_err("it is dropped");
    proxy.fault_times(1, "*", Fault::LoseReply);
    list(&livekit, &proxy).await.expect_err("its answer is dropped");
    proxy.fault("UpdateParticipant", Fault::Refuse);
    proxy.fault_when(Some(1), |call| call.body == "{}", Fault::twirp(503, "unavailable", "no response"));
    let reply = list(&livekit, &proxy).await.expect("it answers");
    assert_eq!((reply.status.as_u16(), reply.text().contains("\"unavailable\"")), (503, true));

    proxy.fault("*", Fault::Hang);
    tokio::time::timeout(Duration::from_millis(200), list(&livekit, &proxy)).await.expect_err("it hangs");
    proxy.clear_faults();
    list(&livekit, &proxy).await.expect("it answers");

    let statuses: Vec<Option<u16>> = proxy.calls().iter().map(|call| call.status.map(|s| s.as_u16())).collect();
    assert_eq!(statuses, [Some(200), Some(200), None, None, Some(503), None, Some(200)]);
    assert_eq!(proxy.counts(), BTreeMap::from([("ListRooms".to_owned(), 7)]));
    assert!(proxy.writes().is_empty());
    assert_eq!(proxy.wait_for("ListRooms", 7, SOON).await.len(), 7);
    proxy.clear();
    assert_eq!(proxy.count("ListRooms"), 0);
}

/// The stand-in for the operator, which Cargo builds beside the tests.
fn fake_operator() -> OperatorOptions {
    let program = std::env::current_exe().expect("this test has a path");
    let program = program.parent().and_then(|deps| deps.parent()).expect("it lies in target/debug/deps");
    OperatorOptions::new(program.join("examples/fake_operator"), "/a/kubeconfig")
}

#[tokio::test]
async fn webhooks_reach_the_operator_except_where_told() {
    let relay = WebhookRelay::start();
    let options = LiveKitOptions { webhook_urls: vec![relay.url("/hook")], ..LiveKitOptions::default() };
    let livekit = LiveKit::start(options).await;
    let operator = Operator::start(fake_operator()).await;
    relay.set_target(&operator.http_url());
    let participants = Participants::start();
    let webhooks = async || operator.metric("webhooks_total{server=\"a\"}").await.expect("it counts");

    let alice = participants.join(&livekit, &TokenSpec::new("room", "alice")).await;
    let joined = relay.wait_for(SOON, |webhook| webhook.event == "participant_joined").await;
    assert_eq!((joined.room.as_str(), joined.identity.as_str()), ("room", "alice"));
    assert_eq!(joined.json["participant"]["sid"], alice.sid());
    assert_eq!(joined.call.path, "/hook");
    let late = joined.call.arrived.duration_since(alice.connected_at());
    println!("webhook {late:#} after connected");
    eventually(SOON, "both webhooks", async || if webhooks().await == 2.0 { Ok(()) } else { Err(webhooks().await) })
        .await;

    relay.resend(&joined).await;
    assert_eq!(webhooks().await, 3.0);

    relay.swallow();
    let bob = participants.join(&livekit, &TokenSpec::new("room", "bob")).await;
    relay.wait_for(SOON, |webhook| webhook.identity == "bob" && webhook.call.status.is_some()).await;
    assert_eq!(webhooks().await, 3.0);

    relay.only("participant_left", Fault::Twice);
    bob.leave().await;
    relay.wait_for(SOON, |webhook| webhook.event == "participant_left" && webhook.call.status.is_some()).await;
    assert_eq!(webhooks().await, 5.0);

    // LiveKit tries again after a second.
    relay.off();
    let start = Instant::now();
    alice.publish("audio", "MICROPHONE", "voice").await;
    relay.wait_for(SOON, |webhook| webhook.event == "track_published").await;
    relay.on();
    relay.wait_for(SOON, |webhook| webhook.event == "track_published" && webhook.call.status.is_some()).await;
    println!("the webhook came again after {:?}", start.elapsed());
    assert_eq!(webhooks().await, 6.0);
}

#[tokio::test]
async fn an_operator_is_started_as_told_and_restarts_at_its_addresses() {
    let options = fake_operator().namespace("one").namespace("two").args(["--resync=5s"]).env("RUST_LOG", "debug");
    let operator = Operator::start(options).await;
    let log = operator.log();
    for expected in ["\"run\"", "--namespace=one", "--namespace=two", "--resync=5s", "--leader-elect=false"] {
        assert!(log.contains(expected), "{expected} in {log}");
    }
    assert!(log.contains("KUBECONFIG=Ok(\"/a/kubeconfig\")"), "{log}");

    let first = operator.id();
    operator.kill().await;
    assert!(!operator.is_running());
    operator.start().await;
    assert_ne!(operator.id(), first);
    assert_eq!(operator.metric("webhooks_total").await, Some(0.0));
    assert!(operator.log().contains("started again"));

    operator.freeze();
    let url = operator.admin_url();
    let asked = request(Method::GET, &url, HeaderMap::new(), "");
    tokio::time::timeout(Duration::from_millis(200), asked).await.expect_err("it is frozen");
    operator.thaw();
    assert!(operator.terminate(SOON).await.is_some_and(|status| !status.success()));
}

#[tokio::test]
#[should_panic(expected = "usher ended with exit status: 1")]
async fn an_operator_that_ends_is_not_waited_for() {
    let port = usher_testkit::free_port();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    Operator::start(fake_operator().http_port(port)).await;
}
