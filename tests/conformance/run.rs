//! Goes through a case.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};
use usher_testkit::{ApiKey, request};

use crate::{
    case::{Body, Case, Flaw, JSON, PROTOBUF, Step, Token},
    message,
    normal::{normal, normal_text},
    stage::{Company, Stage, key},
};

/// What a server answered, and how its rooms are afterwards.
#[derive(Debug)]
pub struct Observed {
    pub replies: Vec<Reply>,
    pub effect: Value,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Twirp's code, of an error.
    pub code: String,
    pub content_type: String,
    pub body: Value,
}

/// Goes through a case. Its rooms have names of their own, by its number.
pub async fn observe(stage: &Stage, case: &Case, number: usize) -> Observed {
    let prefix = format!("case-{number}-");
    let room = format!("{prefix}a");
    let mut company = Company::new();
    for member in &case.cast {
        stage.join(&mut company, case, &room, member).await;
    }
    let server = Server { url: stage.url(case.remote_unmute), prefix, versions: Mutex::default() };
    server.effect(case).await;
    let mut replies = Vec::new();
    for step in &case.steps {
        replies.push(server.reply(step).await);
    }
    let effect = server.effect(case).await;
    Observed { replies, effect }
}

struct Server {
    url: String,
    prefix: String,
    /// The last versions seen, by identity.
    versions: Mutex<HashMap<String, u64>>,
}

impl Server {
    /// Who is in the rooms of the case.
    async fn effect(&self, case: &Case) -> Value {
        let mut effect = Map::new();
        for name in ["a", "b"] {
            let list = Step::new("ListParticipants", JSON, json!({"room": format!("{}{name}", self.prefix)}));
            let mut listed = self.reply(&list).await;
            assert_eq!(listed.status, 200, "{}: {listed:?}", case.name);
            effect.insert(name.to_owned(), listed.body["participants"].take());
        }
        effect.into()
    }

    /// Puts for versions whether they have risen: by how much depends on how often the real server looked meanwhile
    /// (rtc/participant.go, maybeIncVersion).
    fn relate_versions(&self, value: &mut Value) {
        if let Some(identity) = value["identity"].as_str().map(str::to_owned)
            && let Some(version) = value["version"].as_u64()
        {
            let before = self.versions.lock().unwrap().insert(identity, version).unwrap_or_default();
            value["version"] = json!(if version > before { "higher" } else { "the same" });
        }
        for listed in value["participants"].as_array_mut().into_iter().flatten() {
            self.relate_versions(listed);
        }
    }

    async fn reply(&self, step: &Step) -> Reply {
        let method = step.method();
        let message = match &step.body {
            Body::Message(message) => self.fill(message.clone()).await,
            Body::Raw(_) => json!({"room": format!("{}a", self.prefix)}),
        };
        let body = match &step.body {
            Body::Raw(body) => body.clone(),
            Body::Message(_) if step.content_type == Some(PROTOBUF) => message::encode(method, message.clone()),
            Body::Message(_) => message.to_string().into_bytes(),
        };
        let mut headers = HeaderMap::new();
        if let Some(content_type) = step.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some(timeout) = step.timeout {
            headers.insert("x-twirp-timeout-ms", HeaderValue::from_static(timeout));
        }
        let mut url = format!("{}{}", self.url, step.path);
        let right = || message::grants(method, &message);
        let token = match &step.token {
            Token::None => None,
            Token::Header(header) => {
                headers.insert(AUTHORIZATION, HeaderValue::from_static(header));
                None
            }
            Token::Right => Some(sign(right(), None)),
            Token::Grants(grants) => Some(sign(self.fill(grants.clone()).await, None)),
            Token::Flawed(flaw) => Some(sign(right(), Some(*flaw))),
            Token::Query => {
                url.push_str(&format!("?access_token={}", sign(right(), None)));
                None
            }
        };
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).unwrap());
        }
        let reply = request(step.http.clone(), &url, headers, body).await.unwrap();
        let header = |name| reply.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type = header("content-type").to_owned();
        let body = match content_type.as_str() {
            JSON => serde_json::from_slice(&reply.body).unwrap(),
            PROTOBUF => message::decode(method, &reply.body),
            _ => json!(reply.text()),
        };
        let body = match body {
            Value::String(text) => json!(normal_text(&text, &self.prefix)),
            mut body => {
                self.relate_versions(&mut body);
                normal(body, &self.prefix)
            }
        };
        let code = body["code"].as_str().unwrap_or_default().to_owned();
        Reply { status: reply.status.as_u16(), code, content_type, body }
    }

    /// Puts in what `$room`, `$other` and `$track:…` stand for.
    async fn fill(&self, message: Value) -> Value {
        match message {
            Value::Object(fields) => {
                let mut filled = Map::new();
                for (key, value) in fields {
                    filled.insert(key, Box::pin(self.fill(value)).await);
                }
                Value::Object(filled)
            }
            Value::Array(items) => {
                let mut filled = Vec::new();
                for item in items {
                    filled.push(Box::pin(self.fill(item)).await);
                }
                Value::Array(filled)
            }
            Value::String(text) => match text.strip_prefix("$track:").and_then(|rest| rest.split_once(':')) {
                Some((identity, source)) => json!(self.track(identity, source).await),
                None => {
                    let (a, b) = (format!("{}a", self.prefix), format!("{}b", self.prefix));
                    json!(text.replace("$room", &a).replace("$other", &b))
                }
            },
            value => value,
        }
    }

    async fn track(&self, identity: &str, source: &str) -> String {
        let room = format!("{}a", self.prefix);
        let message = json!({"room": room, "identity": identity});
        let token = sign(message::grants("GetParticipant", &message), None);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).unwrap());
        let url = format!("{}/twirp/livekit.RoomService/GetParticipant", self.url);
        let reply = request(http::Method::POST, &url, headers, message.to_string()).await.unwrap();
        let seen: Value = serde_json::from_slice(&reply.body).unwrap();
        let tracks = seen["tracks"].as_array().unwrap();
        let track = tracks.iter().find(|track| track["source"] == source).expect("a track of this source");
        track["sid"].as_str().unwrap().to_owned()
    }
}

fn sign(grants: Value, flaw: Option<Flaw>) -> String {
    let ApiKey { key, secret } = key();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let mut claims = json!({"iss": key, "nbf": now, "exp": now + 300, "video": grants});
    let (mut algorithm, mut secret) = (Algorithm::HS256, secret);
    match flaw {
        None => {}
        Some(Flaw::Secret) => secret = "another-secret-of-at-least-32-bytes-here".to_owned(),
        Some(Flaw::Key) => claims["iss"] = json!("otherkey"),
        Some(Flaw::Expired) => claims["exp"] = json!(now - 100),
        Some(Flaw::JustExpired) => claims["exp"] = json!(now - 20),
        Some(Flaw::Early) => claims["nbf"] = json!(now + 100),
        Some(Flaw::JustEarly) => claims["nbf"] = json!(now + 20),
        Some(Flaw::EarlyAndExpired) => {
            claims["nbf"] = json!(now + 100);
            claims["exp"] = json!(now - 100);
        }
        Some(Flaw::NoExpiry) => drop(claims.as_object_mut().unwrap().remove("exp")),
        Some(Flaw::NoIssuer) => drop(claims.as_object_mut().unwrap().remove("iss")),
        Some(Flaw::Algorithm) => algorithm = Algorithm::HS512,
    }
    jsonwebtoken::encode(&Header::new(algorithm), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}
