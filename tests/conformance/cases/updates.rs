//! Changes of name, metadata and attributes, and removals.

use serde_json::{Value, json};

use crate::case::{Case, JSON, PROTOBUF, Step, Token};

fn ann(name: &str) -> Case {
    Case::new(name).with_claims("ann", json!({"name": "Ann", "metadata": "m", "attributes": {"role": "host"}}))
}

fn update(mut change: Value) -> Value {
    change["identity"] = json!("ann");
    change
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // Each twice, for what changes nothing is another case.
    for (name, change) in [
        ("nothing", json!({})),
        ("a name", json!({"name": "Bob"})),
        ("the same name", json!({"name": "Ann"})),
        ("an empty name", json!({"name": ""})),
        ("metadata", json!({"metadata": "new"})),
        ("the same metadata", json!({"metadata": "m"})),
        ("empty metadata", json!({"metadata": ""})),
        ("another attribute", json!({"attributes": {"seat": "1"}})),
        ("an attribute's value", json!({"attributes": {"role": "guest"}})),
        ("the same attribute", json!({"attributes": {"role": "host"}})),
        ("no attribute", json!({"attributes": {}})),
        ("an attribute away", json!({"attributes": {"role": ""}})),
        ("an attribute away that is not there", json!({"attributes": {"nothing": ""}})),
        ("attributes, one away", json!({"attributes": {"role": "", "seat": "1", "row": "2"}})),
        ("an attribute of LiveKit's own", json!({"attributes": {"lk.x": "1"}})),
        ("an attribute without a key", json!({"attributes": {"": "1"}})),
        ("everything", json!({"name": "Bob", "metadata": "new", "attributes": {"seat": "1"}})),
        (
            "what is not Latin",
            json!({"name": "ünï😀", "metadata": "\u{0000}\u{001f}<>&", "attributes": {"ключ": "значение"}}),
        ),
        ("the longest name", json!({"name": "ü".repeat(128)})),
        ("the longest attributes", json!({"attributes": {"k": "x".repeat(65535)}})),
    ] {
        let twice = |case: Case, format| {
            let step = || Step::new("UpdateParticipant", format, update(change.clone()));
            case.step(step()).step(step())
        };
        cases.push(twice(ann(&format!("an update of {name}")), JSON));
        cases.push(twice(ann(&format!("an update of {name}, protobuf")), PROTOBUF));
    }
    for (name, change) in [
        ("name", json!({"name": "x".repeat(257)})),
        ("name in bytes", json!({"name": "ü".repeat(129)})),
        ("metadata", json!({"metadata": "x".repeat(512 * 1024 + 1)})),
        ("attributes", json!({"attributes": {"k": "x".repeat(65536)}})),
        ("attributes together", json!({"attributes": {"a": "x".repeat(32768), "b": "x".repeat(32768)}})),
    ] {
        let step = || Step::new("UpdateParticipant", JSON, update(change.clone()));
        cases.push(ann(&format!("too long: {name}")).step(step()));
        cases.push(Case::new(format!("too long, and nobody allowed it: {name}")).step(step().by(Token::None)));
    }
    let large = |key: &str| update(json!({"attributes": {key: "x".repeat(60000)}}));
    let remove = |case: Case, who: &str| case.call("RemoveParticipant", json!({"identity": who}));
    cases.extend([
        ann("attributes grow by merging").call("UpdateParticipant", large("a")).call("UpdateParticipant", large("b")),
        ann("an update of somebody else").call("UpdateParticipant", json!({"identity": "bob", "name": "x"})),
        ann("an update in another room").call("UpdateParticipant", update(json!({"room": "$other", "name": "x"}))),
        ann("an update in JSON's own spelling").call(
            "UpdateParticipant",
            update(json!({"permission": {"canSubscribe": true, "canUpdateMetadata": true}})),
        ),
        ann("an update of a hidden one")
            .with_claims("bob", json!({"video": {"hidden": true}}))
            .call("UpdateParticipant", json!({"identity": "bob", "name": "Bob"})),
        remove(ann("a removal").with("bob"), "ann"),
        remove(remove(ann("a removal, twice"), "ann"), "ann"),
        remove(ann("a removal of somebody else"), "bob"),
        remove(ann("a removal of who publishes").publishing("audio", "MICROPHONE"), "ann"),
        remove(Case::new("a removal of an agent").with_claims("ann", json!({"kind": "agent"})), "ann"),
        ann("a removal with a time").call("RemoveParticipant", json!({"identity": "ann", "revoke_token_ts": "1"})),
        ann("a removal, protobuf").call_protobuf("RemoveParticipant", json!({"identity": "ann"})),
    ]);
    cases
}
