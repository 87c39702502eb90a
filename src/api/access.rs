use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::StringMatch;

/// Lets other namespaces govern some rooms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Unique in the list; stands in conditions.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// Which namespaces: exactly one of names and selector.
    pub namespaces: NamespaceGrant,
    /// The rooms they may govern: those whose name is any of these.
    #[schemars(length(min = 1, max = 64))]
    pub rooms: Vec<StringMatch>,
    /// A higher priority of their policies counts as this one; -1000 to 1000. Default 0: they cannot outrank ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1000, max = 1000))]
    pub max_priority: Option<i32>,
}

/// Which namespaces an access entry is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NamespaceGrant {
    /// By name.
    Names(Vec<String>),
    /// By label. Not in namespaced installs, which may not read namespaces.
    Selector(LabelSelector),
}

impl JsonSchema for NamespaceGrant {
    fn schema_name() -> Cow<'static, str> {
        "NamespaceGrant".into()
    }

    // By hand for the same reason as in `StringMatch`: a message that names the remedy.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "names": {
                    "description": "Names of namespaces, 1 to 128.",
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 128,
                    "x-kubernetes-list-type": "set",
                    "items": {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 63,
                        "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
                    },
                },
                "selector": selector(),
            },
            "x-kubernetes-validations": [{
                "rule": "has(self.names) != has(self.selector)",
                "message": "give exactly one of names and selector; for both write two entries of access",
            }],
        })
    }
}

/// A LabelSelector with the checks that Kubernetes makes in code for its own kinds. The empty one is refused: in a
/// grant, "all namespaces" should not be what a template leaves behind when its values are missing.
fn selector() -> Value {
    let key =
        |description: &str| json!({ "description": description, "type": "string", "minLength": 1, "maxLength": 317 });
    json!({
        "description": "Labels of namespaces; all requirements must hold. Not in namespaced installs, whose operator may not read namespaces.",
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels and their values.",
                "type": "object",
                "minProperties": 1,
                "maxProperties": 32,
                "additionalProperties": { "type": "string", "maxLength": 63 },
            },
            "matchExpressions": {
                "description": "Requirements on labels.",
                "type": "array",
                "minItems": 1,
                "maxItems": 32,
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": key("The label's key."),
                        "operator": {
                            "description": "In and NotIn need values, Exists and DoesNotExist have none.",
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "Values of the label.",
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 128,
                            "items": { "type": "string", "maxLength": 63 },
                        },
                    },
                    "x-kubernetes-validations": [{
                        "rule": "has(self.values) == (self.operator == 'In' || self.operator == 'NotIn')",
                        "message": "give values with operator In or NotIn, and none with Exists or DoesNotExist",
                    }],
                },
            },
        },
        "x-kubernetes-validations": [{
            "rule": "has(self.matchLabels) || has(self.matchExpressions)",
            "message": "an empty selector would grant every namespace; if that is meant, write matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]",
        }],
    })
}
