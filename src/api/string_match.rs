use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Exactly one of these ways to match a string. Matching is case-sensitive, covers the whole string and does not
/// normalise Unicode; `glob` and `regex` work on characters, not bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StringMatch {
    /// The whole string.
    Exact(String),
    /// The beginning of the string.
    Prefix(String),
    /// `*` any run, `?` one character, `[a-z]` a class, `{a,b}` alternatives.
    Glob(String),
    /// Rust `regex` syntax, anchored at both ends, size-limited.
    Regex(String),
}

/// What is said where none of the four is given, or more than one.
const REMEDY: &str =
    "give exactly one of exact, prefix, glob and regex; several ways to match are several entries of the list";

impl StringMatch {
    /// The schema for the deepest place, `spec.rules[].except[].attributes[].values[]`, which has two million entries by
    /// the API server's estimate. A rule that counts is too dear there; this one takes 84 % of what a rule may cost, and
    /// `maxProperties` refuses the rest, only with a poorer message.
    pub(super) fn cheap_schema() -> Schema {
        let mut schema = Self::schema("has(self.exact) || has(self.prefix) || has(self.glob) || has(self.regex)");
        schema.insert("maxProperties".into(), 1.into());
        schema
    }

    fn schema(rule: &str) -> Schema {
        let text = |description: &str| json!({ "type": "string", "description": description, "minLength": 1, "maxLength": 256 });
        json_schema!({
            "type": "object",
            "description": "Exactly one of exact, prefix, glob and regex. Case-sensitive, on the whole string, not Unicode-normalised.",
            "properties": {
                "exact": text("The whole string."),
                "prefix": text("The beginning of the string."),
                "glob": text("`*` any run, `?` one character, `[a-z]` a class of characters, `{a,b}` alternatives. Works on characters, not bytes."),
                "regex": text("Syntax of the Rust crate `regex`, anchored at both ends. A pattern that does not compile, or is too large when compiled, makes the object Invalid."),
            },
            "x-kubernetes-validations": [{ "rule": rule, "message": REMEDY }],
        })
    }
}

impl JsonSchema for StringMatch {
    fn schema_name() -> Cow<'static, str> {
        "StringMatch".into()
    }

    // By hand: the derived `oneOf` is refused with a message that names neither the field nor the remedy, and where
    // `maxProperties` is exceeded the API server evaluates no rule, so that its message would be lost.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let given = ["exact", "prefix", "glob", "regex"].map(|way| format!("(has(self.{way}) ? 1 : 0)")).join(" + ");
        Self::schema(&format!("{given} == 1"))
    }
}
