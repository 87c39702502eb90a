use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What the operator has found out about a RoomPolicy, ParticipantForward or ParticipantMove.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// The generation the conditions speak of; -1 before the first look.
    #[serde(default = "not_observed")]
    pub observed_generation: i64,
    /// Ready always; Reconciling, Stalled and Overridden only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// Counts of what the object governs; written at most every 30 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// At most 20 of what is not as declared, sorted by room, identity, rule and field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub samples: Vec<Sample>,
    /// Of a ParticipantForward: the rooms in which copies of it may stand, sorted. Rooms that have left
    /// spec.destinationRooms are among them until their copies have been removed, so that a restart of the operator
    /// forgets none. Of more than 256, the last in the alphabet are forgotten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 256)))]
    pub destination_rooms: Vec<String>,
    /// The last handled value of the annotation usher.dev/reconcile-requested-at, which forces a resync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

impl Default for PolicyStatus {
    fn default() -> Self {
        Self {
            observed_generation: not_observed(),
            conditions: Vec::new(),
            summary: None,
            samples: Vec::new(),
            destination_rooms: Vec::new(),
            last_handled_reconcile_at: None,
        }
    }
}

/// What `observedGeneration` says before the operator has looked: no generation of an object, so that kstatus waits.
pub(super) const fn not_observed() -> i64 {
    -1
}

/// The schema of a list of conditions: the bounds of `metav1.Condition`, which its OpenAPI description lacks, and the
/// list type, without which every writer of one condition would replace the others.
pub(super) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let mut condition = Condition::json_schema(generator).to_value();
    let bounds = json_schema!({
        "lastTransitionTime": {},
        "message": { "maxLength": 32768 },
        "observedGeneration": { "minimum": 0 },
        "reason": { "minLength": 1, "maxLength": 1024, "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$" },
        "status": { "enum": ["True", "False", "Unknown"] },
        "type": {
            "maxLength": 316,
            "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
        },
    });
    for (field, bounds) in bounds.as_object().into_iter().flatten() {
        let property = condition.pointer_mut(&format!("/properties/{field}")).and_then(|it| it.as_object_mut());
        if let (Some(property), Some(bounds)) = (property, bounds.as_object()) {
            property.extend(bounds.clone());
        }
    }
    json_schema!({
        "type": "array",
        "items": condition,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// Counts of what an object governs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Rooms in session that the object governs.
    pub rooms: u32,
    /// Participants that match.
    pub participants: u32,
    /// Of those, the ones that are as declared.
    pub compliant: u32,
    /// Of those, the ones that are not: participants less compliant.
    // Stands here although it can be computed, because a printed column cannot compute, and this is the one number
    // that tells somebody who reads `kubectl get` to look closer.
    pub noncompliant: u32,
    /// Of those, the ones an action is under way for.
    pub pending: u32,
    /// Of those, the ones an action failed for.
    pub failed: u32,
    /// In Audit only: fields of participants that are not as declared and that the object would set. A participant
    /// counts once in noncompliant, here once for each field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violations: Option<u32>,
}

/// One thing that is not as declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// The room's name.
    pub room: String,
    /// The participant's identity.
    pub identity: String,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The field, as it is named in the rule.
    pub field: String,
    /// The declared value, cut at 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// The seen value, cut at 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// Why it is not as declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
