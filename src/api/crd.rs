//! The CustomResourceDefinitions as the API server gets them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::{LiveKitServer, ParticipantForward, ParticipantMove, RoomPolicy, status};

/// The definitions of all kinds, in a fixed order. Take these and not `RoomPolicy::crd()`, which lacks the columns
/// and what `tidy` puts right.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    let server = vec![
        column("URL", "string", ".spec.url"),
        column("Rooms", "integer", ".status.rooms"),
        column("Participants", "integer", ".status.participants"),
        column("Policies", "integer", ".status.policies"),
        wide(column("Forward", "string", ".status.features.forward")),
        wide(column("Move", "string", ".status.features.move")),
        wide(column("Unmute", "string", ".status.features.remoteUnmute")),
    ];
    vec![
        finished(LiveKitServer::crd(), server),
        finished(RoomPolicy::crd(), governing(column("Priority", "integer", ".spec.priority"))),
        finished(ParticipantForward::crd(), governing(column("Destinations", "string", ".spec.destinationRooms"))),
        finished(ParticipantMove::crd(), governing(column("Destination", "string", ".spec.destinationRoom"))),
    ]
}

/// The columns of the three kinds that govern participants; `own` is what one of them has beside.
fn governing(own: CustomResourceColumnDefinition) -> Vec<CustomResourceColumnDefinition> {
    vec![
        column("Mode", "string", ".spec.mode"),
        column("Rooms", "integer", ".status.summary.rooms"),
        column("Participants", "integer", ".status.summary.participants"),
        column("Noncompliant", "integer", ".status.summary.noncompliant"),
        wide(column("Server", "string", ".spec.serverRef.name")),
        wide(own),
        wide(column("Pending", "integer", ".status.summary.pending")),
        wide(column("Failed", "integer", ".status.summary.failed")),
    ]
}

/// A definition that cannot be written as YAML.
#[derive(Debug, thiserror::Error)]
pub enum CrdYamlError {
    /// It has no JSON form.
    #[error("a CustomResourceDefinition cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// Its JSON form has no YAML form.
    #[error("a CustomResourceDefinition cannot be written as YAML")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

/// The definitions as one YAML stream, which `usher crd` prints.
///
/// # Errors
/// When a definition cannot be serialized, which would be a mistake in this module.
pub fn crds_yaml() -> Result<String, CrdYamlError> {
    Ok(crd_files()?.into_iter().map(|(_, yaml)| yaml).collect())
}

/// The definitions as the files of `crds/`: name and content, the name as controller-gen would choose it.
///
/// # Errors
/// When a definition cannot be serialized, which would be a mistake in this module.
pub fn crd_files() -> Result<Vec<(String, String)>, CrdYamlError> {
    crds().iter().map(|crd| Ok((format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural), yaml(crd)?))).collect()
}

fn yaml(crd: &CustomResourceDefinition) -> Result<String, CrdYamlError> {
    let mut json = serde_json::to_value(crd)?;
    whole_numbers(&mut json);
    Ok(format!("---\n{}", serde_saphyr::to_string(&json)?))
}

/// Writes the bounds of integers as integers: the OpenAPI types know only floats, and `minimum: 1.0` would be read
/// back from the API server as `minimum: 1`.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Array(entries) => entries.iter_mut().for_each(whole_numbers),
        Value::Number(number) => {
            // Exact: bounds are small.
            if let Some(float) = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0) {
                *value = (float as i64).into();
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Gives a derived definition its columns and a tidy schema.
fn finished(mut crd: CustomResourceDefinition, own: Vec<CustomResourceColumnDefinition>) -> CustomResourceDefinition {
    let ready = |part: &str| format!(r#".status.conditions[?(@.type=="Ready")].{part}"#);
    let columns = [
        vec![column("Ready", "string", &ready("status")), column("Reason", "string", &ready("reason"))],
        own,
        vec![
            wide(column("Suspended", "boolean", ".spec.suspend")),
            wide(column("Message", "string", &ready("message"))),
            column("Age", "date", ".metadata.creationTimestamp"),
        ],
    ];
    for version in &mut crd.spec.versions {
        version.additional_printer_columns = Some(columns.concat());
        if let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            tidy(root);
            if let Some(status) = root.properties.as_mut().and_then(|properties| properties.get_mut("status")) {
                status.default = Some(JSON(json!({ "observedGeneration": status::not_observed() })));
            }
        }
    }
    crd
}

fn column(name: &str, type_: &str, json_path: &str) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        name: name.into(),
        type_: type_.into(),
        json_path: json_path.into(),
        ..CustomResourceColumnDefinition::default()
    }
}

/// Shows a column with `-o wide` only.
fn wide(column: CustomResourceColumnDefinition) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition { priority: Some(1), ..column }
}

/// Puts right what derived schemas say and Kubernetes understands otherwise.
///
/// - `nullable` on whatever is an `Option`: a stored `null` would count as given in `has(…)` and would not survive
///   being read and written by us. Without it the API server drops nulls, so templates may still produce them.
/// - `format: uint32`, which the API server answers with a warning.
/// - Line ends inside paragraphs, which `kubectl explain` would break a second time; and titles, which nothing shows.
/// - Lists without a type are written out as the atomic ones they are.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    if let Some(description) = &mut schema.description {
        *description = description.split("\n\n").map(|it| it.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
    }
    schema.format.take_if(|format| format.starts_with("uint"));
    if schema.type_.as_deref() == Some("array") {
        schema.x_kubernetes_list_type.get_or_insert_with(|| "atomic".into());
    }
    schema.properties.iter_mut().flatten().for_each(|(_, property)| tidy(property));
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => tidy(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(tidy),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}
