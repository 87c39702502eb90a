//! The token of a webhook.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::WebhookError;
use crate::livekit::hs256;

/// As LiveKit's own verifier allows (auth/verifier.go tokenLeeway).
const LEEWAY: f64 = 60.0;
/// LiveKit's are below 500 bytes; nothing longer is worth decoding for a stranger.
const LONGEST_TOKEN: usize = 4096;

#[derive(Deserialize)]
struct Header {
    alg: String,
}

/// Numbers may have fractions (RFC 7519, NumericDate).
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    iss: String,
    exp: Option<f64>,
    nbf: Option<f64>,
    #[serde(default)]
    sha256: String,
}

/// Verifies the token and answers with its claim on the body's hash.
///
/// The claims are read once, before the signature is verified, because they name the key; until then nothing is done
/// with them but to look up that key.
pub(super) fn verify(
    keys: &HashMap<String, hs256::Key>,
    authorization: &str,
    now: SystemTime,
) -> Result<String, WebhookError> {
    // LiveKit sends the token alone; proxies and other senders put the scheme before it.
    let token = authorization.trim();
    let token = match token.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer ") => token.trim_start(),
        _ => token,
    };
    if token.len() > LONGEST_TOKEN {
        return Err(WebhookError::NoToken);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(WebhookError::NoToken)?;
    let (header, payload) = message.split_once('.').ok_or(WebhookError::NoToken)?;
    let header: Header = part(header)?;
    if header.alg != "HS256" {
        return Err(WebhookError::Algorithm);
    }
    let claims: Claims = part(payload)?;
    let key = keys.get(&claims.iss).ok_or(WebhookError::UnknownKey)?;
    if !key.verifies(message, signature) {
        return Err(WebhookError::Signature);
    }
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    // Written so that a NaN, were there one, is refused.
    let exp = claims.exp.ok_or(WebhookError::MissingClaim("exp"))?;
    let alive = now < exp + LEEWAY;
    if !alive {
        return Err(WebhookError::Expired);
    }
    let nbf = claims.nbf.ok_or(WebhookError::MissingClaim("nbf"))?;
    let begun = now >= nbf - LEEWAY;
    if !begun {
        return Err(WebhookError::NotYetValid);
    }
    if claims.sha256.is_empty() {
        return Err(WebhookError::MissingClaim("sha256"));
    }
    Ok(claims.sha256)
}

fn part<T: for<'de> Deserialize<'de>>(encoded: &str) -> Result<T, WebhookError> {
    let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| WebhookError::NoToken)?;
    serde_json::from_slice(&json).map_err(|_| WebhookError::NoToken)
}
