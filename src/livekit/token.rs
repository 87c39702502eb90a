//! Access tokens, as LiveKit's API wants them (livekit/protocol auth/grants.go, auth/verifier.go).

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use thiserror::Error;

use super::Credentials;

/// How long a token is good for. It is used at once; the minutes are for a server whose clock runs ahead.
const TTL: Duration = Duration::from_secs(300);
/// How far `nbf` lies in the past, for a server whose clock runs behind. LiveKit grants another minute by itself.
const SKEW: Duration = Duration::from_secs(60);

/// A token could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a token could not be signed: {0}")]
pub struct TokenError(String);

/// What a token allows: no more than the one call it is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant<'a> {
    /// To list rooms, which is not tied to a room.
    Rooms,
    /// To administer one room. LiveKit compares names exactly (auth.go EnsureAdminPermission): there is no wildcard.
    Room(&'a str),
    /// To take somebody from one room to another (auth.go EnsureDestRoomPermission).
    RoomTo { room: &'a str, destination: &'a str },
}

/// Signs a token for each call.
///
/// Tokens are not kept for reuse: signing takes about two microseconds, beside at least some hundred for the call,
/// and a cache would be one more place that holds what must not leak.
pub(super) struct Signer {
    api_key: String,
    header: Header,
    key: EncodingKey,
}

#[derive(Serialize)]
struct Claims<'a, T> {
    iss: &'a str,
    nbf: u64,
    exp: u64,
    #[serde(flatten)]
    rest: T,
}

#[derive(Serialize)]
struct Video<'a> {
    video: VideoGrant<'a>,
}

/// Field names of auth/grants.go VideoGrant.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VideoGrant<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    room_list: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    room_admin: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_room: Option<&'a str>,
}

impl Signer {
    pub(super) fn new(credentials: &Credentials) -> Self {
        Self {
            api_key: credentials.api_key.clone(),
            header: Header::new(Algorithm::HS256),
            key: EncodingKey::from_secret(credentials.secret.expose().as_bytes()),
        }
    }

    /// The Authorization header of a call that needs `grant`.
    pub(super) fn authorization(&self, grant: Grant<'_>, now: SystemTime) -> Result<HeaderValue, TokenError> {
        let mut header = HeaderValue::try_from(format!("Bearer {}", self.sign(grant, now)?))
            .map_err(|error| TokenError(error.to_string()))?;
        // Keeps it out of Debug, and out of HTTP/2's header tables.
        header.set_sensitive(true);
        Ok(header)
    }

    fn sign(&self, grant: Grant<'_>, now: SystemTime) -> Result<String, TokenError> {
        let (room_list, room, destination_room) = match grant {
            Grant::Rooms => (true, None, None),
            Grant::Room(room) => (false, Some(room), None),
            Grant::RoomTo { room, destination } => (false, Some(room), Some(destination)),
        };
        let video = VideoGrant { room_list, room_admin: !room_list, room, destination_room };
        self.encode(now, SKEW, Video { video })
    }

    /// A token with further claims, valid for the usual time.
    pub(super) fn encode(&self, now: SystemTime, skew: Duration, rest: impl Serialize) -> Result<String, TokenError> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let claims = Claims {
            iss: &self.api_key,
            nbf: now.saturating_sub(skew).as_secs(),
            exp: now.saturating_add(TTL).as_secs(),
            rest,
        };
        jsonwebtoken::encode(&self.header, &claims, &self.key).map_err(|error| TokenError(error.to_string()))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("api_key", &self.api_key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;

    fn part(token: &str, index: usize) -> Value {
        let part = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_token_allows_one_call_for_minutes() {
        let signer = Signer::new(&Credentials::new("devkey", "secret"));
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (grant, video) in [
            (Grant::Rooms, json!({"roomList": true})),
            (Grant::Room("a"), json!({"roomAdmin": true, "room": "a"})),
            (
                Grant::RoomTo { room: "a", destination: "b" },
                json!({"roomAdmin": true, "room": "a", "destinationRoom": "b"}),
            ),
        ] {
            let token = signer.sign(grant, now).unwrap();
            assert_eq!(part(&token, 0), json!({"alg": "HS256", "typ": "JWT"}));
            assert_eq!(part(&token, 1), json!({"iss": "devkey", "nbf": 999_940, "exp": 1_000_300, "video": video}));
        }
    }

    #[test]
    fn debug_shows_the_key_alone() {
        assert_eq!(format!("{:?}", Signer::new(&Credentials::new("k", "s3cr3t"))), r#"Signer { api_key: "k", .. }"#);
    }
}
