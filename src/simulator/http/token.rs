//! The check of tokens before anything else is looked at (pkg/service/auth.go, livekit/protocol auth/verifier.go).

use std::collections::HashMap;

use axum::http::{HeaderMap, header::AUTHORIZATION};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    livekit::{Credentials, hs256},
    simulator::{
        clock::Moment,
        service::{Caller, Claims, as_go_reads},
    },
};

/// In seconds.
const LEEWAY: f64 = 60.0;

/// The keys of a server.
pub(in crate::simulator) struct Keys(HashMap<String, hs256::Key>);

#[derive(Deserialize)]
struct Header {
    alg: String,
}

/// What is answered, with 401 and as plain text, to a token that is none.
pub(in crate::simulator) type Rejection = String;

impl Keys {
    pub(in crate::simulator) fn new(credentials: &[Credentials]) -> Self {
        let key = |key: &Credentials| (key.api_key.clone(), hs256::Key::new(&key.secret));
        Self(credentials.iter().map(key).collect())
    }

    /// Who calls, by the Authorization header or else by `access_token` in the query.
    pub(super) fn caller(&self, headers: &HeaderMap, query: Option<&str>, now: Moment) -> Result<Caller, Rejection> {
        let parameter;
        let token = match headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) {
            Some(header) => match header.strip_prefix("Bearer ") {
                Some(token) => token,
                None => return Err("invalid authorization header. Must start with Bearer ".to_owned()),
            },
            None => {
                parameter = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
                    .find_map(|(key, value)| (key == "access_token").then_some(value));
                parameter.as_deref().unwrap_or_default()
            }
        };
        if token.is_empty() {
            return Ok(Caller::Bearer(None));
        }
        self.verify(token, now).map(|claims| Caller::Bearer(Some(Box::new(claims))))
    }

    /// The claims of a token. As LiveKit 1.13.5 does, a rejection quotes the whole token.
    pub(in crate::simulator) fn verify(&self, token: &str, now: Moment) -> Result<Claims, Rejection> {
        let malformed = || "invalid authorization token".to_owned();
        let (message, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = message.split_once('.').ok_or_else(malformed)?;
        let header: Header = part(header).ok_or_else(malformed)?;
        let claims: Claims = part(payload).ok_or_else(malformed)?;
        let key = self.0.get(&claims.iss).ok_or_else(|| format!("invalid API key: {}", claims.iss))?;
        let invalid = |error: &str| format!("invalid token: {token}, error: {error}");
        if header.alg != "HS256" {
            return Err(invalid(&format!("token signature is invalid: signing method {} is invalid", header.alg)));
        }
        if !key.verifies(message, signature) {
            return Err(invalid("token signature is invalid: signature is invalid"));
        }
        #[allow(clippy::cast_precision_loss, reason = "a time in seconds")]
        let now = now.seconds() as f64;
        let expired = claims.exp.is_some_and(|exp| now >= exp + LEEWAY).then_some("token is expired");
        let early = claims.nbf.is_some_and(|nbf| now < nbf - LEEWAY).then_some("token is not valid yet");
        match expired.into_iter().chain(early).collect::<Vec<_>>().as_slice() {
            [] => Ok(claims),
            errors => Err(invalid(&format!("token has invalid claims: {}", errors.join(", ")))),
        }
    }
}

fn part<T: DeserializeOwned>(encoded: &str) -> Option<T> {
    let json = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    serde_json::from_slice(&json).ok().or_else(|| {
        let value = as_go_reads(serde_json::from_slice(&json).ok()?);
        serde_json::from_value(value).ok()
    })
}
