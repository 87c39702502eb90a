//! Webhooks: proof that LiveKit sent them, and what they say.
//!
//! LiveKit puts a token into the Authorization header whose `sha256` claim is the hash of the body
//! (livekit/protocol webhook/resource_url_notifier.go). Bodies hold a TURN password and must not be logged.

mod event;
mod jwt;

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use livekit_protocol::WebhookEvent;
use serde::Serialize;
use thiserror::Error;

pub use event::{UNKNOWN, is_whole};

use super::token::Signer;
use super::{Credentials, TokenError, hs256};

/// Why a webhook was not accepted. Holds nothing of the header or the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum WebhookError {
    /// The Authorization header is no token.
    #[error("the Authorization header holds no token")]
    NoToken,
    /// The token is signed in another way than LiveKit signs, or not at all.
    #[error("the token is not signed with HS256")]
    Algorithm,
    /// The token's `iss` is none of the server's keys.
    #[error("the token is of a key that this server does not have")]
    UnknownKey,
    /// The signature is not that of the key.
    #[error("the token's signature is wrong: another secret, or a forgery")]
    Signature,
    /// The token lacks a claim that it must have.
    #[error("the token lacks the claim {0}")]
    MissingClaim(&'static str),
    /// The token's time is over.
    #[error("the token has expired: a replay, or clocks that differ by more than a minute")]
    Expired,
    /// The token's time has not come.
    #[error("the token is not yet valid: clocks differ by more than a minute")]
    NotYetValid,
    /// The body is not the one that was signed.
    #[error("the body is not the one that was signed")]
    BodyHash,
    /// The body is signed and still no event.
    #[error("the body is no webhook event")]
    Body,
}

impl WebhookError {
    /// A short name for metrics, of a bounded set.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::MissingClaim(_) => "missing_claim",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::BodyHash => "body_hash",
            Self::Body => "body",
        }
    }
}

/// Verifies the webhooks of one server.
#[derive(Clone)]
pub struct Verifier {
    keys: HashMap<String, hs256::Key>,
}

impl Verifier {
    /// A verifier with every key that the server may sign with. Keys without a secret are left out: anybody could sign
    /// with those.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a Credentials>) -> Self {
        let keys = keys
            .into_iter()
            .filter(|credentials| !credentials.secret.expose().is_empty())
            .map(|credentials| (credentials.api_key.clone(), hs256::Key::new(&credentials.secret)))
            .collect();
        Self { keys }
    }

    /// Checks the Authorization header of a webhook, which costs less than to take in its body.
    ///
    /// # Errors
    /// The token is none of this server's, or not of this moment.
    pub fn check(&self, authorization: &str, now: SystemTime) -> Result<Signed, WebhookError> {
        let claimed = jwt::verify(&self.keys, authorization, now)?;
        STANDARD.decode(claimed).map(Signed).map_err(|_| WebhookError::BodyHash)
    }

    /// The event of a webhook, given its Authorization header and its body as it came, byte for byte.
    ///
    /// A good webhook is good for the life of its token, some five minutes: whoever acts on the event looks at its `id`
    /// and `created_at`.
    ///
    /// # Errors
    /// Those of [`Self::check`] and [`Signed::read`].
    pub fn verify(&self, authorization: &str, body: &[u8], now: SystemTime) -> Result<WebhookEvent, WebhookError> {
        self.check(authorization, now)?.read(body)
    }
}

/// A webhook's good signature: the hash of the body that belongs to it.
#[derive(Debug)]
pub struct Signed(Vec<u8>);

impl Signed {
    /// The event in the body, byte for byte as it came. Nothing of it is parsed before its hash has proved right.
    ///
    /// # Errors
    /// The body is another than the one signed, or no event.
    pub fn read(&self, body: &[u8]) -> Result<WebhookEvent, WebhookError> {
        if verify_slices_are_equal(&self.0, digest(&SHA256, body).as_ref()).is_err() {
            return Err(WebhookError::BodyHash);
        }
        event::parse(body).ok_or(WebhookError::Body)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verifier").field(&self.keys.keys()).finish()
    }
}

/// The Authorization header that LiveKit would send with this body: for the simulator and for tests.
pub fn sign(credentials: &Credentials, body: &[u8], now: SystemTime) -> Result<String, TokenError> {
    #[derive(Serialize)]
    struct Hash {
        sha256: String,
    }
    let sha256 = STANDARD.encode(digest(&SHA256, body));
    Signer::new(credentials).encode(now, Duration::ZERO, Hash { sha256 })
}

#[cfg(test)]
mod tests;
