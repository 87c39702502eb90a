//! What a case is made of.
//!
//! In texts and claims `$room` stands for the room of the case, `$other` for a second one, and `$track:ann:CAMERA` for
//! the sid of what ann publishes as camera.

use http::Method as HttpMethod;
use serde_json::{Value, json};

/// A case: who is there, and what is asked.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub cast: Vec<Member>,
    pub steps: Vec<Step>,
    /// On a server that allows remote unmute.
    pub remote_unmute: bool,
}

/// Somebody who has joined.
#[derive(Clone, Debug)]
pub struct Member {
    pub identity: &'static str,
    /// The claims of its token; `video` holds grants beside `roomJoin` and `room`.
    pub claims: Value,
    /// What it publishes: medium and source.
    pub tracks: Vec<(&'static str, &'static str)>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Step {
    pub http: HttpMethod,
    pub path: String,
    pub content_type: Option<&'static str>,
    pub token: Token,
    pub body: Body,
    pub timeout: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub enum Body {
    /// A message of the method, written as the content type says.
    Message(Value),
    Raw(Vec<u8>),
}

/// How a request is authorized.
#[derive(Clone, Debug)]
pub enum Token {
    /// By all that the method needs.
    Right,
    None,
    /// By this header.
    Header(&'static str),
    /// By a token of the right key with these grants.
    Grants(Value),
    /// By the right grants, with something wrong about the token.
    Flawed(Flaw),
    /// By `access_token` in the query.
    Query,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    Secret,
    Key,
    /// For longer than a minute.
    Expired,
    JustExpired,
    Early,
    JustEarly,
    EarlyAndExpired,
    NoExpiry,
    NoIssuer,
    /// Signed with another algorithm.
    Algorithm,
}

pub const JSON: &str = "application/json";
pub const PROTOBUF: &str = "application/protobuf";

impl Case {
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), cast: Vec::new(), steps: Vec::new(), remote_unmute: false }
    }

    /// With somebody whose token says no more than it must.
    pub fn with(self, identity: &'static str) -> Self {
        self.with_claims(identity, json!({}))
    }

    pub fn with_claims(mut self, identity: &'static str, claims: Value) -> Self {
        self.cast.push(Member { identity, claims, tracks: Vec::new() });
        self
    }

    /// Who came last publishes.
    pub fn publishing(mut self, media: &'static str, source: &'static str) -> Self {
        self.cast.last_mut().unwrap().tracks.push((media, source));
        self
    }

    /// Calls a method with JSON. The message is about the room of the case unless it says otherwise.
    pub fn call(self, method: &str, message: Value) -> Self {
        self.step(Step::new(method, JSON, message))
    }

    /// The same with protobuf.
    pub fn call_protobuf(self, method: &str, message: Value) -> Self {
        self.step(Step::new(method, PROTOBUF, message))
    }

    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    pub fn allowing_unmute(mut self) -> Self {
        self.remote_unmute = true;
        self
    }
}

impl Step {
    pub fn new(method: &str, content_type: &'static str, mut message: Value) -> Self {
        let about_a_room = !matches!(method, "ListRooms" | "CreateRoom");
        if about_a_room && message.get("room").is_none() {
            message["room"] = json!("$room");
        }
        if method == "CreateRoom" && message.get("name").is_none() {
            message["name"] = json!("$room");
        }
        Self {
            http: HttpMethod::POST,
            path: format!("/twirp/livekit.RoomService/{method}"),
            content_type: Some(content_type),
            token: Token::Right,
            body: Body::Message(message),
            timeout: None,
        }
    }

    pub fn method(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    pub fn by(self, token: Token) -> Self {
        Self { token, ..self }
    }

    pub fn at(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    pub fn via(self, http: HttpMethod) -> Self {
        Self { http, ..self }
    }

    pub fn typed(self, content_type: Option<&'static str>) -> Self {
        Self { content_type, ..self }
    }

    pub fn raw(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: Body::Raw(body.into()), ..self }
    }

    pub fn within(self, timeout: &'static str) -> Self {
        Self { timeout: Some(timeout), ..self }
    }
}
