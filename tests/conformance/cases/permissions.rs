//! Changes of permission.

use serde_json::{Value, json};

use crate::case::{Case, JSON, PROTOBUF, Step};

fn permit(permission: &Value, format: &'static str) -> Step {
    Step::new("UpdateParticipant", format, json!({"identity": "ann", "permission": permission}))
}

pub fn cases() -> Vec<Case> {
    let all = json!({"can_subscribe": true, "can_publish": true, "can_publish_data": true});
    let with = |key: &str, value: Value| {
        let mut permission = all.clone();
        permission[key] = value;
        permission
    };
    let mut cases = Vec::new();
    // On somebody who may do everything and publishes two tracks; then all is given back.
    for (name, permission) in [
        ("the same", all.clone()),
        ("none", json!({})),
        ("subscribing alone", json!({"can_subscribe": true})),
        ("publishing alone", json!({"can_publish": true})),
        ("no subscribing", with("can_subscribe", json!(false))),
        ("no publishing", with("can_publish", json!(false))),
        ("no data", with("can_publish_data", json!(false))),
        ("the camera", with("can_publish_sources", json!(["CAMERA"]))),
        ("the microphone", with("can_publish_sources", json!(["MICROPHONE"]))),
        ("both", with("can_publish_sources", json!(["CAMERA", "MICROPHONE"]))),
        ("neither", with("can_publish_sources", json!(["SCREEN_SHARE"]))),
        ("a source twice", with("can_publish_sources", json!(["CAMERA", "CAMERA"]))),
        ("the unknown source", with("can_publish_sources", json!(["UNKNOWN"]))),
        ("sources by number", with("can_publish_sources", json!([1, 2]))),
        ("an empty list of sources", with("can_publish_sources", json!([]))),
        ("sources and no publishing", json!({"can_subscribe": true, "can_publish_sources": ["CAMERA"]})),
        ("changing itself", with("can_update_metadata", json!(true))),
        ("metrics", with("can_subscribe_metrics", json!(true))),
        ("sessions", with("can_manage_agent_session", json!(true))),
        ("hidden", with("hidden", json!(true))),
        ("recorder", with("recorder", json!(true))),
        ("agent", with("agent", json!(true))),
    ] {
        let ann = Case::new(format!("a permission: {name}")).with("ann");
        let ann = ann.publishing("audio", "MICROPHONE").publishing("video", "CAMERA");
        cases.push(ann.step(permit(&permission, JSON)).step(permit(&all, JSON)));
        let ann = Case::new(format!("a permission: {name}, protobuf")).with("ann");
        cases.push(ann.step(permit(&permission, PROTOBUF)).step(permit(&permission, PROTOBUF)));
    }
    for (name, sources) in [
        ("a source by a number nobody knows", json!([77])),
        ("a source by a name nobody knows", json!(["NONSENSE"])),
        ("a source in lower case", json!(["camera"])),
    ] {
        let permission = with("can_publish_sources", sources);
        cases.push(Case::new(format!("a permission: {name}")).with("ann").step(permit(&permission, JSON)));
    }
    // What a client claims, not what it is, decides.
    let camera = with("can_publish_sources", json!(["CAMERA"]));
    cases.push(
        Case::new("a permission: audio that is said to be a camera")
            .with("ann")
            .publishing("audio", "CAMERA")
            .step(permit(&camera, JSON)),
    );
    cases.push(
        Case::new("a permission: a track without a source")
            .with("ann")
            .publishing("audio", "UNKNOWN")
            .step(permit(&camera, JSON)),
    );
    cases
        .push(Case::new("a permission with a name and attributes").with("ann").publishing("audio", "MICROPHONE").step(
        Step::new(
            "UpdateParticipant",
            JSON,
            json!({"identity": "ann", "name": "A", "attributes": {"a": "b"}, "permission": {"can_subscribe": true}}),
        ),
    ));
    let order = |sources: Value| permit(&with("can_publish_sources", sources), JSON);
    cases.push(
        Case::new("a permission: the order of sources is a difference")
            .with("ann")
            .step(order(json!(["CAMERA", "MICROPHONE"])))
            .step(order(json!(["MICROPHONE", "CAMERA"]))),
    );
    cases
}
