//! The server's API, called as plainly as can be: what tests compare our own client's doings with.

use super::{ApiKey, LiveKit};
use crate::net::request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// What the API answered.
#[derive(Clone, Debug)]
pub struct ApiReply {
    /// The status.
    pub status: StatusCode,
    /// The body, when it is JSON; else `null`. Names are in snake case and defaults are written out.
    pub json: Value,
    /// The body.
    pub text: String,
}

impl ApiReply {
    /// The JSON.
    ///
    /// # Panics
    ///
    /// When it is an error.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json
    }

    /// The code of a Twirp error, such as `not_found`; empty when it is none.
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }
}

impl ApiKey {
    /// A token for everything that the RoomService does to `room`.
    pub fn admin_token(&self, room: &str, destination_room: &str) -> String {
        let video = json!({
            "roomAdmin": true,
            "roomCreate": true,
            "roomList": true,
            "room": room,
            "destinationRoom": destination_room,
        });
        let mut claims = Map::new();
        claims.insert("video".to_owned(), video);
        self.sign(claims, Duration::from_secs(60))
    }
}

impl LiveKit {
    /// Calls a method of the RoomService as an administrator of the room that `body` names.
    ///
    /// # Panics
    ///
    /// When the server does not answer at all.
    pub async fn api(&self, method: &str, body: Value) -> ApiReply {
        self.try_api(method, body).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// As [`Self::api`], where a server that does not answer is an error.
    pub async fn try_api(&self, method: &str, body: Value) -> Result<ApiReply, String> {
        let destination = body["destination_room"].as_str().unwrap_or_default();
        let token = self.keys()[0].admin_token(body["room"].as_str().unwrap_or_default(), destination);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/json".parse().expect("this is a header"));
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().expect("a token is a header"));
        let url = format!("{}/twirp/livekit.RoomService/{method}", self.url());
        let reply = request(Method::POST, &url, headers, body.to_string()).await.map_err(|error| error.to_string())?;
        let json = serde_json::from_slice(&reply.body).unwrap_or_default();
        Ok(ApiReply { status: reply.status, json, text: reply.text() })
    }

    /// The participants of a room as the server sees them; none when there is no such room.
    pub async fn participants(&self, room: &str) -> Vec<Value> {
        match self.api("ListParticipants", json!({"room": room})).await.ok()["participants"].take() {
            Value::Array(participants) => participants,
            _ => Vec::new(),
        }
    }

    /// One participant as the server sees it.
    pub async fn participant(&self, room: &str, identity: &str) -> Option<Value> {
        let reply = self.api("GetParticipant", json!({"room": room, "identity": identity})).await;
        if reply.code() == "not_found" { None } else { Some(reply.ok()) }
    }

    /// Changes a participant as another administrator would: `change` holds `permission`, `metadata`, `attributes` or
    /// `name`.
    pub async fn update_participant(&self, room: &str, identity: &str, change: Value) -> Value {
        let mut body = change;
        body["room"] = json!(room);
        body["identity"] = json!(identity);
        self.api("UpdateParticipant", body).await.ok()
    }

    /// Removes a participant as another administrator would.
    pub async fn remove_participant(&self, room: &str, identity: &str) {
        self.api("RemoveParticipant", json!({"room": room, "identity": identity})).await.ok();
    }

    /// Mutes or unmutes a track as another administrator would.
    pub async fn mute_track(&self, room: &str, identity: &str, track: &str, muted: bool) -> ApiReply {
        let body = json!({"room": room, "identity": identity, "track_sid": track, "muted": muted});
        self.api("MutePublishedTrack", body).await
    }
}
