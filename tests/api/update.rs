//! What may change in an object that exists, and what its status may hold.

use serde_json::{Value, json};
use usher::api::{PolicyStatus, RoomPolicy};

use crate::{
    cluster::{self, collection, refusal, send},
    manifest::{Place, manifest},
};

/// Applies a manifest of its own name and gives its path.
async fn applied(client: &kube::Client, manifest: &mut Value, name: &str) -> String {
    manifest["metadata"]["name"] = name.into();
    let path = format!("{}/{name}", collection(manifest));
    send(client, "PATCH", &path, "&force=true", manifest).await.unwrap();
    path
}

#[tokio::test]
async fn server_ref_is_immutable() {
    let client = cluster::client().await;
    for place in [Place::Policy, Place::Forward, Place::Move] {
        let mut sample = manifest(place, "{}");
        let path = applied(&client, &mut sample, "immutable").await;
        for other in [json!({ "name": "other" }), json!({ "name": "main", "namespace": "default" })] {
            sample["spec"]["serverRef"] = other;
            let message = refusal(send(&client, "PATCH", &path, "&force=true", &sample).await).unwrap();
            assert!(message.contains("spec.serverRef"), "{message}");
            assert!(message.contains("serverRef is immutable: delete the object and create it anew"), "{message}");
        }
        sample["spec"]["serverRef"] = json!({ "name": "main" });
        sample["spec"]["mode"] = "Audit".into();
        send(&client, "PATCH", &path, "&force=true", &sample).await.unwrap();
    }
}

#[tokio::test]
async fn the_order_of_rules_is_kept() {
    let client = cluster::client().await;
    let mut sample =
        manifest(Place::Policy, "rules: [{name: b, keep: true}, {name: a, keep: true}, {name: c, keep: true}]");
    let path = applied(&client, &mut sample, "order").await;
    let names = |object: &Value| {
        let rules = object["spec"]["rules"].as_array().unwrap().iter();
        rules.map(|rule| rule["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for order in [["b", "a", "c"], ["c", "b", "a"], ["a", "c", "b"]] {
        sample["spec"]["rules"] = order.iter().map(|name| json!({ "name": name, "keep": true })).collect();
        let object = send(&client, "PATCH", &path, "&force=true", &sample).await.unwrap();
        assert_eq!(names(&object), order);
    }
}

#[tokio::test]
async fn status_holds_what_our_types_write() {
    let client = cluster::client().await;
    let path = applied(&client, &mut manifest(Place::Policy, "{}"), "status").await;
    let status = json!({
        "observedGeneration": 1,
        "conditions": [
            { "type": "Ready", "status": "False", "reason": "EnforcementFailed", "message": "1 of 2 participants",
              "observedGeneration": 1, "lastTransitionTime": "2026-11-22T10:00:00Z" },
            { "type": "Reconciling", "status": "True", "reason": "EnforcementFailed", "message": "",
              "observedGeneration": 1, "lastTransitionTime": "2026-11-22T10:00:00Z" },
        ],
        "summary": { "rooms": 1, "participants": 2, "compliant": 1, "noncompliant": 1, "pending": 0, "failed": 1,
                     "violations": 0 },
        "samples": [{ "room": "lobby", "identity": "eve", "rule": "rule", "field": "permission.canPublish",
                      "wanted": "false", "seen": "true", "message": "refused" }],
        "lastHandledReconcileAt": "now",
    });
    let typed: PolicyStatus = serde_json::from_value(status.clone()).unwrap();
    let body = json!({ "apiVersion": "usher.dev/v1alpha1", "kind": "RoomPolicy", "status": typed });
    let object = send(&client, "PATCH", &format!("{path}/status"), "&force=true", &body).await.unwrap();
    assert_eq!(object["status"], status);
    let read: RoomPolicy = serde_json::from_value(object).unwrap();
    assert_eq!(read.status, Some(typed));
}

#[tokio::test]
async fn a_status_refuses_what_is_no_condition() {
    let client = cluster::client().await;
    let path = format!("{}/status", applied(&client, &mut manifest(Place::Policy, "{}"), "bad-status").await);
    let good = json!({ "type": "Ready", "status": "True", "reason": "Enforced", "message": "",
        "lastTransitionTime": "2026-11-22T10:00:00Z" });
    for (field, value, says) in [
        ("status", json!("Yes"), "supported values: \"True\", \"False\", \"Unknown\""),
        ("reason", json!(""), "at least 1 chars long"),
        ("type", json!("Not Ready"), "should match"),
    ] {
        let mut condition = good.clone();
        condition[field] = value;
        let body = json!({ "apiVersion": "usher.dev/v1alpha1", "kind": "RoomPolicy",
            "status": { "observedGeneration": 1, "conditions": [condition] } });
        let message = refusal(send(&client, "PATCH", &path, "&force=true", &body).await).unwrap();
        assert!(message.contains(&format!("status.conditions[0].{field}")) && message.contains(says), "{message}");
    }
}

/// JSON knows one kind of number, Rust does not: what the API server takes for an integer our types must read.
#[tokio::test]
async fn integers_written_as_floats_can_be_read() {
    let client = cluster::client().await;
    let path = collection(&manifest(Place::Policy, "{}"));
    for (priority, read) in [("5.0", 5), ("5e1", 50), ("-0.0", 0)] {
        let text = manifest(Place::Policy, "priority: 77").to_string().replace("77", priority);
        let request = http::Request::post(format!("{path}?dryRun=All"))
            .header("content-type", "application/json")
            .body(text.into_bytes())
            .unwrap();
        let policy: RoomPolicy = client.request(request).await.unwrap();
        assert_eq!(policy.spec.priority, read, "{priority}");
    }
}
