//! One HTTP request and its answer, bounded in time and size.

use std::error::Error as StdError;
use std::io;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy;
use tokio::time::{Instant, timeout_at};

use super::client::{Config, ConfigError};
use super::pool::{DnsError, Pool, Roots};
use super::{Error, Feature, TlsProblem, retry_after, tls, twirp};

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/protobuf");
/// Bounds the server's own work (livekit/protocol utils/xtwirp/timeout.go).
const TWIRP_TIMEOUT: HeaderName = HeaderName::from_static("x-twirp-timeout-ms");
/// Enough for any Twirp error.
const LARGEST_ERROR: usize = 16 * 1024;

/// How one server is asked.
#[derive(Debug)]
pub(super) struct Transport {
    pool: Pool,
    timeout: Duration,
    server_timeout: HeaderValue,
    user_agent: HeaderValue,
    private_ca: bool,
}

impl Transport {
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        if config.timeout.is_zero() {
            return Err(ConfigError::Timeout);
        }
        let roots = match &config.ca {
            Some(pem) => Roots::Only(tls::certificates(pem).map_err(ConfigError::Ca)?),
            None => Roots::public_if(config.address.is_tls()),
        };
        // The server gives up a little earlier than we do, so that its own word on why still arrives.
        let server_timeout = (config.timeout.as_millis() * 9 / 10).max(1);
        Ok(Self {
            // Half, so that an address that does not answer leaves time for the host's next one.
            pool: Pool::new(roots, config.timeout / 2).map_err(|error| match config.ca {
                Some(_) => ConfigError::Ca("holds a certificate that cannot be read"),
                None => ConfigError::Http(error.to_string()),
            })?,
            timeout: config.timeout,
            server_timeout: HeaderValue::from_str(&server_timeout.to_string()).map_err(|_| ConfigError::Timeout)?,
            user_agent: HeaderValue::from_str(&config.user_agent).map_err(|_| ConfigError::UserAgent)?,
            private_ca: config.ca.is_some(),
        })
    }

    /// Posts a protobuf message; the answer's bytes when it is one of LiveKit's.
    pub(super) async fn post(
        &self,
        uri: Uri,
        authorization: HeaderValue,
        message: Vec<u8>,
        limit: usize,
        feature: Option<Feature>,
    ) -> Result<Bytes, Error> {
        let until = Instant::now() + self.timeout;
        let mut request = Request::new(Full::from(message));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(CONTENT_TYPE, PROTOBUF);
        headers.insert(TWIRP_TIMEOUT, self.server_timeout.clone());
        headers.insert(USER_AGENT, self.user_agent.clone());
        let sent = timeout_at(until, self.pool.send(request)).await;
        let response = sent.map_err(|_| Error::Timeout(self.timeout))?.map_err(|error| self.failed(&error))?;
        if response.status() != StatusCode::OK {
            return Err(refused(response, feature, until).await);
        }
        let content_type = response.headers().get(CONTENT_TYPE);
        if content_type.is_none_or(|value| !value.as_bytes().starts_with(PROTOBUF.as_bytes())) {
            return Err(Error::NotLiveKit("another content type than protobuf"));
        }
        timeout_at(until, body(response.into_body(), limit)).await.map_err(|_| Error::Timeout(self.timeout))?
    }

    /// An error of the way there.
    fn failed(&self, error: &legacy::Error) -> Error {
        if let Some(problem) = TlsProblem::find(error, self.private_ca) {
            Error::Tls(problem)
        } else if find::<DnsError>(error).is_some() {
            Error::Dns
        } else if error.is_connect() {
            Error::Connect(cause(error))
        } else {
            Error::Cut(cause(error))
        }
    }
}

async fn body(mut body: Incoming, limit: usize) -> Result<Bytes, Error> {
    let too_large = Error::TooLarge { limit };
    let announced = usize::try_from(body.size_hint().exact().unwrap_or_default()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large);
    }
    let mut taken = BytesMut::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| Error::Cut(cause(&error)))?.into_data() else { continue };
        if taken.len() + data.len() > limit {
            return Err(too_large);
        }
        taken.extend_from_slice(&data);
    }
    Ok(taken.freeze())
}

/// An answer of another status than 200.
async fn refused(response: Response<Incoming>, feature: Option<Feature>, until: Instant) -> Error {
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| retry_after::parse(value, SystemTime::now()));
    // The status is the better part of the answer: a body that is cut, late or endless does not take it away.
    let mut said = BytesMut::new();
    let mut body = response.into_body();
    while let Ok(Some(Ok(frame))) = timeout_at(until, body.frame()).await {
        said.extend_from_slice(&frame.into_data().unwrap_or_default());
        if said.len() > LARGEST_ERROR {
            break;
        }
    }
    match twirp::parse(&said) {
        Some((code, message)) => Error::Twirp { status, code, message, retry_after, feature },
        None => Error::Status { status, retry_after },
    }
}

/// What the operating system said, such as "connection refused". Of other causes only that there was one: an HTTP/2
/// error, for instance, quotes text of the other side.
fn cause(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    find::<io::Error>(error).map(io::Error::kind)
}

/// The first error of a kind among an error and its causes.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| (**error).source()).find_map(|error| error.downcast_ref())
}
