//! Rules from a small world, so that they meet often. They select on nothing that rules write, or two of them could
//! chase each other for ever.

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

/// The rooms of the world.
pub const ROOMS: [&str; 5] = ["hall", "hall-2", "lobby", "overflow", "annex"];
/// Who comes there.
pub const IDENTITIES: [&str; 5] = ["ann", "bob", "cas", "dan", "troll"];
const SOURCES: [&str; 4] = ["Camera", "Microphone", "ScreenShare", "ScreenShareAudio"];

fn one_of<T: Copy>(random: &mut Rng, list: &[T]) -> T {
    list[random.usize(..list.len())]
}

fn rarely(random: &mut Rng, once_in: u8) -> bool {
    random.u8(0..once_in) == 0
}

/// The rooms of a policy.
pub fn rooms(random: &mut Rng) -> Json {
    match random.u8(0..5) {
        0 | 1 => json!([{"glob": "*"}]),
        2 => json!([{"prefix": "hall"}]),
        3 => json!([{"exact": "hall"}, {"exact": "overflow"}, {"exact": "annex"}]),
        _ => json!([{"exact": one_of(random, &ROOMS)}, {"regex": "a|b"}]),
    }
}

/// A rule with this number in its name. Some begin or end around now.
pub fn rule(random: &mut Rng, number: usize, now: Timestamp) -> Json {
    let mut rule = if rarely(random, 4) { removal(random) } else { effects(random) };
    rule["name"] = json!(format!("r{number}"));
    if rarely(random, 6) {
        let at = now + SignedDuration::from_secs(random.i64(-5..60));
        rule[one_of(random, &["activeFrom", "activeUntil"])] = json!(at.round(jiff::Unit::Second).expect("a moment"));
    }
    rule
}

fn removal(random: &mut Rng) -> Json {
    let matching = match random.u8(0..4) {
        0 | 1 => json!({"identities": [{"exact": "troll"}]}),
        2 => json!({"attributes": [{"key": "role", "values": [{"exact": "bad"}]}]}),
        _ => json!({"identities": [{"glob": "[at]*"}], "attributes": [{"key": "role", "absent": true}]}),
    };
    let mut rule = json!({"match": matching, "remove": {"revokeTokens": false}});
    if rarely(random, 3) {
        rule["except"] = json!([{"attributes": [{"key": "role", "values": [{"exact": "host"}]}]}]);
    }
    rule
}

fn effects(random: &mut Rng) -> Json {
    let mut rule = json!({});
    if random.bool() {
        rule["match"] = matching(random);
    }
    if rarely(random, 4) {
        rule["except"] = json!([{"identities": [{"exact": one_of(random, &IDENTITIES)}]}]);
    }
    let mut set = json!({});
    if random.u8(0..3) > 0 {
        set["permission"] = permission(random);
    }
    if rarely(random, 4) {
        set["metadata"] = json!(one_of(random, &["calm", "loud"]));
    }
    if rarely(random, 5) {
        set["name"] = json!(one_of(random, &["Guest", "Host"]));
    }
    if rarely(random, 3) {
        set["attributes"] = json!({"seat": one_of(random, &["front", "back"])});
    }
    if rarely(random, 5) {
        set["removeAttributes"] = json!(["hand"]);
    }
    if set.as_object().is_some_and(|set| !set.is_empty()) {
        rule["set"] = set;
    }
    if rarely(random, 3) {
        rule["mute"] = match random.u8(0..4) {
            0 => json!({}),
            1 => json!({"sources": ["Microphone"], "repeat": "OncePerTrack"}),
            _ => json!({"sources": [one_of(random, &SOURCES)]}),
        };
    }
    if rarely(random, 6) || rule.get("set").is_none() && rule.get("mute").is_none() {
        rule["keep"] = json!(true);
    }
    rule
}

fn permission(random: &mut Rng) -> Json {
    let mut permission = json!({});
    match random.u8(0..5) {
        0 | 1 => permission["canPublish"] = json!(random.bool()),
        2 => permission["canPublishSources"] = json!([one_of(random, &SOURCES)]),
        3 => permission["canPublishSources"] = json!(["Camera", "Microphone"]),
        _ => {}
    }
    for flag in ["canSubscribe", "canPublishData", "canSubscribeMetrics"] {
        if rarely(random, 3) {
            permission[flag] = json!(random.bool());
        }
    }
    if permission.as_object().is_some_and(serde_json::Map::is_empty) {
        permission["canPublishData"] = json!(false);
    }
    permission
}

fn matching(random: &mut Rng) -> Json {
    match random.u8(0..8) {
        0 => json!({"identities": [{"glob": "[ab]*"}]}),
        1 => json!({"attributes": [{"key": "role", "values": [{"exact": "host"}]}]}),
        2 => json!({"attributes": [{"key": "role", "absent": true}]}),
        3 => json!({"kinds": ["Standard", "Agent"]}),
        4 => json!({"include": ["Forwarded"]}),
        5 => json!({"include": ["Hidden"], "states": ["Joining", "Joined", "Active"]}),
        6 => json!({"joinedFor": one_of(random, &["3s", "20s", "1m"])}),
        _ => json!({"identities": [{"exact": one_of(random, &IDENTITIES)}, {"prefix": "d"}]}),
    }
}
