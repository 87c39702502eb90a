//! Forwards and moves, which the open-source server has as stubs.

use serde_json::json;

use crate::case::Case;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in ["ForwardParticipant", "MoveParticipant"] {
        for (name, message) in [
            ("", json!({"identity": "ann", "destination_room": "$other"})),
            ("to the same room", json!({"identity": "ann", "destination_room": "$room"})),
            ("to no room", json!({"identity": "ann"})),
            ("of somebody else", json!({"identity": "bob", "destination_room": "$other"})),
        ] {
            let ann = |format: &str| Case::new(format!("{method} {name}{format}")).with("ann");
            cases.push(ann("").call(method, message.clone()));
            cases.push(ann(", protobuf").call_protobuf(method, message));
        }
    }
    cases
}
