//! What two servers say, less what cannot be equal.

use serde_json::Value;

/// Names that LiveKit makes up, times, and what the media decide.
const MADE_UP: &[&str] = &[
    "joined_at",
    "joined_at_ms",
    "joinedAt",
    "joinedAtMs",
    "creation_time",
    "creation_time_ms",
    "creationTime",
    "creationTimeMs",
    "unix_micro",
    "unixMicro",
    // Of two versions in the same microsecond (livekit/protocol, utils/timed_version.go).
    "ticks",
    "turn_password",
    "turnPassword",
    "cid",
    "mid",
    "createdAt",
];
/// Counted by the real server some time later (rtc/room.go, updateProto): nothing may rely on them.
const LATE: &[&str] =
    &["num_participants", "num_publishers", "active_recording", "numParticipants", "numPublishers", "activeRecording"];

/// `room` is the prefix of the rooms of the case.
pub fn normal(value: Value, room: &str) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(key, _)| !LATE.contains(&key.as_str()))
            .map(|(key, value)| {
                let value = if MADE_UP.contains(&key.as_str()) { made_up(&value) } else { normal(value, room) };
                let value = if key == "rooms" { only_of(value) } else { value };
                (key, value)
            })
            .collect(),
        Value::Array(items) => {
            let mut items: Vec<_> = items.into_iter().map(|item| normal(item, room)).collect();
            // Neither participants nor tracks have an order on the real server; sources to publish have.
            if items.iter().all(Value::is_object) {
                items.sort_by_cached_key(Value::to_string);
            }
            Value::Array(items)
        }
        Value::String(text) => Value::String(normal_text(&text, room)),
        value => value,
    }
}

/// Whether there is something.
fn made_up(value: &Value) -> Value {
    Value::Bool(!matches!(value.as_str(), Some("" | "0")))
}

/// The rooms of the case, of all rooms.
fn only_of(rooms: Value) -> Value {
    let Value::Array(rooms) = rooms else { return rooms };
    let is_own = |room: &Value| room["name"].as_str().is_some_and(|name| name.starts_with("room-"));
    Value::Array(rooms.into_iter().filter(is_own).collect())
}

/// Rooms by their names within the case; sids and tokens by what they are.
pub fn normal_text(text: &str, room: &str) -> String {
    let text = text.replace(room, "room-");
    for prefix in ["PA_", "RM_", "TR_", "EV_"] {
        if let Some(rest) = text.strip_prefix(prefix)
            && rest.len() >= 12
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return format!("{prefix}*");
        }
    }
    match text.find("eyJ") {
        Some(at) => {
            let token = text[at..].split([',', ' ']).next().unwrap_or_default();
            text.replace(token, "<token>")
        }
        None => text,
    }
}
