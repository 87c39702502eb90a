//! LiveKit's errors, word for word.

use serde_json::{Map, Value, json};

use crate::{
    livekit::TwirpCode,
    simulator::{
        model::{Missing, TransferError},
        options::Edition,
    },
};

/// An error as Twirp sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Twirp's code, which decides the HTTP status.
    pub code: TwirpCode,
    /// What it says.
    pub message: String,
    /// A pair that some errors have beside.
    pub meta: Option<(&'static str, String)>,
}

impl Refusal {
    /// An error of this code and text.
    #[must_use]
    pub fn new(code: TwirpCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), meta: None }
    }

    /// An error that the open-source server wraps on its way (livekit/protocol utils/xtwirp), which the cloud does not.
    pub(super) fn wrapped(code: TwirpCode, message: &str, edition: Edition) -> Self {
        match edition {
            Edition::OpenSource => Self::new(code, format!("twirp error unknown: {message}")),
            Edition::Cloud(_) => Self::new(code, message),
        }
    }

    pub(super) fn denied() -> Self {
        Self::new(TwirpCode::Unauthenticated, "permissions denied")
    }

    /// An error about an argument, as twirp.InvalidArgumentError makes it.
    pub(super) fn argument(argument: &str, validation: &str) -> Self {
        let meta = Some(("argument", argument.to_owned()));
        Self { meta, ..Self::new(TwirpCode::InvalidArgument, format!("{argument} {validation}")) }
    }

    pub(in crate::simulator) fn bad_route(message: String, method: &str, path: &str) -> Self {
        let meta = Some(("twirp_invalid_route", format!("{method} {path}")));
        Self { meta, ..Self::new(TwirpCode::BadRoute, message) }
    }

    pub(super) fn missing(missing: Missing, edition: Edition) -> Self {
        let message = match missing {
            Missing::Room => "requested room does not exist",
            Missing::Participant => "participant does not exist",
        };
        Self::wrapped(TwirpCode::NotFound, message, edition)
    }

    pub(super) fn no_transfer(error: TransferError, edition: Edition) -> Self {
        let (code, message) = match error {
            TransferError::Missing => return Self::missing(Missing::Participant, edition),
            TransferError::IdentityInUse => (TwirpCode::AlreadyExists, "identity is in use in the destination room"),
            TransferError::Immovable => (TwirpCode::FailedPrecondition, "participant cannot be moved"),
        };
        Self::wrapped(code, message, edition)
    }

    /// The HTTP status (twirp errors.go, ServerHTTPStatusFromErrorCode).
    #[must_use]
    pub fn status(&self) -> u16 {
        use TwirpCode as Code;
        match self.code {
            Code::InvalidArgument | Code::Malformed | Code::OutOfRange => 400,
            Code::Unauthenticated => 401,
            Code::PermissionDenied => 403,
            Code::NotFound | Code::BadRoute => 404,
            Code::Canceled | Code::DeadlineExceeded => 408,
            Code::AlreadyExists | Code::Aborted => 409,
            Code::FailedPrecondition => 412,
            Code::ResourceExhausted => 429,
            Code::Unknown | Code::Internal | Code::DataLoss => 500,
            Code::Unimplemented => 501,
            Code::Unavailable => 503,
        }
    }

    /// The body.
    pub(in crate::simulator) fn body(&self) -> Value {
        let mut body = json!({"code": self.code.as_str(), "msg": self.message});
        if let Some((key, value)) = &self.meta {
            body["meta"] = Value::Object(Map::from_iter([((*key).to_owned(), json!(value))]));
        }
        body
    }
}
