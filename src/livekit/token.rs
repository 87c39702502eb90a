//! Access tokens, as LiveKit's API wants them (livekit/protocol auth/grants.go, auth/verifier.go).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde::Serialize;
use thiserror::Error;

use super::{Credentials, hs256};

/// `{"typ":"JWT","alg":"HS256"}`, encoded.
const HEADER: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.";
/// How long a token is good for. It is used within [`KEPT`]; the other minutes are for a server whose clock runs ahead.
const TTL: Duration = Duration::from_secs(300);
/// How long a room's token is used again.
const KEPT: Duration = Duration::from_secs(60);
/// So many rooms' tokens are kept.
const ROOMS: usize = 1024;
/// How far `nbf` lies in the past, for a server whose clock runs behind. LiveKit grants another minute by itself.
const SKEW: Duration = Duration::from_secs(60);

/// A token could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a token could not be signed: {0}")]
pub struct TokenError(String);

/// What a token allows: no more than the calls to one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant<'a> {
    /// To list rooms, which is not tied to a room.
    Rooms,
    /// To administer one room. LiveKit compares names exactly (auth.go EnsureAdminPermission): there is no wildcard.
    Room(&'a str),
    /// To take somebody from one room to another (auth.go EnsureDestRoomPermission).
    RoomTo { room: &'a str, destination: &'a str },
}

/// Signs tokens.
///
/// A room's token is kept for a minute: who joins a room seldom joins alone. Whoever could read it here could read the
/// secret as well.
pub(super) struct Signer {
    api_key: String,
    key: hs256::Key,
    kept: Mutex<HashMap<Box<str>, Kept>>,
}

/// A room's token, as the header that carries it.
struct Kept {
    header: HeaderValue,
    signed_at: SystemTime,
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
        let key = hs256::Key::new(&credentials.secret);
        Self { api_key: credentials.api_key.clone(), key, kept: Mutex::default() }
    }

    /// The Authorization header of a call that needs `grant`.
    pub(super) fn authorization(&self, grant: Grant<'_>, now: SystemTime) -> Result<HeaderValue, TokenError> {
        let Grant::Room(room) = grant else { return self.header(grant, now) };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Of a clock that was set back nothing is kept.
        let is_fresh = |kept: &&Kept| now.duration_since(kept.signed_at).is_ok_and(|age| age < KEPT);
        if let Some(kept) = kept.get(room).filter(is_fresh) {
            return Ok(kept.header.clone());
        }
        let header = self.header(grant, now)?;
        if kept.len() >= ROOMS {
            kept.clear();
        }
        kept.insert(room.into(), Kept { header: header.clone(), signed_at: now });
        Ok(header)
    }

    fn header(&self, grant: Grant<'_>, now: SystemTime) -> Result<HeaderValue, TokenError> {
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
        let claims = serde_json::to_vec(&claims).map_err(|error| TokenError(error.to_string()))?;
        let mut token = HEADER.to_owned();
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        self.key.sign(&mut token);
        Ok(token)
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
    fn a_rooms_token_is_used_for_a_minute() {
        let signer = Signer::new(&Credentials::new("devkey", "secret"));
        let header = |grant, second| {
            let now = UNIX_EPOCH + Duration::from_secs(second);
            let header = signer.authorization(grant, now).unwrap();
            assert!(header.is_sensitive());
            part(header.to_str().unwrap().strip_prefix("Bearer ").unwrap(), 1)["exp"].as_u64().unwrap() - TTL.as_secs()
        };
        let (room, other) = (Grant::Room("a"), Grant::Room("b"));
        assert_eq!([1_000, 1_059, 1_060, 1_061].map(|second| header(room, second)), [1_000, 1_000, 1_060, 1_060]);
        assert_eq!(header(other, 1_061), 1_061, "another room has another token");
        assert_eq!(header(room, 900), 900, "the clock was set back");
        let forth = Grant::RoomTo { room: "a", destination: "b" };
        assert_eq!([header(Grant::Rooms, 901), header(forth, 901)], [901, 901]);
    }

    #[test]
    fn no_more_tokens_are_kept_than_so_many() {
        let signer = Signer::new(&Credentials::new("devkey", "secret"));
        for number in 0..3 * ROOMS {
            signer.authorization(Grant::Room(&number.to_string()), UNIX_EPOCH).unwrap();
            assert!(signer.kept.lock().unwrap().len() <= ROOMS);
        }
    }

    #[test]
    fn debug_shows_the_key_alone() {
        assert_eq!(format!("{:?}", Signer::new(&Credentials::new("k", "s3cr3t"))), r#"Signer { api_key: "k", .. }"#);
    }
}
