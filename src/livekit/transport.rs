//! One HTTP request and its answer, bounded in time and size.

use std::error::Error as StdError;
use std::io;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Response, redirect};
use url::Url;

use super::client::{Config, ConfigError};
use super::{Error, Feature, TlsProblem, retry_after, tls, twirp};

const PROTOBUF: &str = "application/protobuf";
/// Bounds the server's own work (livekit/protocol utils/xtwirp/timeout.go).
const TWIRP_TIMEOUT: HeaderName = HeaderName::from_static("x-twirp-timeout-ms");
/// Enough for any Twirp error.
const LARGEST_ERROR: usize = 16 * 1024;
/// Load balancers close idle connections after 60 s and more; whoever closes first decides whether a request is lost.
const IDLE: Duration = Duration::from_secs(50);

/// The connection pool of one server.
#[derive(Debug)]
pub(super) struct Transport {
    http: reqwest::Client,
    timeout: Duration,
    server_timeout: HeaderValue,
    private_ca: bool,
}

impl Transport {
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        if config.timeout.is_zero() {
            return Err(ConfigError::Timeout);
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(HeaderValue::from_str(&config.user_agent).map_err(|_| ConfigError::UserAgent)?)
            // A redirect would carry the request, or at least its room names, to an address nobody configured.
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .timeout(config.timeout)
            // Half, so that an address that does not answer leaves time for the host's next one.
            .connect_timeout(config.timeout / 2)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(15))
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(256)
            // One silent HTTP/2 connection would otherwise swallow call after call until TCP gives up on it.
            .http2_keep_alive_interval(Duration::from_secs(15))
            .http2_keep_alive_timeout(Duration::from_secs(5))
            .http2_keep_alive_while_idle(true);
        if let Some(pem) = &config.ca {
            builder = builder.tls_certs_only(tls::certificates(pem).map_err(ConfigError::Ca)?);
        } else if !config.address.is_tls() {
            // No TLS at all: do not read the system's certificates, nor fail where there are none.
            builder = builder.tls_certs_only([]);
        }
        // The server gives up a little earlier than we do, so that its own word on why still arrives.
        let server_timeout = (config.timeout.as_millis() * 9 / 10).max(1);
        Ok(Self {
            http: builder.build().map_err(|error| ConfigError::Http(innermost(&error)))?,
            timeout: config.timeout,
            server_timeout: HeaderValue::from_str(&server_timeout.to_string()).map_err(|_| ConfigError::Timeout)?,
            private_ca: config.ca.is_some(),
        })
    }

    /// Posts a protobuf message; the answer's bytes when it is one of LiveKit's.
    pub(super) async fn post(
        &self,
        url: Url,
        authorization: HeaderValue,
        message: Vec<u8>,
        limit: usize,
        feature: Option<Feature>,
    ) -> Result<Bytes, Error> {
        let mut response = self
            .http
            .post(url)
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, PROTOBUF)
            .header(TWIRP_TIMEOUT, self.server_timeout.clone())
            .body(message)
            .send()
            .await
            .map_err(|error| self.failed(&error))?;
        if response.status() != http::StatusCode::OK {
            return Err(refused(response, feature).await);
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if content_type.is_none_or(|value| !value.starts_with(PROTOBUF)) {
            return Err(Error::NotLiveKit("another content type than protobuf"));
        }
        self.body(&mut response, limit).await
    }

    async fn body(&self, response: &mut Response, limit: usize) -> Result<Bytes, Error> {
        let too_large = Error::TooLarge { limit };
        let announced = usize::try_from(response.content_length().unwrap_or_default()).unwrap_or(usize::MAX);
        if announced > limit {
            return Err(too_large);
        }
        let mut body = BytesMut::with_capacity(announced);
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error))? {
            if body.len() + chunk.len() > limit {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// An error of the way there or back.
    fn failed(&self, error: &reqwest::Error) -> Error {
        if let Some(problem) = TlsProblem::find(error, self.private_ca) {
            Error::Tls(problem)
        } else if error.is_connect() && error.is_timeout() {
            Error::Connect(Some(io::ErrorKind::TimedOut))
        } else if error.is_timeout() {
            Error::Timeout(self.timeout)
        } else if error.is_dns() {
            Error::Dns
        } else if error.is_connect() {
            Error::Connect(cause(error))
        } else {
            Error::Cut(cause(error))
        }
    }
}

/// An answer of another status than 200.
async fn refused(mut response: Response, feature: Option<Feature>) -> Error {
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| retry_after::parse(value, SystemTime::now()));
    // The status is the better part of the answer: a body that is cut, late or endless does not take it away.
    let mut body = BytesMut::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_ERROR {
            break;
        }
    }
    match twirp::parse(&body) {
        Some((code, message)) => Error::Twirp { status, code, message, retry_after, feature },
        None => Error::Status { status, retry_after },
    }
}

/// What the operating system said, such as "connection refused". Of other causes only that there was one: an HTTP/2
/// error, for instance, quotes text of the other side.
fn cause(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        next = error.source();
    }
    None
}

/// What the HTTP library could not set up, for instance that the system has no CA certificates. All of it is local.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}
