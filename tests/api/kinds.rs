//! The kinds as people meet them: established, with short names, columns and texts.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use serde_json::Value;
use usher::api;

use crate::{
    cluster::{self, send},
    manifest::{Place, manifest},
};

#[tokio::test]
async fn the_api_server_stores_the_definitions_as_they_are() {
    let client = cluster::client().await;
    for crd in api::crds() {
        let name = crd.metadata.name.clone().unwrap();
        let mut stored = Api::<CustomResourceDefinition>::all(client.clone()).get(&name).await.unwrap();
        stored.spec.conversion = None; // defaulted to strategy None
        stored.spec.names.list_kind = None; // defaulted to the kind and "List"
        assert_eq!(serde_json::to_value(&stored.spec).unwrap(), serde_json::to_value(&crd.spec).unwrap(), "{name}");
    }
}

#[tokio::test]
async fn short_names_and_category() {
    let client = cluster::client().await;
    let path = format!("/apis/{}/{}", api::GROUP, api::VERSION);
    let list: Value = client.request(http::Request::get(path).body(Vec::new()).unwrap()).await.unwrap();
    let mut found: Vec<_> = list["resources"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| !it["name"].as_str().unwrap().contains('/'))
        .map(|it| format!("{} {} {} {}", it["kind"], it["shortNames"], it["categories"], it["namespaced"]))
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            r#""LiveKitServer" ["lks"] ["usher"] true"#,
            r#""ParticipantForward" ["pfwd"] ["usher"] true"#,
            r#""ParticipantMove" ["pmov"] ["usher"] true"#,
            r#""RoomPolicy" ["rpol"] ["usher"] true"#,
        ]
    );
}

#[tokio::test]
async fn columns() {
    let client = cluster::client().await;
    let mut sample = manifest(Place::Policy, "mode: Audit");
    sample["metadata"]["name"] = "columns".into();
    let path = format!("{}/columns", cluster::collection(&sample));
    send(&client, "PATCH", &path, "&force=true", &sample).await.unwrap();
    let status = serde_json::json!({ "apiVersion": sample["apiVersion"], "kind": sample["kind"], "status": {
        "observedGeneration": 1,
        "conditions": [{ "type": "Ready", "status": "True", "reason": "Audited", "message": "fine",
            "lastTransitionTime": "2026-11-22T10:00:00Z" }],
        "summary": { "rooms": 2, "participants": 9, "compliant": 6, "noncompliant": 3, "pending": 0, "failed": 0 },
    }});
    send(&client, "PATCH", &format!("{path}/status"), "&force=true", &status).await.unwrap();
    let request = http::Request::get(&path)
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new())
        .unwrap();
    let table: Value = client.request(request).await.unwrap();
    let names: Vec<_> = table["columnDefinitions"].as_array().unwrap().iter().collect();
    let shown: Vec<_> = names.iter().filter(|it| it["priority"] == 0).map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(shown, ["Name", "Ready", "Reason", "Mode", "Rooms", "Participants", "Noncompliant", "Age"]);
    assert_eq!(
        table["rows"][0]["cells"].as_array().unwrap()[..7],
        ["columns".into(), "True".into(), "Audited".into(), "Audit".into(), 2.into(), 9.into(), Value::from(3)]
    );
}

/// What `kubectl explain` shows has a sentence for every field.
#[test]
fn every_field_is_described() {
    fn undescribed(path: &str, schema: &Value, found: &mut Vec<String>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            if property["description"].as_str().is_none_or(str::is_empty) {
                found.push(path.clone());
            }
            undescribed(&path, property, found);
        }
        if schema["items"].is_object() {
            undescribed(&format!("{path}[]"), &schema["items"], found);
        }
    }
    for crd in api::crds() {
        let crd = serde_json::to_value(crd).unwrap();
        let mut found = Vec::new();
        undescribed("", &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut found);
        assert!(found.is_empty(), "{}: no description of {found:?}", crd["spec"]["names"]["kind"]);
    }
}
