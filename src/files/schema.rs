//! Judges an object by the structural schema of its CustomResourceDefinition, in the words of the API server
//! (k8s.io/apiextensions-apiserver pkg/apiserver/validation), strict about unknown fields as `kubectl apply` is.
//!
//! A structural schema is no JSON Schema: unknown fields, map lists and sets are Kubernetes' own. Of the rest our
//! definitions use a dozen keywords; a test says when there is one that is not looked at here. Rules in CEL are not
//! judged here.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use regex_automata::meta::Regex;
use serde_json::Value;

use crate::{api::Timestamp, policy::Problem};

/// A schema that is ready to judge.
pub(super) struct Schema {
    props: JSONSchemaProps,
    /// By their text.
    patterns: BTreeMap<String, Regex>,
}

impl Schema {
    /// A schema, made ready. Our patterns mean the same to Go and to Rust.
    pub fn new(props: JSONSchemaProps) -> Self {
        let mut patterns = BTreeMap::new();
        visit(&props, &mut |props| {
            if let Some((pattern, Ok(regex))) = props.pattern.as_ref().map(|text| (text, Regex::new(text))) {
                patterns.insert(pattern.clone(), regex);
            }
        });
        Self { props, patterns }
    }

    /// All that is wrong with a value, in the order of its fields.
    pub fn judge(&self, value: &Value) -> Vec<Problem> {
        let mut judge = Judge { patterns: &self.patterns, problems: Vec::new() };
        judge.value(&self.props, value, "");
        judge.problems
    }
}

/// Visits a schema and all within it.
fn visit<'a>(props: &'a JSONSchemaProps, look: &mut impl FnMut(&'a JSONSchemaProps)) {
    look(props);
    let inner = props.properties.iter().flatten().map(|(_, inner)| inner).chain(items(props)).chain(values(props));
    inner.for_each(|inner| visit(inner, look));
}

fn items(props: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match props.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(items) => Some(items),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

fn values(props: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match props.additional_properties.as_ref()? {
        JSONSchemaPropsOrBool::Schema(values) => Some(values),
        JSONSchemaPropsOrBool::Bool(_) => None,
    }
}

struct Judge<'a> {
    patterns: &'a BTreeMap<String, Regex>,
    problems: Vec<Problem>,
}

impl Judge<'_> {
    fn add(&mut self, path: &str, message: String) {
        self.problems.push(Problem { field: path.to_owned(), message: message.into() });
    }

    fn value(&mut self, props: &JSONSchemaProps, value: &Value, path: &str) {
        if let Some(wanted) = props.type_.as_deref()
            && !is(wanted, value)
        {
            return self.add(path, format!("must be of type {wanted}, and is {}", described(value)));
        }
        if let Some(allowed) = &props.enum_
            && !allowed.iter().any(|one| one.0 == *value)
        {
            let allowed: Vec<_> = allowed.iter().map(|one| one.0.to_string()).collect();
            self.add(path, format!("Unsupported value: {value}: supported values: {}", allowed.join(", ")));
        }
        match value {
            Value::String(text) => self.text(props, text, path),
            Value::Number(number) => self.number(props, number.as_f64().unwrap_or_default(), path),
            Value::Array(list) => self.list(props, list, path),
            Value::Object(fields) => self.object(props, fields, path),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn text(&mut self, props: &JSONSchemaProps, text: &str, path: &str) {
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if props.min_length.is_some_and(|least| length < least) {
            let least = props.min_length.unwrap_or_default();
            self.add(path, format!("should be at least {least} chars long"));
        }
        if props.max_length.is_some_and(|most| length > most) {
            let most = props.max_length.unwrap_or_default();
            self.add(path, format!("Too long: may not be more than {most} characters"));
        }
        if let Some(pattern) = &props.pattern
            && self.patterns.get(pattern).is_none_or(|regex| !regex.is_match(text))
        {
            self.add(path, format!("{text:?} should match '{pattern}'"));
        }
        if props.format.as_deref() == Some("date-time")
            && let Err(error) = text.parse::<Timestamp>()
        {
            self.add(path, format!("must be of type date-time: {error}"));
        }
    }

    fn number(&mut self, props: &JSONSchemaProps, number: f64, path: &str) {
        if let Some(most) = props.maximum.filter(|most| number > *most) {
            self.add(path, format!("should be less than or equal to {most}"));
        }
        if let Some(least) = props.minimum.filter(|least| number < *least) {
            self.add(path, format!("should be greater than or equal to {least}"));
        }
    }

    fn list(&mut self, props: &JSONSchemaProps, list: &[Value], path: &str) {
        self.count(list.len(), (props.min_items, props.max_items), "items", path);
        for (index, value) in list.iter().enumerate() {
            if let Some(items) = items(props) {
                self.value(items, value, &format!("{path}[{index}]"));
            }
        }
        let keys = match props.x_kubernetes_list_type.as_deref() {
            Some("map") => props.x_kubernetes_list_map_keys.as_deref(),
            Some("set") => None,
            _ => return,
        };
        let mut seen = BTreeSet::new();
        for (index, value) in list.iter().enumerate() {
            let key = match keys {
                Some(keys) => keys.iter().map(|key| format!("{key}: {}", value[key])).collect::<Vec<_>>().join(", "),
                None => value.to_string(),
            };
            if !seen.insert(key.clone()) {
                self.add(&format!("{path}[{index}]"), format!("Duplicate value: {key}"));
            }
        }
    }

    fn object(&mut self, props: &JSONSchemaProps, fields: &serde_json::Map<String, Value>, path: &str) {
        self.count(fields.len(), (props.min_properties, props.max_properties), "properties", path);
        let known = props.properties.as_ref();
        for name in props.required.iter().flatten().filter(|name| !fields.contains_key(*name)) {
            self.add(&field(path, name), "Required value".to_owned());
        }
        for (name, value) in fields {
            if let Some(known) = known.and_then(|known| known.get(name)) {
                self.value(known, value, &field(path, name));
            } else if let Some(values) = values(props) {
                self.value(values, value, &field(path, name));
            } else if let Some(known) = known {
                let known: Vec<_> = known.keys().map(String::as_str).collect();
                self.add(&field(path, name), format!("unknown field; here may be: {}", known.join(", ")));
            }
        }
    }

    fn count(&mut self, count: usize, (least, most): (Option<i64>, Option<i64>), of: &str, path: &str) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        if let Some(least) = least.filter(|least| count < *least) {
            self.add(path, format!("should have at least {least} {of}"));
        }
        if let Some(most) = most.filter(|most| count > *most) {
            let of = if most == 1 { of.trim_end_matches('s') } else { of };
            self.add(path, format!("Too many: {count}: must have at most {most} {of}"));
        }
    }
}

fn field(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn is(type_: &str, value: &Value) -> bool {
    match type_ {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        _ => true,
    }
}

/// A value of the wrong type, for who wrote it.
fn described(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Bool(_) | Value::Number(_) => format!("{value}: put it in quotes if it is meant as text"),
        Value::String(_) | Value::Null => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api;

    /// Whoever adds a keyword to the definitions has it looked at here as well.
    #[test]
    fn no_schema_says_what_is_not_judged() {
        for crd in api::crds() {
            for version in crd.spec.versions {
                let props = version.schema.and_then(|schema| schema.open_api_v3_schema).unwrap();
                visit(&props, &mut |props| {
                    let judged = JSONSchemaProps {
                        type_: props.type_.clone(),
                        enum_: props.enum_.clone(),
                        min_length: props.min_length,
                        max_length: props.max_length,
                        pattern: props.pattern.clone(),
                        minimum: props.minimum,
                        maximum: props.maximum,
                        min_items: props.min_items,
                        max_items: props.max_items,
                        min_properties: props.min_properties,
                        max_properties: props.max_properties,
                        items: props.items.clone(),
                        properties: props.properties.clone(),
                        additional_properties: props.additional_properties.clone(),
                        required: props.required.clone(),
                        x_kubernetes_list_type: props.x_kubernetes_list_type.clone(),
                        x_kubernetes_list_map_keys: props.x_kubernetes_list_map_keys.clone(),
                        // Judged elsewhere, or nothing to judge.
                        x_kubernetes_validations: props.x_kubernetes_validations.clone(),
                        x_kubernetes_map_type: props.x_kubernetes_map_type.clone(),
                        description: props.description.clone(),
                        default: props.default.clone(),
                        format: props.format.clone(),
                        ..JSONSchemaProps::default()
                    };
                    assert_eq!(judged, *props);
                });
                let schema = Schema::new(props.clone());
                visit(&props, &mut |props| {
                    assert!(props.pattern.iter().all(|pattern| schema.patterns.contains_key(pattern)));
                });
            }
        }
    }
}
