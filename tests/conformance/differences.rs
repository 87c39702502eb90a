//! Where the simulated server answers otherwise than the real one, and why. What no longer differs must leave.

use serde_json::Value;

pub struct Difference {
    /// The name of the case, and which of status, code, content type, body and effect.
    pub what: &'static str,
    pub why: &'static str,
}

const SPELLING: &str = "Go reads the names of claims in any case; every library writes them as LiveKit does";
const WIRE_TYPE: &str = "Go skips a field whose wire type is not the message's, prost refuses it; no client sends one";

pub const DIFFERENCES: &[Difference] = &[
    Difference { what: "a token with other spelling: status", why: SPELLING },
    Difference { what: "a token with other spelling: code", why: SPELLING },
    Difference { what: "a token with other spelling: body", why: SPELLING },
    Difference {
        what: "a token with a grant of another type: body",
        why: "the words are those of Go's JSON library; status and code are alike",
    },
    Difference { what: "protobuf with a field of another type: status", why: WIRE_TYPE },
    Difference { what: "protobuf with a field of another type: code", why: WIRE_TYPE },
    Difference { what: "protobuf with a field of another type: content type", why: WIRE_TYPE },
    Difference { what: "protobuf with a field of another type: body", why: WIRE_TYPE },
];

/// Writes down where two values differ.
pub fn between(path: &str, real: &Value, simulated: &Value, shown: &mut String) {
    match (real, simulated) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let [a, b] = [a, b].map(|fields| fields.get(key).unwrap_or(&Value::Null));
                between(&format!("{path}.{key}"), a, b, shown);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                between(&format!("{path}[{index}]"), a, b, shown);
            }
        }
        (a, b) if a == b => {}
        (a, b) => shown.push_str(&format!("  {path}\n    real:      {a}\n    simulated: {b}\n")),
    }
}
