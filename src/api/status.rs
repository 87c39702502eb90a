use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Status of a RoomPolicy, ParticipantForward or ParticipantMove.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// The generation the conditions speak of; -1 before the first look.
    #[serde(default)]
    pub observed_generation: i64,
    /// Ready, Reconciling, Stalled, Overridden.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Counts of what the object governs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// At most 20 of what is not as declared, sorted by room, identity, rule and field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
    /// The last handled value of the reconcile annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// Counts of what an object governs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Rooms in session that the object governs.
    pub rooms: u32,
    /// Participants that one of its rules matches.
    pub participants: u32,
    /// Of those, the ones that are as declared.
    pub compliant: u32,
    /// Of those, the ones an action is under way for.
    pub pending: u32,
    /// Of those, the ones an action failed for.
    pub failed: u32,
    /// In Audit: how many are not as declared.
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
