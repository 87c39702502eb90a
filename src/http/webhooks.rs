//! The receiver of LiveKit's webhooks.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    routing::post,
};
use tokio::time::Instant;

use super::{seen::Seen, serve::Known};
use crate::{
    engine::{Event, Routes},
    metrics::Metrics,
    policy::ObjectName,
};

/// The largest body taken. A participant's metadata may have 512 KiB, its attributes 64 (LiveKit's config.go), and
/// JSON may double both.
const LARGEST_BODY: usize = 2 << 20;
/// How long a body may take to arrive.
const SLOWEST_BODY: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Receiver {
    routes: Routes,
    metrics: Arc<Metrics>,
    seen: Arc<Seen>,
}

/// Receives webhooks under `/webhooks/<namespace>/<name of the LiveKitServer>`.
///
/// An answer means that the event is understood, not that it is acted upon: LiveKit sends the events of a room one by
/// one and waits for each answer.
pub fn webhooks(routes: Routes, metrics: Arc<Metrics>) -> Router {
    let receiver = Receiver { routes, metrics, seen: Arc::default() };
    Router::new().route("/webhooks/{namespace}/{name}", post(receive)).with_state(receiver)
}

async fn receive(
    State(receiver): State<Receiver>,
    Path((namespace, name)): Path<(String, String)>,
    Extension(sender): Extension<Known>,
    headers: HeaderMap,
    body: Body,
) -> StatusCode {
    let received = Instant::now();
    let reject = |reason, status| {
        receiver.metrics.webhook_rejected(reason);
        tracing::debug!(namespace, name, reason, "webhook rejected");
        status
    };
    let server = ObjectName::new(&namespace, &name);
    // A server that is not there and a signature that is wrong look the same from outside.
    let Some(route) = receiver.routes.find(&server) else {
        return reject("unknown_server", StatusCode::UNAUTHORIZED);
    };
    let Some(token) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        return reject("no_token", StatusCode::UNAUTHORIZED);
    };
    // What costs little comes first: of a stranger's body not one byte is read.
    let signed = match route.verifier.check(token, SystemTime::now()) {
        Ok(signed) => signed,
        Err(error) => return reject(error.label(), StatusCode::UNAUTHORIZED),
    };
    let body = match tokio::time::timeout(SLOWEST_BODY, to_bytes(body, LARGEST_BODY)).await {
        Err(_) => return reject("slow", StatusCode::REQUEST_TIMEOUT),
        Ok(Err(_)) => return reject("body_size", StatusCode::PAYLOAD_TOO_LARGE),
        Ok(Ok(body)) => body,
    };
    let webhook = match signed.read(&body) {
        Ok(webhook) => webhook,
        Err(error) => return reject(error.label(), StatusCode::UNAUTHORIZED),
    };
    sender.is();
    let mark = receiver.seen.mark(&server, &webhook.id);
    if mark.is_some_and(|mark| receiver.seen.has(mark)) {
        return reject("duplicate", StatusCode::OK);
    }
    receiver.metrics.webhook(&server, &webhook.event);
    match Event::read(webhook, received).map(|event| route.hand_over(event)) {
        None | Some(Ok(())) => {
            if let Some(mark) = mark {
                receiver.seen.note(mark);
            }
            StatusCode::OK
        }
        // LiveKit repeats what is answered so.
        Some(Err(_)) => reject("overloaded", StatusCode::SERVICE_UNAVAILABLE),
    }
}
