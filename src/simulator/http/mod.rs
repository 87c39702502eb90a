//! The simulated server over HTTP: `POST /twirp/livekit.RoomService/<Method>`, with protobuf and JSON.

mod json;
mod token;

use std::{io, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Method as HttpMethod, StatusCode,
        header::{CONTENT_TYPE, LOCATION, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};

pub(super) use token::Keys;

use super::{
    Performed, Simulator,
    service::{Answer, Caller, Method, Refusal},
};
use crate::livekit::TwirpCode;

const SERVICE: &str = "/twirp/livekit.RoomService";
const TIMEOUT: &str = "x-twirp-timeout-ms";
/// The largest body taken, and how long it may take to come. LiveKit 1.13.5 has no such bounds.
const LARGEST_BODY: usize = 16 << 20;
const SLOWEST_BODY: Duration = Duration::from_secs(30);

/// How messages are written.
#[derive(Clone, Copy)]
enum Format {
    Protobuf,
    Json,
}

pub(super) fn router(simulator: Simulator) -> Router {
    Router::new().fallback(receive).with_state(simulator)
}

async fn receive(State(simulator): State<Simulator>, request: Request) -> Response {
    let uri = request.uri().clone();
    let caller = match simulator.keys().caller(request.headers(), uri.query(), simulator.now()) {
        Ok(caller) => caller,
        Err(rejection) => return text(StatusCode::UNAUTHORIZED, rejection),
    };
    let path = uri.path();
    let path = if path.starts_with("//") { &path[1..] } else { path };
    match path.strip_prefix(SERVICE) {
        Some("") => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, format!("{SERVICE}/"))]).into_response(),
        Some(method) if method.starts_with('/') => call(&simulator, &caller, path, &method[1..], request).await,
        _ if path == "/" => text(StatusCode::OK, "OK".to_owned()),
        _ => text(StatusCode::NOT_FOUND, "404 page not found\n".to_owned()),
    }
}

async fn call(simulator: &Simulator, caller: &Caller, path: &str, method: &str, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let (method, format) = match route(&head.method, path, method, &head.headers) {
        Ok(route) => route,
        Err(refusal) => return refused(&refusal),
    };
    let body = match tokio::time::timeout(SLOWEST_BODY, to_bytes(body, LARGEST_BODY)).await {
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Ok(Ok(body)) => body,
    };
    let (decoded, kind) = match format {
        Format::Protobuf => (method.read_protobuf(&body), "protobuf"),
        Format::Json => (method.read_json(&body), "json"),
    };
    let Some(decoded) = decoded else {
        let message = format!("the {kind} request could not be decoded");
        return refused(&Refusal::new(TwirpCode::Malformed, message));
    };
    let timeout = head.headers.get(TIMEOUT).and_then(|value| value.to_str().ok()?.parse().ok());
    let timeout = timeout.filter(|millis| *millis > 0).map(Duration::from_millis);
    match simulator.perform(caller, decoded, timeout).await {
        Performed::Answered(Ok(answer)) => answered(&answer, format),
        Performed::Answered(Err(refusal)) => refused(&refusal),
        Performed::Status { status, retry_after } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            let mut response = text(status, format!("{status}\n"));
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Performed::Cut => cut(),
    }
}

/// What is called and how: the method of HTTP, the path, the content type, in this order.
fn route(http: &HttpMethod, path: &str, method: &str, headers: &HeaderMap) -> Result<(Method, Format), Refusal> {
    let bad_route = |message: String| Refusal::bad_route(message, http.as_str(), path);
    if http != HttpMethod::POST {
        return Err(bad_route(format!("unsupported method {:?} (only POST is allowed)", http.as_str())));
    }
    let method = Method::of_name(method).ok_or_else(|| bad_route(format!("no handler for path {path:?}")))?;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/protobuf" => Ok((method, Format::Protobuf)),
        "application/json" => Ok((method, Format::Json)),
        _ => Err(bad_route(format!("unexpected Content-Type: {content_type:?}"))),
    }
}

fn answered(answer: &Answer, format: Format) -> Response {
    let (content_type, body) = match format {
        Format::Protobuf => ("application/protobuf", answer.to_protobuf()),
        Format::Json => ("application/json", Bytes::from(json::answer(answer).to_string())),
    };
    (StatusCode::OK, [(CONTENT_TYPE, content_type)], body).into_response()
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, "application/json")], refusal.body().to_string()).into_response()
}

fn text(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

/// A body that breaks off: the HTTP library then closes the connection.
fn cut() -> Response {
    Body::from_stream(futures::stream::once(async { Err::<Bytes, _>(io::Error::from(io::ErrorKind::BrokenPipe)) }))
        .into_response()
}
