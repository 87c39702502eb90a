//! Paths, methods of HTTP, content types, and bodies that are none.

use http::Method;
use serde_json::json;

use crate::case::{Case, JSON, PROTOBUF, Step, Token};

fn list() -> Step {
    Step::new("ListRooms", JSON, json!({}))
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |name: &str, step: Step| cases.push(Case::new(name).step(step));

    for (name, method) in
        [("GET", Method::GET), ("PUT", Method::PUT), ("DELETE", Method::DELETE), ("PATCH", Method::PATCH)]
    {
        case(&format!("by {name}"), list().via(method));
    }
    case("by GET without a token", list().via(Method::GET).by(Token::None));
    for path in [
        "/twirp/livekit.RoomService/Nope",
        "/twirp/livekit.RoomService/listRooms",
        "/twirp/livekit.RoomService/",
        "/twirp/livekit.RoomService",
        "/twirp/livekit.RoomService/ListRooms/more",
        "/twirp/livekit.Nothing/ListRooms",
        "/nowhere",
        "//twirp/livekit.RoomService/ListRooms",
    ] {
        case(&format!("to {path}"), list().raw("{}").by(Token::Grants(json!({"roomList": true}))).at(path));
    }
    case("the root", list().raw("").via(Method::GET).by(Token::None).at("/"));
    case("the root with a bad token", list().raw("").via(Method::GET).by(Token::Header("Bearer x")).at("/"));
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream", ""] {
        case(&format!("as {content_type:?}"), list().typed(Some(content_type)));
    }
    case("without a content type", list().typed(None));
    case("as JSON with a charset", list().typed(Some("application/json; charset=utf-8")));
    case("as JSON in capitals", list().typed(Some("Application/JSON")));

    for body in [
        "",
        "{",
        "[]",
        "null",
        "3",
        "\"x\"",
        "{} more",
        r#"{"names": 3}"#,
        r#"{"names": null}"#,
        r#"{"names": [3]}"#,
        r#"{"nothing": {"of": "the kind"}}"#,
        r#"{"names": ["a"], "names": ["b"]}"#,
        "\u{feff}{}",
    ] {
        case(&format!("JSON {body:?}"), list().raw(body));
    }
    case("JSON without a token that is none", list().raw("{").by(Token::None));
    for (name, body) in [
        ("that ends too early", vec![0x0a, 0x05, b'a']),
        ("of a tag that is none", vec![0xff, 0xff]),
        ("with a text that is not UTF-8", vec![0x0a, 0x01, 0xff]),
        ("of a field that nobody knows", vec![0x98, 0x06, 0x01]),
        ("with a field of another type", vec![0x08, 0x01]),
    ] {
        let step = Step::new("ListRooms", PROTOBUF, json!({})).raw(body);
        case(&format!("protobuf {name}"), step);
    }
    let mute = r#"{"room": "x", "identity": "y", "trackSid": "z", "muted": "yes"}"#;
    case("a text for a truth", Step::new("MutePublishedTrack", JSON, json!({})).raw(mute));
    let large = format!(r#"{{"nothing": "{}"}}"#, "x".repeat(11 << 20));
    case("eleven mebibytes of JSON", list().raw(large));

    let nobody = || Step::new("MutePublishedTrack", JSON, json!({"identity": "ann", "track_sid": "TR_x"}));
    case("a timeout before the server's own", nobody().within("300"));
    case("a timeout that is no number", list().within("soon"));
    case("a timeout of nothing", list().within("0"));
    cases
}
