//! Starting, being asked, ending.

use std::time::Duration;

use usher_testkit::{TokenSpec, eventually, request};

use crate::stage::{SOON, Stage};

#[tokio::test]
async fn health_and_metrics_are_told() {
    let stage = Stage::set().await;
    for path in ["/healthz", "/readyz"] {
        let url = format!("{}{path}", stage.operator.admin_url());
        let reply = request(http::Method::GET, &url, http::HeaderMap::new(), "").await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, "ok\n"), "{path}");
    }
    // Not where webhooks come in.
    let url = format!("{}/metrics", stage.operator.http_url());
    let reply = request(http::Method::GET, &url, http::HeaderMap::new(), "").await.unwrap();
    assert_eq!(reply.status, 404);
    let metrics = stage.operator.metrics().await;
    let server = format!("server=\"{}/main\"", stage.namespace);
    assert!(metrics.contains("usher_build_info{version="), "{metrics}");
    assert!(
        metrics.contains(&format!("usher_livekit_requests_total{{{server},method=\"ListRooms\",code=\"ok\"}}")),
        "{metrics}"
    );
    assert!(metrics.contains(&format!("usher_last_successful_resync_timestamp_seconds{{{server}}}")), "{metrics}");
}

#[tokio::test]
async fn sigterm_ends_it_cleanly_and_a_new_one_goes_on() {
    let stage = Stage::set().await;
    let rules = "
- name: quiet
  set:
    permission: {canPublish: false}";
    stage.policy("quiet", "hall-", rules).await;
    let status = stage.operator.terminate(Duration::from_secs(5)).await.expect("it ends in time");
    assert!(status.success(), "{status}\n{}", stage.operator.log());
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    stage.operator.start().await;
    guest.wait_for(SOON, |info| !info.permission.can_publish).await;
}

#[tokio::test]
async fn no_secret_is_ever_logged() {
    let stage = Stage::set().await;
    let rules = "
- name: quiet
  set:
    permission: {canPublish: false}
    metadata: a-long-text-that-is-nobodys-business";
    stage.policy("quiet", "hall-", rules).await;
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    guest.wait_for(SOON, |info| !info.permission.can_publish).await;
    // The client may know of it before the operator has its answer.
    let log = eventually(SOON, "the log says what was done", async || {
        let log = stage.operator.log();
        if log.contains("updated") { Ok(log) } else { Err(log) }
    })
    .await;
    for secret in [stage.livekit.keys()[0].secret.as_str(), "eyJ", "nobodys-business", "turnPassword"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
