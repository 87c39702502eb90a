//! Whoever can reach the receiver of webhooks and has no key costs little and changes nothing.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use usher::livekit::{Credentials, webhook::sign};
use usher_testkit::{ApiKey, Fault, TokenSpec, eventually, request};

use crate::{
    stage::{A_WHILE, AGAIN, QUIET, SOON, Stage},
    webhooks::kept_back,
};

impl Stage {
    async fn stranger(&self) -> TcpStream {
        let address = self.operator.http_url().replace("http://", "");
        TcpStream::connect(address).await.expect("it listens")
    }

    fn webhook_path(&self) -> String {
        format!("/webhooks/{}/main", self.namespace)
    }

    pub(crate) async fn rejected(&self, reason: &str) -> f64 {
        let name = format!("usher_webhooks_rejected_total{{reason=\"{reason}\"}}");
        self.operator.metric(&name).await.unwrap_or_default()
    }

    async fn wait_rejected(&self, reason: &str) {
        eventually(AGAIN, reason, async || match self.rejected(reason).await {
            0.0 => Err("not counted"),
            _ => Ok(()),
        })
        .await;
    }
}

async fn read_all(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // An end without ceremony is as good: what matters is that it comes.
    let _ = timeout(AGAIN, stream.read_to_end(&mut text)).await.expect("the connection is closed");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn of_a_body_without_a_good_token_not_one_byte_is_awaited() {
    let stage = Stage::set().await;
    let mut stream = stage.stranger().await;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nAuthorization: a.b.c\r\nContent-Length: 1000000\r\n\r\n",
        stage.webhook_path()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_all(stream).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(stage.rejected("no_token").await, 1.0);
}

#[tokio::test]
async fn a_body_that_is_too_large_or_does_not_come_changes_nothing_and_is_counted() {
    let stage = Stage::set().await;
    stage.policy("quiet", "hall-", QUIET).await;
    // Good but for its length: the blanks at its end are JSON, and signed.
    let (guest, webhook) = kept_back(&stage).await;
    let key = &stage.livekit.keys()[0];
    let padded = |size: usize| {
        let mut body = webhook.call.body.to_vec();
        body.resize(size, b' ');
        let token = sign(&Credentials::new(&key.key, &key.secret), &body, SystemTime::now()).unwrap();
        (token, body)
    };
    let url = format!("{}{}", stage.operator.http_url(), stage.webhook_path());
    let post = |(token, body): (String, Vec<u8>)| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", token.parse().unwrap());
        request(http::Method::POST, &url, headers, body)
    };
    let reply = post(padded(3 << 20)).await;
    // It may be answered, or cut off, while it is still being sent.
    assert!(reply.is_err() || reply.is_ok_and(|reply| reply.status == 413));
    stage.wait_rejected("body_size").await;

    // It is cut off.
    let (token, body) = padded(10_000);
    let path = stage.webhook_path();
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 10000\r\n\r\n");
    let mut stream = stage.stranger().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..9_999]).await.unwrap();
    stream.shutdown().await.unwrap();
    stage.wait_rejected("cut").await;
    assert_eq!(stage.rejected("body_size").await, 1.0);

    // Its last byte does not come.
    let mut stream = stage.stranger().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..9_999]).await.unwrap();
    stage.wait_rejected("slow").await;
    let answer = read_all(stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");

    guest.assert_unchanged_for(A_WHILE).await;
    assert_eq!(stage.proxy.writes().len(), 0);
    // All of it does it, so that the test says something.
    assert_eq!(post((token, body)).await.unwrap().status, 200);
    guest.wait_for(SOON, |info| !info.permission.can_publish).await;
}

#[tokio::test]
async fn strangers_are_shown_out_and_counted_and_keep_nobody_else_out() {
    let stage = Stage::set().await;
    stage.policy("quiet", "hall-", QUIET).await;
    let mut strangers = Vec::new();
    for number in 0..600 {
        let mut stream = stage.stranger().await;
        if number % 2 == 0 {
            stream.write_all(b"POST /webhooks/ HTTP/1.1\r\nX-Never: en").await.unwrap();
        }
        strangers.push(stream);
    }
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    // Before anybody is shown out who would be if nobody waited.
    guest.wait_for(Duration::from_secs(10), |info| !info.permission.can_publish).await;
    // One of each kind, to see that it was not room alone that helped.
    for stream in strangers.into_iter().take(2) {
        assert_eq!(read_all(stream).await, "");
    }
    stage.wait_rejected("slow").await;
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_counted() {
    let stage = Stage::set().await;
    let mut stream = stage.stranger().await;
    stream.write_all(b"\x16\x03\x01 a client that speaks TLS\r\n\r\n").await.unwrap();
    let answer = read_all(stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    stage.wait_rejected("malformed").await;
}

#[tokio::test]
async fn headers_without_end_are_refused_and_counted() {
    let stage = Stage::set().await;
    let mut stream = stage.stranger().await;
    stream.write_all(format!("POST {} HTTP/1.1\r\n", stage.webhook_path()).as_bytes()).await.unwrap();
    let line = format!("X-Long: {}\r\n", "x".repeat(1000));
    for _ in 0..100 {
        if stream.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
    let answer = read_all(stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431") || answer.starts_with("HTTP/1.1 400"), "{answer}");
    stage.wait_rejected("header_size").await;
}

#[tokio::test]
async fn a_replayed_webhook_is_dropped_by_its_id_and_counted() {
    let stage = Stage::set().await;
    stage.policy("quiet", "hall-", QUIET).await;
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    guest.wait_for(SOON, |info| !info.permission.can_publish).await;
    let joined = stage.relay.wait_for(SOON, |webhook| webhook.event == "participant_joined").await;
    let received = "usher_webhooks_received_total{event=\"participant_joined\"}";
    for number in 1..=5 {
        let answer = stage.relay.resend(&joined).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["connection"], "close", "it makes nobody known");
        assert_eq!(stage.rejected("duplicate").await, f64::from(number));
    }
    assert_eq!(stage.operator.metric(received).await, Some(1.0));
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(stage.proxy.calls().iter().filter(|call| call.method != "ListRooms").count(), 1);
}

#[tokio::test]
async fn a_flood_of_forged_webhooks_changes_nothing_keeps_nobody_out_and_is_counted() {
    const FLOOD: usize = 600;
    let stage = Stage::set().await;
    stage.policy("quiet", "hall-", QUIET).await;
    let url = format!("{}{}", stage.operator.http_url(), stage.webhook_path());
    let body = json!({
        "event": "participant_joined", "id": "EV_forged", "createdAt": jiff::Timestamp::now().as_second().to_string(),
        "room": {"sid": "RM_forged", "name": "hall-1"},
        "participant": {
            "sid": "PA_forged", "identity": "guest", "state": "ACTIVE",
            "permission": {"canSubscribe": true, "canPublish": true, "canPublishData": true},
        },
    });
    let key = ApiKey::new(&stage.livekit.keys()[0].key, "another-secret-of-at-least-32-bytes-of-length");
    let claims = json!({"sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="});
    let token = key.sign(claims.as_object().unwrap().clone(), Duration::from_secs(300));
    let forged = (0..FLOOD).map(|_| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", token.parse().unwrap());
        request(http::Method::POST, &url, headers, body.to_string())
    });
    let (answers, guest) = futures::join!(futures::future::join_all(forged), async {
        let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
        guest.wait_for(AGAIN, |info| !info.permission.can_publish).await;
        guest
    });
    for answer in answers {
        let answer = answer.expect("each is answered");
        assert_eq!(answer.status, 401);
        assert_eq!(answer.headers["connection"], "close");
    }
    assert_eq!(stage.rejected("signature").await, FLOOD as f64);
    guest.assert_unchanged_for(A_WHILE).await;
    assert_eq!(stage.proxy.writes().len(), 1);
    assert_eq!(stage.operator.metric("usher_webhook_age_seconds_count").await, Some(2.0), "room and participant");
}

#[tokio::test]
async fn a_webhook_is_answered_before_it_is_acted_upon() {
    let stage = Stage::set().await;
    stage.policy("quiet", "hall-", QUIET).await;
    let (guest, webhook) = kept_back(&stage).await;
    stage.proxy.fault("UpdateParticipant", Fault::Delay(Duration::from_secs(3)));
    assert_eq!(stage.relay.resend(&webhook).await.status, 200);
    let answered = stage.proxy.calls_of("UpdateParticipant").into_iter().filter(|call| call.status.is_some());
    assert_eq!(answered.count(), 0, "LiveKit's next webhook waits for this answer");
    guest.wait_for(SOON, |info| !info.permission.can_publish).await;
}

#[tokio::test]
async fn an_event_that_nobody_knows_is_taken_and_ignored() {
    let stage = Stage::set().await;
    stage.policy("quiet", "hall-", QUIET).await;
    let (guest, webhook) = kept_back(&stage).await;
    let key = &stage.livekit.keys()[0];
    let mut event = webhook.json.clone();
    event["event"] = json!("participant_promoted");
    event["id"] = json!("EV_of_the_future");
    event["promotion"] = json!({"to": ["host"]});
    let body = event.to_string().into_bytes();
    let token = sign(&Credentials::new(&key.key, &key.secret), &body, SystemTime::now()).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("authorization", token.parse().unwrap());
    let url = format!("{}{}", stage.operator.http_url(), stage.webhook_path());
    assert_eq!(request(http::Method::POST, &url, headers, body).await.unwrap().status, 200);
    assert_eq!(stage.operator.metric("usher_webhooks_received_total{event=\"other\"}").await, Some(1.0));
    guest.assert_unchanged_for(A_WHILE).await;
    assert_eq!(stage.proxy.writes().len(), 0);
}
