//! YAML with the line of everything in it, so that what is wrong can be shown where it stands.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// A value, and the line where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub line: u64,
    body: Body,
}

#[derive(Clone, Debug, PartialEq)]
enum Body {
    Scalar(Value),
    List(Vec<Node>),
    /// Keys with their lines, in their order.
    Map(Vec<(String, u64, Node)>),
}

impl Node {
    /// The value without lines and without nulls: the API server drops those, so templates may leave them behind.
    pub fn value(&self) -> Value {
        match &self.body {
            Body::Scalar(value) => value.clone(),
            Body::List(items) => items.iter().map(Self::value).collect(),
            Body::Map(fields) => {
                let given = fields.iter().filter(|(.., node)| node.body != Body::Scalar(Value::Null));
                Value::Object(given.map(|(key, _, node)| (key.clone(), node.value())).collect::<Map<_, _>>())
            }
        }
    }

    /// A field.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.fields().find(|(known, ..)| *known == key).map(|(.., node)| node)
    }

    /// A field's text.
    pub fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.body {
            Body::Scalar(value) => value.as_str(),
            Body::List(_) | Body::Map(_) => None,
        }
    }

    /// The entries of a list; of anything else, none.
    pub fn items(&self) -> &[Self] {
        match &self.body {
            Body::List(items) => items,
            Body::Scalar(_) | Body::Map(_) => &[],
        }
    }

    fn fields(&self) -> impl Iterator<Item = (&str, u64, &Self)> {
        let fields: &[_] = match &self.body {
            Body::Map(fields) => fields,
            Body::Scalar(_) | Body::List(_) => &[],
        };
        fields.iter().map(|(key, line, node)| (key.as_str(), *line, node))
    }

    /// The line of a place such as `spec.rules[0].match`; where that is not there, the line of what it should be in.
    pub fn line_of(&self, path: &str) -> u64 {
        let (mut line, mut node, mut rest) = (self.line, self, path);
        loop {
            rest = rest.trim_start_matches('.');
            let found = if let Some((index, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                rest = after;
                index.parse::<usize>().ok().and_then(|index| node.items().get(index)).map(|node| (node.line, node))
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                // A key of a map may have dots in it.
                let (key, after) = if node.field(rest).is_some() { (rest, "") } else { rest.split_at(end) };
                rest = after;
                node.field(key)
            };
            match found {
                Some((at, next)) => (line, node) = (at, next),
                None => return line,
            }
        }
    }

    fn field(&self, key: &str) -> Option<(u64, &Self)> {
        self.fields().find(|(known, ..)| *known == key).map(|(_, line, node)| (line, node))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value: body, referenced, .. } = Spanned::<Body>::deserialize(deserializer)?;
        Ok(Self { line: referenced.line(), body })
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Body;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Body, E> {
        Ok(Body::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Body, E> {
        Ok(Body::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Body, E> {
        Ok(Body::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Body, E> {
        Ok(Body::Scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Body, E> {
        Ok(Body::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Body, E> {
        Ok(Body::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Body, E> {
        Ok(Body::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Body, D::Error> {
        Body::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Body, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Body::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Body, A::Error> {
        let mut fields = Vec::new();
        while let Some((key, node)) = map.next_entry::<Spanned<String>, Node>()? {
            fields.push((key.value, key.referenced.line(), node));
        }
        Ok(Body::Map(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const POLICY: &str = "\
# A policy.
kind: RoomPolicy
spec:
  priority: null
  rooms: [{exact: a},
          {prefix: b}]
  rules:
  - name: quiet
    set:
      attributes: {a.b: c, seat: 1}
---
kind: Other
";

    #[test]
    fn values_and_their_lines() {
        let documents: Vec<Node> = serde_saphyr::from_multiple(POLICY).unwrap();
        assert_eq!(
            documents[0].value(),
            json!({"kind": "RoomPolicy", "spec": {
                "rooms": [{"exact": "a"}, {"prefix": "b"}],
                "rules": [{"name": "quiet", "set": {"attributes": {"a.b": "c", "seat": 1}}}],
            }})
        );
        for (path, line) in [
            ("spec", 3),
            ("spec.rooms[1].prefix", 6),
            ("spec.rules[0].set.attributes", 10),
            ("spec.rules[0].set.attributes.a.b", 10),
            ("spec.rules[0].name", 8),
            ("spec.rules[0].mute.sources", 8),
            ("spec.rules[4]", 7),
            ("metadata.name", 2),
        ] {
            assert_eq!(documents[0].line_of(path), line, "{path}");
        }
        assert_eq!(documents[1].line_of("kind"), 12);
    }
}
