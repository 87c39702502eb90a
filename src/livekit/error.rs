//! Errors of calls, each of one class.

use std::io;
use std::time::Duration;

use thiserror::Error;

use super::{TlsProblem, TokenError, TwirpCode};

/// What to do about an error. Decided here and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Who or what was meant has left: there is nothing left to do, which is success.
    Gone,
    /// Try again, later each time, and not before `retry_after` where the server asks for that.
    Transient {
        /// From the Retry-After header, at most five minutes.
        retry_after: Option<Duration>,
    },
    /// The same request will be refused again: report it and send no second one until something changes.
    Refused,
    /// The server lacks this feature, or has it switched off. Asking again is of use only after a change there.
    Unsupported(Feature),
    /// The server does not accept our key, or the key does not allow this: stop until the credentials change.
    Unauthorized,
}

/// What not every server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// ForwardParticipant: LiveKit Cloud only.
    Forward,
    /// MoveParticipant: LiveKit Cloud only.
    Move,
    /// Unmuting by the server: `room.enable_remote_unmute` in LiveKit's configuration.
    RemoteUnmute,
}

impl Feature {
    fn describe(self) -> &'static str {
        match self {
            Self::Forward => "this server cannot forward participants",
            Self::Move => "this server cannot move participants",
            Self::RemoteUnmute => "this server does not allow remote unmute (its option room.enable_remote_unmute)",
        }
    }
}

/// Why a call failed. Holds no token and no secret, and of what the other side said only the message of a Twirp error,
/// cut to 256 characters: LiveKit 1.13.5 echoes tokens in a plain-text 401, and a proxy may say anything.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// LiveKit answered with an error.
    #[error("{}", twirp_text(.status, .code, .message, .feature))]
    Twirp {
        /// The HTTP status.
        status: u16,
        /// Twirp's code.
        code: TwirpCode,
        /// Twirp's message.
        message: String,
        /// What the Retry-After header asks for.
        retry_after: Option<Duration>,
        /// The feature that the call needed.
        feature: Option<Feature>,
    },
    /// Somebody answered with an error that is not Twirp's: LiveKit's token check, or a proxy on the way.
    #[error("{}", status_text(.status))]
    Status {
        /// The HTTP status.
        status: u16,
        /// What the Retry-After header asks for.
        retry_after: Option<Duration>,
    },
    /// An answer of status 200 that is no LiveKit answer.
    #[error("the answer is not LiveKit's ({0}): does the address lead to LiveKit itself?")]
    NotLiveKit(&'static str),
    /// The answer is larger than we are willing to hold.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The most we take for this call.
        limit: usize,
    },
    /// No complete answer in time. The call may have had its effect.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The host's name could not be resolved.
    #[error("the host name could not be resolved")]
    Dns,
    /// No connection.
    #[error("cannot connect{}", system_text(.0))]
    Connect(Option<io::ErrorKind>),
    /// No trusted connection.
    #[error("cannot connect by TLS: {0}")]
    Tls(TlsProblem),
    /// The connection broke. The call may have had its effect.
    #[error("the connection broke before the answer was complete{}", system_text(.0))]
    Cut(Option<io::ErrorKind>),
    /// No token could be made.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl Error {
    /// What to do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Twirp { code, message, retry_after, feature, .. } => {
                twirp_class(*code, message, *retry_after, *feature)
            }
            Self::Status { status, retry_after } => status_class(*status, *retry_after),
            // All of these may heal by themselves. A certificate is renewed on the server's side: a client that needs
            // another CA is built anew with it.
            Self::Timeout(_) | Self::Dns | Self::Connect(_) | Self::Tls(_) | Self::Cut(_) => {
                Class::Transient { retry_after: None }
            }
            // The connection's checksums rule out chance: the same request would get the same answer.
            Self::NotLiveKit(_) | Self::TooLarge { .. } | Self::Token(_) => Class::Refused,
        }
    }

    /// A short name for metrics, of a bounded set.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Twirp { code, .. } => code.as_str(),
            Self::Status { status, .. } => status_label(*status),
            Self::NotLiveKit(_) => "not_livekit",
            Self::TooLarge { .. } => "too_large",
            Self::Timeout(_) => "timeout",
            Self::Dns => "dns",
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::Cut(_) => "cut",
            Self::Token(_) => "token",
        }
    }

    /// The HTTP status, where there was an answer. 429 means that the server limits our rate.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Twirp { status, .. } | Self::Status { status, .. } => Some(*status),
            Self::NotLiveKit(_) => Some(200),
            _ => None,
        }
    }
}

fn twirp_class(code: TwirpCode, message: &str, retry_after: Option<Duration>, feature: Option<Feature>) -> Class {
    use TwirpCode as Code;
    match (code, feature) {
        (Code::NotFound, _) => Class::Gone,
        // The open-source server has ForwardParticipant and MoveParticipant as stubs (roommanager.go:902) whose plain
        // error becomes `unknown`, HTTP 500; the code alone is also that of passing failures.
        (Code::Unknown, Some(feature @ (Feature::Forward | Feature::Move))) if message.contains("not implemented") => {
            Class::Unsupported(feature)
        }
        (Code::Unimplemented, Some(feature)) => Class::Unsupported(feature),
        // A server older than the method. A wrong address says bad_route as well, but then to every call, and
        // rooms are listed before anybody is forwarded.
        (Code::BadRoute, Some(feature @ (Feature::Forward | Feature::Move))) => Class::Unsupported(feature),
        (Code::FailedPrecondition, Some(feature @ Feature::RemoteUnmute)) => Class::Unsupported(feature),
        (Code::Unauthenticated | Code::PermissionDenied, _) => Class::Unauthorized,
        (
            Code::Canceled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss,
            _,
        ) => Class::Transient { retry_after },
        (
            Code::InvalidArgument
            | Code::Malformed
            | Code::BadRoute
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented,
            _,
        ) => Class::Refused,
    }
}

fn status_class(status: u16, retry_after: Option<Duration>) -> Class {
    match status {
        401 | 403 => Class::Unauthorized,
        408 | 425 | 429 => Class::Transient { retry_after },
        // 501 and 505 are statements about what a server is, the rest about how it is now.
        501 | 505 => Class::Refused,
        500..=599 => Class::Transient { retry_after },
        // Among them a bare 404: never "the participant has left", for only LiveKit knows that and says `not_found`.
        _ => Class::Refused,
    }
}

fn status_label(status: u16) -> &'static str {
    match status {
        401 => "http_401",
        403 => "http_403",
        404 => "http_404",
        408 => "http_408",
        413 => "http_413",
        429 => "http_429",
        500 => "http_500",
        502 => "http_502",
        503 => "http_503",
        504 => "http_504",
        300..=399 => "http_3xx",
        400..=499 => "http_4xx",
        501 | 505..=599 => "http_5xx",
        _ => "http_other",
    }
}

fn twirp_text(status: &u16, code: &TwirpCode, message: &str, feature: &Option<Feature>) -> String {
    let said = match message {
        "" => format!("{code} (HTTP {status})"),
        message => format!("{code} (HTTP {status}): {message}"),
    };
    match twirp_class(*code, message, None, *feature) {
        Class::Unsupported(feature) => format!("{}: {said}", feature.describe()),
        Class::Refused if *code == TwirpCode::BadRoute => {
            format!("the address does not lead to LiveKit's API, is its path right? {said}")
        }
        _ => said,
    }
}

fn system_text(kind: &Option<io::ErrorKind>) -> String {
    kind.map(|kind| format!(": {kind}")).unwrap_or_default()
}

fn status_text(status: &u16) -> String {
    let meaning = match status {
        300..=399 => {
            "the address redirects, which is not followed: give the address it leads to, \
             for instance https:// instead of http://"
        }
        401 => "the API key or secret is not accepted, or the clocks differ by more than a minute",
        403 => "forbidden, perhaps by a proxy before LiveKit",
        404 => "no LiveKit API at this address: are host and path right?",
        407 => "a proxy on the way wants a login",
        413 => "the request is too large for the server or a proxy before it",
        429 => "too many requests",
        451 => "LiveKit Cloud does not serve this project from this region",
        500..=599 => "the server or a proxy before it is in trouble",
        _ => "unexpected, perhaps from something else than LiveKit",
    };
    format!("HTTP {status}: {meaning}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSIENT: Class = Class::Transient { retry_after: None };

    fn twirp(code: TwirpCode, message: &str, feature: Option<Feature>) -> Error {
        Error::Twirp { status: 500, code, message: message.to_owned(), retry_after: None, feature }
    }

    #[test]
    fn twirp_codes_have_classes() {
        use TwirpCode as Code;
        let forward = Some(Feature::Forward);
        let unmute = Some(Feature::RemoteUnmute);
        for (code, message, feature, class) in [
            (Code::NotFound, "participant does not exist", None, Class::Gone),
            (Code::NotFound, "", forward, Class::Gone),
            (Code::BadRoute, "no handler", None, Class::Refused),
            (Code::BadRoute, "no handler", unmute, Class::Refused),
            (Code::BadRoute, "no handler", forward, Class::Unsupported(Feature::Forward)),
            (Code::Unknown, "not implemented", forward, Class::Unsupported(Feature::Forward)),
            (Code::Unknown, "not implemented", Some(Feature::Move), Class::Unsupported(Feature::Move)),
            (Code::Unknown, "not implemented", None, TRANSIENT),
            (Code::Unknown, "not implemented", unmute, TRANSIENT),
            (Code::Unknown, "could not", forward, TRANSIENT),
            (Code::Unimplemented, "", forward, Class::Unsupported(Feature::Forward)),
            (Code::Unimplemented, "", None, Class::Refused),
            (Code::FailedPrecondition, "", unmute, Class::Unsupported(Feature::RemoteUnmute)),
            (Code::FailedPrecondition, "client too old to be moved", Some(Feature::Move), Class::Refused),
            (Code::FailedPrecondition, "", None, Class::Refused),
            (Code::Unavailable, "no response from servers", None, TRANSIENT),
            (Code::DeadlineExceeded, "", None, TRANSIENT),
            (Code::ResourceExhausted, "", None, TRANSIENT),
            (Code::Unauthenticated, "", None, Class::Unauthorized),
            (Code::PermissionDenied, "", forward, Class::Unauthorized),
            (Code::InvalidArgument, "", None, Class::Refused),
        ] {
            let error = twirp(code, message, feature);
            assert_eq!(error.class(), class, "{code} {message:?} {feature:?}");
            assert_eq!(error.label(), code.as_str());
        }
    }

    #[test]
    fn every_status_has_a_class_a_label_and_a_text() {
        for status in 100..=999 {
            let error = Error::Status { status, retry_after: None };
            let class = match status {
                401 | 403 => Class::Unauthorized,
                408 | 425 | 429 | 500 | 502..=504 | 506..=599 => TRANSIENT,
                _ => Class::Refused,
            };
            assert_eq!(error.class(), class, "{status}");
            assert!(error.label().starts_with("http_"));
            assert!(error.to_string().starts_with(&format!("HTTP {status}: ")));
        }
    }

    #[test]
    fn texts_name_the_remedy() {
        for (error, part) in [
            (
                twirp(TwirpCode::FailedPrecondition, "remote unmute not enabled", Some(Feature::RemoteUnmute)),
                "room.enable_remote_unmute",
            ),
            (twirp(TwirpCode::Unknown, "not implemented", Some(Feature::Move)), "cannot move participants"),
            (twirp(TwirpCode::BadRoute, "no handler", None), "is its path right"),
            (Error::Status { status: 302, retry_after: None }, "give the address it leads to"),
            (Error::Status { status: 401, retry_after: None }, "API key or secret"),
            (Error::Tls(TlsProblem::UnknownIssuer { private: false }), "CA bundle"),
            (Error::Tls(TlsProblem::NotTls), "http:// or ws://"),
        ] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
