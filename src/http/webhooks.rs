//! The receiver of LiveKit's webhooks.

use std::{
    convert::Infallible,
    error::Error,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{
        Method, StatusCode,
        header::{ALLOW, AUTHORIZATION, CONNECTION},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use http_body_util::LengthLimitError;
use hyper::body::Incoming;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout};
use tower::{Service, service_fn};

use super::{
    seen::Seen,
    serve::{Known, STRANGER_WAITS},
};
use crate::{
    engine::{Event, Routes},
    livekit::webhook::WebhookError,
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
pub fn webhooks(
    routes: Routes,
    metrics: Arc<Metrics>,
) -> impl Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static {
    let receiver = Receiver { routes, metrics, seen: Arc::default() };
    service_fn(move |request| {
        let receiver = receiver.clone();
        async move { Ok(receive(&receiver, request).await) }
    })
}

/// The server whose webhooks go to a path. Names of Kubernetes have nothing in them that a path would have to escape.
fn server_of(path: &str) -> Option<ObjectName> {
    let (namespace, name) = path.strip_prefix("/webhooks/")?.split_once('/')?;
    let is_name = |text: &str| !text.is_empty() && !text.contains('/');
    (is_name(namespace) && is_name(name)).then(|| ObjectName::new(namespace, name))
}

/// Why a request was no good webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rejection {
    /// Not posted: a probe of a load balancer, a browser. Where webhooks are posted to, it is told so.
    Method {
        is_path: bool,
    },
    /// No path of webhooks: a crawler, an address that is written wrong.
    Path,
    /// A server that is not there and a signature that is wrong look the same from outside.
    Unauthorized(&'static str),
    Slow,
    TooLarge,
    /// Its body ended before it was whole.
    Cut,
    /// It has been taken before.
    Duplicate,
    /// LiveKit repeats what is answered so.
    Overloaded,
}

impl Rejection {
    fn of_body(error: &axum::Error) -> Self {
        let is_limit = error.source().is_some_and(|source| source.is::<LengthLimitError>());
        if is_limit { Self::TooLarge } else { Self::Cut }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Method { .. } => "method",
            Self::Path => "path",
            Self::Unauthorized(why) => why,
            Self::Slow => "slow",
            Self::TooLarge => "body_size",
            Self::Cut => "cut",
            Self::Duplicate => "duplicate",
            Self::Overloaded => "overloaded",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Method { is_path: true } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Method { is_path: false } | Self::Path => StatusCode::NOT_FOUND,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Cut => StatusCode::BAD_REQUEST,
            Self::Duplicate => StatusCode::OK,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<WebhookError> for Rejection {
    fn from(error: WebhookError) -> Self {
        Self::Unauthorized(error.label())
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        match self {
            Self::Method { is_path: true } => (self.status(), [(ALLOW, "POST")]).into_response(),
            _ => self.status().into_response(),
        }
    }
}

async fn receive(receiver: &Receiver, request: Request<Incoming>) -> Response {
    let (request, body) = request.into_parts();
    let sender = request.extensions.get::<Known>().cloned().unwrap_or_default();
    let taken = receiver.take(&request, &sender, Body::new(body)).await;
    let Err(rejection) = taken else {
        return StatusCode::OK.into_response();
    };
    receiver.metrics.webhook_rejected(rejection.label());
    tracing::debug!(path = request.uri.path(), reason = rejection.label(), "webhook rejected");
    if sender.is_known() {
        return rejection.into_response();
    }
    sleep(STRANGER_WAITS).await;
    ([(CONNECTION, "close")], rejection).into_response()
}

impl Receiver {
    /// Takes a webhook in.
    async fn take(&self, request: &Parts, sender: &Known, body: Body) -> Result<(), Rejection> {
        let received = Instant::now();
        let server = server_of(request.uri.path());
        if request.method != Method::POST {
            return Err(Rejection::Method { is_path: server.is_some() });
        }
        let server = server.ok_or(Rejection::Path)?;
        let route = self.routes.find(&server).ok_or(Rejection::Unauthorized("unknown_server"))?;
        let token = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.ok_or(Rejection::Unauthorized("no_token"))?;
        // What costs little comes first: of a stranger's body not one byte is read.
        let signed = route.verifier.check(token, SystemTime::now())?;
        let body = match timeout(SLOWEST_BODY, to_bytes(body, LARGEST_BODY)).await {
            Err(_) => return Err(Rejection::Slow),
            Ok(Err(error)) => return Err(Rejection::of_body(&error)),
            Ok(Ok(body)) => body,
        };
        let webhook = signed.read(&body)?;
        let mark = self.seen.mark(&server, &webhook.id);
        if mark.is_some_and(|mark| self.seen.has(mark)) {
            return Err(Rejection::Duplicate);
        }
        // Not by what has come before: that, anybody may have overheard.
        sender.is();
        self.metrics.webhook(&server, &webhook.event);
        self.metrics.webhook_age(webhook.created_at, Timestamp::now());
        if let Some(event) = Event::read(webhook, received) {
            route.hand_over(event).map_err(|_| Rejection::Overloaded)?;
        }
        if let Some(mark) = mark {
            self.seen.note(mark);
        }
        Ok(())
    }
}
