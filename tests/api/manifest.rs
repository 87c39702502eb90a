//! Small manifests: a good one for each kind, into which a test puts the one thing it is about.

use serde_json::{Value, json};

/// Where a fragment of YAML is put.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Fields of the spec of a LiveKitServer.
    Server,
    /// Fields of an entry of its `access`.
    Access,
    /// Fields of the spec of a RoomPolicy.
    Policy,
    /// Fields of its only rule.
    Rule,
    /// The `match` of its only rule.
    Match,
    /// The `set` of its only rule.
    Set,
    /// Fields of the spec of a ParticipantForward.
    Forward,
    /// Fields of the spec of a ParticipantMove.
    Move,
}

/// The manifest that a fragment makes. As in a merge patch, `null` removes a field.
pub(crate) fn manifest(place: Place, fragment: &str) -> Value {
    let mut fragment: Value = serde_saphyr::from_str(fragment).unwrap_or_else(|error| panic!("{fragment}\n{error}"));
    let nested = match place {
        Place::Match => Some(json!({ "name": "rule", "keep": true, "match": fragment })),
        Place::Set => Some(json!({ "name": "rule", "set": fragment })),
        Place::Rule => Some(merged(json!({ "name": "rule" }), &fragment)),
        _ => None,
    };
    if let Some(rule) = nested {
        fragment = json!({ "rules": [rule] });
    }
    if let Place::Access = place {
        let entry = json!({ "name": "team", "namespaces": { "names": ["team-a"] }, "rooms": [{ "prefix": "a-" }] });
        fragment = json!({ "access": [merged(entry, &fragment)] });
    }
    let server = json!({ "name": "main" });
    let source = json!({ "rooms": [{ "exact": "lobby" }] });
    let (kind, spec) = match place {
        Place::Server | Place::Access => (
            "LiveKitServer",
            json!({ "url": "wss://livekit.example.com", "credentials": { "secretRef": { "name": "keys" } } }),
        ),
        Place::Policy | Place::Rule | Place::Match | Place::Set => (
            "RoomPolicy",
            json!({ "serverRef": server, "rooms": [{ "glob": "*" }], "rules": [{ "name": "rule", "keep": true }] }),
        ),
        Place::Forward => {
            ("ParticipantForward", json!({ "serverRef": server, "source": source, "destinationRooms": ["overflow"] }))
        }
        Place::Move => ("ParticipantMove", json!({ "serverRef": server, "source": source, "destinationRoom": "hall" })),
    };
    json!({
        "apiVersion": "usher.dev/v1alpha1",
        "kind": kind,
        "metadata": { "name": "sample" },
        "spec": merged(spec, &fragment),
    })
}

/// RFC 7386.
fn merged(mut base: Value, patch: &Value) -> Value {
    match (&mut base, patch) {
        (Value::Object(fields), Value::Object(changes)) => {
            for (name, change) in changes {
                match change {
                    Value::Null => drop(fields.remove(name)),
                    change => {
                        let field = fields.remove(name).unwrap_or_default();
                        fields.insert(name.clone(), merged(field, change));
                    }
                }
            }
            base
        }
        _ => patch.clone(),
    }
}

/// A list in YAML of so many entries, made from their numbers.
pub(crate) fn list(entries: usize, entry: impl Fn(usize) -> String) -> String {
    format!("[{}]", (0..entries).map(entry).collect::<Vec<_>>().join(", "))
}
