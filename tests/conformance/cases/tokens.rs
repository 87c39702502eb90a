//! Every method with every sort of token, in both formats, about a room that is not there.

use serde_json::{Value, json};

use crate::{
    case::{Case, Flaw, JSON, PROTOBUF, Step, Token},
    message::METHODS,
};

fn message(method: &str) -> Value {
    match method {
        "ListRooms" | "CreateRoom" | "DeleteRoom" | "ListParticipants" | "UpdateRoomMetadata" | "SendData" => json!({}),
        "ForwardParticipant" | "MoveParticipant" => json!({"identity": "ann", "destination_room": "$other"}),
        "PerformRpc" => json!({"destination_identity": "ann"}),
        _ => json!({"identity": "ann"}),
    }
}

fn tokens() -> Vec<(&'static str, Token)> {
    let everywhere = json!({"roomList": true, "roomCreate": true, "roomAdmin": true, "roomJoin": true});
    let mut elsewhere = everywhere.clone();
    elsewhere["room"] = json!("$other");
    let others = json!({"roomJoin": true, "roomRecord": true, "ingressAdmin": true, "room": "$room"});
    vec![
        ("the right token", Token::Right),
        ("no token", Token::None),
        ("garbage", Token::Header("Bearer garbage")),
        ("another secret", Token::Flawed(Flaw::Secret)),
        ("an unknown key", Token::Flawed(Flaw::Key)),
        ("an expired token", Token::Flawed(Flaw::Expired)),
        ("a token not yet valid", Token::Flawed(Flaw::Early)),
        ("no grants", Token::Grants(json!({}))),
        ("other grants", Token::Grants(others)),
        ("grants for another room", Token::Grants(elsewhere)),
        ("grants for no room", Token::Grants(everywhere)),
    ]
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in METHODS {
        for (token_name, token) in tokens() {
            for (format_name, format) in [("JSON", JSON), ("protobuf", PROTOBUF)] {
                let step = Step::new(method, format, message(method)).by(token.clone());
                cases.push(Case::new(format!("{method} with {token_name}, {format_name}")).step(step));
            }
        }
    }
    let list = |token| Step::new("ListRooms", JSON, json!({})).by(token);
    for (name, token) in [
        ("just expired", Token::Flawed(Flaw::JustExpired)),
        ("almost valid", Token::Flawed(Flaw::JustEarly)),
        ("early and expired", Token::Flawed(Flaw::EarlyAndExpired)),
        ("without an expiry", Token::Flawed(Flaw::NoExpiry)),
        ("without an issuer", Token::Flawed(Flaw::NoIssuer)),
        ("of another algorithm", Token::Flawed(Flaw::Algorithm)),
        ("in the query", Token::Query),
        ("of three parts that are nothing", Token::Header("Bearer a.b.c")),
        ("of another scheme", Token::Header("Basic abc")),
        ("with the scheme in lower case", Token::Header("bearer a.b.c")),
        ("that is empty", Token::Header("Bearer ")),
        ("with nulls", Token::Grants(json!({"roomList": true, "room": null, "canPublishSources": null}))),
        ("with other spelling", Token::Grants(json!({"RoomList": true}))),
        ("with a grant of another type", Token::Grants(json!({"roomList": "yes"}))),
    ] {
        cases.push(Case::new(format!("a token {name}")).step(list(token)));
    }
    let transfer = |grants| {
        let message = json!({"identity": "ann", "destination_room": "$other"});
        Step::new("ForwardParticipant", JSON, message).by(Token::Grants(grants))
    };
    cases.push(
        Case::new("a forward without the grant for its destination")
            .step(transfer(json!({"roomAdmin": true, "room": "$room"}))),
    );
    cases.push(
        Case::new("a forward with the grant for another destination")
            .step(transfer(json!({"roomAdmin": true, "room": "$room", "destinationRoom": "$room"}))),
    );
    cases
}
