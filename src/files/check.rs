//! Judges manifests as the API server and the operator would: the schema, the rules in CEL, and whether what they say
//! compiles.
//!
//! CEL has no bound on what a rule may cost, and its compiler can be made to overflow the stack. Here the rules are our
//! own; what others write is data, and is looked at by CEL only after the schema has bounded it.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use kube_cel::{CompiledSchema, ErrorKind, apply_defaults, compile_schema, validate_compiled};
use serde_json::{Value, json};

use super::schema::Schema;
use crate::{
    api::{self, LiveKitServer, ParticipantForward, ParticipantMove, RoomPolicy},
    kubernetes::{
        index::{Meaning, name_of},
        kind::{Governing, Kind},
    },
    policy::Problem,
};

/// Judges objects of all our kinds. It is made once, for the rules are compiled.
pub struct Checker(Vec<Judge>);

struct Judge {
    kind: Kind,
    schema: Schema,
    rules: CompiledSchema,
    /// The schema as it was given, for its defaults.
    json: Value,
}

/// A definition that cannot be worked with, which would be a mistake of ours.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It has no schema.
    #[error("a CustomResourceDefinition has no schema")]
    NoSchema,
    /// It has no JSON form.
    #[error("a CustomResourceDefinition cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl Checker {
    /// One for our definitions.
    ///
    /// # Errors
    /// A definition has no schema, which would be a mistake of ours.
    pub fn new() -> Result<Self, Unusable> {
        // Derived anew by each call.
        let crds = api::crds();
        let judge = |kind: Kind| {
            let crd = crds.iter().find(|crd| crd.spec.names.kind == kind.name());
            let version = crd.and_then(|crd| crd.spec.versions.first().cloned());
            let props = version.and_then(|version| version.schema?.open_api_v3_schema);
            let mut props = props.ok_or(Unusable::NoSchema)?;
            let json = serde_json::to_value(&props)?;
            // What every object has, and no CustomResourceDefinition says.
            let common: BTreeMap<String, JSONSchemaProps> = serde_json::from_value(common())?;
            props.properties.get_or_insert_default().extend(common);
            Ok(Judge { kind, rules: compile_schema(&json), schema: Schema::new(props), json })
        };
        Kind::ALL.into_iter().map(judge).collect::<Result<_, _>>().map(Self)
    }

    /// Judges an object as the API server and the operator would, and gives it the defaults of its schema.
    ///
    /// # Errors
    /// All that is wrong with it, as far as it can be told: what breaks the schema hides what the rules would say, and
    /// these what the operator would say.
    pub fn check(&self, object: &Value) -> Result<Value, Vec<Problem>> {
        let object = self.admit(object)?;
        match self.judge(&object)?.kind {
            Kind::Server => compile::<LiveKitServer>(&object)?,
            Kind::Policy => compile::<RoomPolicy>(&object)?,
            Kind::Forward => compile::<ParticipantForward>(&object)?,
            Kind::Move => compile::<ParticipantMove>(&object)?,
        }
        Ok(object)
    }

    /// Judges an object as the API server would, and gives it the defaults of its schema.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn admit(&self, object: &Value) -> Result<Value, Vec<Problem>> {
        let judge = self.judge(object)?;
        let broken = judge.schema.judge(object);
        if !broken.is_empty() {
            return Err(broken);
        }
        let object = apply_defaults(&judge.json, object);
        if let Err(errors) = validate_compiled(&judge.rules, &object, None) {
            return Err(errors.into_vec().into_iter().map(problem).collect());
        }
        Ok(object)
    }

    fn judge(&self, object: &Value) -> Result<&Judge, Vec<Problem>> {
        self.0.iter().find(|judge| object["kind"] == judge.kind.name()).ok_or_else(|| {
            let kinds = Kind::ALL.map(Kind::name).join(", ");
            let message = format!("unknown kind {}; of usher.dev there are {kinds}", object["kind"]);
            vec![Problem { field: "kind".to_owned(), message: message.into() }]
        })
    }
}

/// The schema of what every object has.
fn common() -> Value {
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let (text, number, list) = (json!({"type": "string"}), json!({"type": "integer"}), json!({"type": "array"}));
    json!({
        "apiVersion": text, "kind": text,
        "metadata": {"type": "object", "properties": {
            "name": text, "namespace": text, "labels": texts, "annotations": texts, "generateName": text,
            "finalizers": list, "ownerReferences": list, "managedFields": list, "uid": text, "resourceVersion": text,
            "generation": number, "creationTimestamp": text, "deletionTimestamp": text,
            "deletionGracePeriodSeconds": number, "selfLink": text,
        }},
    })
}

fn problem(error: kube_cel::ValidationError) -> Problem {
    let message = match error.kind {
        ErrorKind::ValidationFailure => error.message,
        // Of the rule and not of what it was about: such a rule says nothing to whoever wrote the manifest.
        _ => format!("the rule {:?} could not be judged: {}", error.rule, error.message),
    };
    Problem { field: error.field_path, message: message.into() }
}

fn compile<K: Governing>(object: &Value) -> Result<(), Vec<Problem>> {
    let object: K = serde_json::from_value(object.clone())
        .map_err(|error| vec![Problem { field: String::new(), message: error.to_string().into() }])?;
    K::Meaning::compile(&name_of(&object), object.spec()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule that the compiler of CEL does not understand would let everything pass.
    #[test]
    fn every_rule_compiles() {
        fn errors(node: &CompiledSchema, found: &mut usize) {
            assert!(!node.has_errors(), "{:?}", node.compilation_errors());
            *found += node.validations.len();
            node.properties.values().for_each(|inner| errors(inner, found));
            node.items.iter().chain(&node.additional_properties).for_each(|inner| errors(inner, found));
        }
        let mut found = 0;
        Checker::new().unwrap().0.iter().for_each(|judge| errors(&judge.rules, &mut found));
        assert!(found > 60, "{found} rules");
    }

    #[test]
    fn the_schema_the_rules_and_the_patterns_are_judged() {
        let checker = Checker::new().unwrap();
        let policy = |rules: Value| {
            json!({
                "apiVersion": "usher.dev/v1alpha1", "kind": "RoomPolicy", "metadata": {"name": "p"},
                "spec": {"serverRef": {"name": "main"}, "rooms": [{"glob": "*"}], "rules": rules},
            })
        };
        let judge = |rules| checker.check(&policy(rules));
        let good = judge(json!([{"name": "r", "keep": true}])).unwrap();
        assert_eq!((&good["spec"]["mode"], &good["spec"]["priority"]), (&json!("Enforce"), &json!(0)));
        for (rules, field, words) in [
            (json!([{"name": "r", "keep": true, "mut": {}}]), "spec.rules[0].mut", "unknown field"),
            (json!([{"name": "r"}]), "spec.rules[0]", "a rule needs an effect"),
            (
                json!([{"name": "r", "keep": true, "match": {"identities": [{"regex": "("}]}}]),
                "spec.rules[0].match.identities[0]",
                "",
            ),
        ] {
            let problems = judge(rules).unwrap_err();
            assert!(problems[0].field.starts_with(field) && problems[0].message.contains(words), "{problems:?}");
        }
    }
}
