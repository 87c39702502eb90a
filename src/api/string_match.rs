use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// One way to match a string. Matching is case-sensitive, anchored at both ends and not Unicode-normalised; globs
/// work on characters, not bytes.
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

impl JsonSchema for StringMatch {
    fn schema_name() -> Cow<'static, str> {
        "StringMatch".into()
    }

    // Written by hand: the derived `oneOf` is refused with a message that names neither the field nor the remedy.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let text = |description: &str| json_schema!({ "type": "string", "description": description, "minLength": 1, "maxLength": 256 });
        json_schema!({
            "type": "object",
            "description": "Exactly one of exact, prefix, glob and regex.",
            "minProperties": 1,
            "maxProperties": 1,
            "properties": {
                "exact": text("The whole string."),
                "prefix": text("The beginning of the string."),
                "glob": text("`*` any run, `?` one character, `[a-z]` a class, `{a,b}` alternatives."),
                "regex": text("Rust regex syntax, anchored at both ends, size-limited."),
            },
        })
    }
}
