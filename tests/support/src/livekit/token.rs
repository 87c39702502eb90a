//! Access tokens, as an application makes them for its users.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A key of a LiveKit server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its name, which tokens carry.
    pub key: String,
    /// Its secret, which signs them.
    pub secret: String,
}

impl ApiKey {
    /// A key with these two.
    pub fn new(key: &str, secret: &str) -> Self {
        Self { key: key.to_owned(), secret: secret.to_owned() }
    }

    /// Signs claims, to which `iss`, `nbf` and `exp` are added.
    pub fn sign(&self, mut claims: Map<String, Value>, ttl: Duration) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        claims.insert("iss".to_owned(), json!(self.key));
        claims.insert("nbf".to_owned(), json!(now));
        claims.insert("exp".to_owned(), json!(now + ttl.as_secs()));
        let secret = EncodingKey::from_secret(self.secret.as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &secret).expect("claims can be signed")
    }
}

/// What a participant's token says. Everything that is not set is left out of it, and the server's defaults apply.
#[derive(Clone, Debug, Default)]
pub struct TokenSpec {
    /// The room it admits to.
    pub room: String,
    /// Who the participant is.
    pub identity: String,
    /// The name others see.
    pub name: Option<String>,
    /// Metadata.
    pub metadata: Option<String>,
    /// Attributes.
    pub attributes: BTreeMap<String, String>,
    /// `standard`, `agent`, `ingress`, `egress`, `sip`, …
    pub kind: Option<String>,
    /// Further grants, named as in a token: `canPublish`, `canPublishSources`, `canUpdateOwnMetadata`, `hidden`, …
    pub grants: BTreeMap<String, Value>,
    /// How long it is good for; six hours when not set.
    pub ttl: Option<Duration>,
}

impl TokenSpec {
    /// Admits `identity` to `room`, with nothing else said.
    pub fn new(room: &str, identity: &str) -> Self {
        Self { room: room.to_owned(), identity: identity.to_owned(), ..Self::default() }
    }

    /// Sets the name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Sets the metadata.
    #[must_use]
    pub fn metadata(mut self, metadata: &str) -> Self {
        self.metadata = Some(metadata.to_owned());
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, key: &str, value: &str) -> Self {
        self.attributes.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Sets the kind: `standard`, `agent`, `ingress`, `egress`, `sip`, …
    #[must_use]
    pub fn kind(mut self, kind: &str) -> Self {
        self.kind = Some(kind.to_owned());
        self
    }

    /// Adds a grant, named as in a token.
    #[must_use]
    pub fn grant(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.grants.insert(name.to_owned(), value.into());
        self
    }

    /// Sets how long it is good for.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The token.
    pub fn sign(&self, key: &ApiKey) -> String {
        let mut claims = Map::new();
        claims.insert("sub".to_owned(), json!(self.identity));
        let optional = [("name", &self.name), ("metadata", &self.metadata), ("kind", &self.kind)];
        for (claim, value) in optional {
            if let Some(value) = value {
                claims.insert(claim.to_owned(), json!(value));
            }
        }
        if !self.attributes.is_empty() {
            claims.insert("attributes".to_owned(), json!(self.attributes));
        }
        let mut video = json!({"roomJoin": true, "room": self.room});
        for (grant, value) in &self.grants {
            video[grant] = value.clone();
        }
        claims.insert("video".to_owned(), video);
        key.sign(claims, self.ttl.unwrap_or(Duration::from_secs(6 * 3600)))
    }
}
