//! What webhooks may and may not do.

use std::time::Duration;

use serde_json::json;
use usher_testkit::{ApiKey, Fault, TokenSpec, eventually, request};

use crate::stage::{A_WHILE, AGAIN, QUIET, SOON, Stage};

#[tokio::test]
async fn a_join_is_enforced_by_its_webhook_with_exactly_one_request() {
    let stage = Stage::set().await;
    stage.policy("quiet", "hall-", QUIET).await;
    // The room, too, is heard of by its webhook only.
    stage.proxy.clear();
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    guest.wait_for(SOON, |info| !info.permission.can_publish).await;
    tokio::time::sleep(A_WHILE).await;
    let counts = stage.proxy.counts();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [("UpdateParticipant".to_owned(), 1)]);
    let enforced = stage.operator.metric("usher_time_to_enforce_seconds_count{noticed=\"join\"}").await;
    assert_eq!(enforced, Some(1.0));
}

#[tokio::test]
async fn one_request_brings_permission_and_attributes_together() {
    let stage = Stage::set().await;
    stage
        .policy(
            "both",
            "hall-",
            "
- name: both
  set:
    permission: {canPublish: false, canPublishData: false}
    attributes: {seat: back, row: '7'}",
        )
        .await;
    stage.proxy.clear();
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    guest.wait_for(SOON, |info| !info.permission.can_publish && info.attributes.len() == 2).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(stage.proxy.counts().values().sum::<usize>(), 1, "{:?}", stage.proxy.counts());
}

#[tokio::test]
async fn a_doubled_or_late_webhook_changes_nothing_more() {
    let stage = Stage::set().await;
    stage.policy("quiet", "hall-", QUIET).await;
    stage.relay.only("participant_joined", Fault::Twice);
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    guest.wait_for(SOON, |info| !info.permission.can_publish).await;
    let joined = stage.relay.wait_for(SOON, |webhook| webhook.event == "participant_joined").await;
    guest.leave().await;
    stage.relay.wait_for(SOON, |webhook| webhook.event == "participant_left").await;
    let before = stage.proxy.writes().len();
    assert_eq!(before, 1);
    assert_eq!(stage.relay.resend(&joined).await.status, 200);
    tokio::time::sleep(A_WHILE).await;
    // It may find out that nobody is there. It must not harm anybody.
    assert!(stage.proxy.writes().len() <= before + 1, "{:?}", stage.proxy.counts());
}

/// The webhook of a real join, kept back from the operator.
pub async fn kept_back(stage: &Stage) -> (usher_testkit::Participant, usher_testkit::Webhook) {
    stage.relay.swallow();
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    let webhook = stage.relay.wait_for(SOON, |webhook| webhook.event == "participant_joined").await;
    stage.relay.on();
    (guest, webhook)
}

#[tokio::test]
async fn a_forged_expired_or_altered_webhook_changes_nothing() {
    let stage = Stage::set().await;
    stage.policy("quiet", "hall-", QUIET).await;
    let (guest, webhook) = kept_back(&stage).await;
    let url = format!("{}{}", stage.operator.http_url(), webhook.call.path);
    let genuine = webhook.call.headers["authorization"].clone();
    let sha256 = serde_json::json!(claim(genuine.to_str().unwrap(), "sha256"));
    let key = &stage.livekit.keys()[0];
    let claims = |sha256: &serde_json::Value| json!({"sha256": sha256}).as_object().unwrap().clone();
    let minutes = Duration::from_secs(300);
    let other_secret = ApiKey::new(&key.key, "another-secret-of-at-least-32-bytes-of-length");
    let other_key = ApiKey::new("otherkey", &key.secret);
    let expired = {
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({"sha256": sha256, "iss": key.key, "exp": now - 600, "nbf": now - 900});
        let secret = jsonwebtoken::EncodingKey::from_secret(key.secret.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &secret).unwrap()
    };
    let altered = String::from_utf8_lossy(&webhook.call.body).replace("guest", "other").into_bytes();
    let body = webhook.call.body.to_vec();
    let forgeries = [
        ("another secret", other_secret.sign(claims(&sha256), minutes), body.clone(), "signature"),
        ("another key", other_key.sign(claims(&sha256), minutes), body.clone(), "unknown_key"),
        ("expired", expired, body.clone(), "expired"),
        ("no hash", key.sign(serde_json::Map::new(), minutes), body.clone(), "missing_claim"),
        ("another body", genuine.to_str().unwrap().to_owned(), altered, "body_hash"),
        ("no token", String::new(), body, "no_token"),
    ];
    for (what, token, body, reason) in forgeries {
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", token.parse().unwrap());
        headers.insert("content-type", "application/webhook+json".parse().unwrap());
        let reply = request(http::Method::POST, &url, headers, body).await.unwrap();
        assert_eq!(reply.status, 401, "{what}");
        assert_eq!(reply.text(), "", "{what}: nothing is told");
        assert_eq!(stage.rejected(reason).await, 1.0, "{what}");
    }
    let unknown = url.replace("/main", "/other");
    let reply =
        request(http::Method::POST, &unknown, webhook.call.headers.clone(), webhook.call.body.clone()).await.unwrap();
    assert_eq!(reply.status, 401, "an unknown server looks the same");
    for path in ["/", "/webhooks", "/webhooks/main", "/webhooks//main", "/webhooks/default/", "/webhooks/default/main/"]
    {
        let elsewhere = format!("{}{path}", stage.operator.http_url());
        let (headers, body) = (webhook.call.headers.clone(), webhook.call.body.clone());
        let reply = request(http::Method::POST, &elsewhere, headers, body).await.unwrap();
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(reply.headers["connection"], "close", "{path}");
    }
    assert_eq!(stage.rejected("path").await, 6.0);
    let (headers, body) = (webhook.call.headers.clone(), webhook.call.body.clone());
    let reply = request(http::Method::PUT, &url, headers, body).await.unwrap();
    assert_eq!(reply.status, 405);
    assert_eq!(reply.headers["allow"], "POST");
    assert_eq!(reply.headers["connection"], "close");
    assert_eq!(stage.rejected("method").await, 1.0);
    guest.assert_unchanged_for(A_WHILE).await;
    assert_eq!(stage.proxy.writes().len(), 0);
    // The genuine one does it, so that the test says something.
    assert_eq!(stage.relay.resend(&webhook).await.status, 200);
    guest.wait_for(SOON, |info| !info.permission.can_publish).await;
}

#[tokio::test]
async fn with_webhooks_switched_off_the_resync_enforces() {
    let stage = Stage::with(crate::stage::Scene { resync_interval: Some("5s"), ..Default::default() }).await;
    stage.policy("quiet", "hall-", QUIET).await;
    stage.relay.swallow();
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    let at = guest.wait_for(AGAIN, |info| !info.permission.can_publish).await;
    let took = at.duration_since(guest.connected_at());
    assert!(took.as_secs() < 12, "{took:?}");
    let received = stage.operator.metric("usher_webhooks_received_total").await;
    assert_eq!(received, None, "none came through");
}

#[tokio::test]
async fn what_another_admin_changes_is_put_back_by_the_resync() {
    let stage = Stage::with(crate::stage::Scene { resync_interval: Some("5s"), ..Default::default() }).await;
    stage.policy("quiet", "hall-", QUIET).await;
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    guest.wait_for(SOON, |info| !info.permission.can_publish).await;
    // Until its answer has come, the enforcement is not over, and what is undone meanwhile is the same one's.
    enforced(&stage, "join").await;
    let granted = json!({"permission": {"can_subscribe": true, "can_publish": true, "can_publish_data": true}});
    stage.livekit.update_participant("hall-1", "guest", granted).await;
    guest.wait_for(SOON, |info| info.permission.can_publish).await;
    guest.wait_for(AGAIN, |info| !info.permission.can_publish).await;
    enforced(&stage, "resync").await;
}

/// Waits until an enforcement is counted that was `noticed` so.
async fn enforced(stage: &Stage, noticed: &str) {
    let counter = format!("usher_time_to_enforce_seconds_count{{noticed=\"{noticed}\"}}");
    eventually(SOON, &counter, async || match stage.operator.metric(&counter).await {
        Some(count) if count >= 1.0 => Ok(()),
        _ => {
            let metrics = stage.operator.metrics().await;
            let counts = metrics.lines().filter(|line| line.contains("time_to_enforce_seconds_count"));
            Err(counts.collect::<Vec<_>>().join(" "))
        }
    })
    .await;
}

/// A claim of a token, as text.
fn claim(token: &str, name: &str) -> String {
    use base64::Engine;
    let payload = token.split('.').nth(1).expect("a token has three parts");
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).expect("base64");
    let claims: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    claims[name].as_str().expect("text").to_owned()
}
