//! One server and several namespaces.

use std::{collections::BTreeMap, fs};

use serde_json::Value;
use usher_testkit::{TokenSpec, eventually};

use super::folder;
use crate::stage::{A_WHILE, AGAIN, SOON, Scene, Stage, condition};

/// The manifests of a folder, with other names of namespaces and another address.
fn laid_over(example: &str, namespaces: &BTreeMap<&str, &str>, url: &str) -> Vec<Value> {
    let mut files: Vec<_> =
        fs::read_dir(folder(example)).expect("the folder").map(|file| file.expect("it").path()).collect();
    files.sort();
    let mut objects = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "yaml")) {
        let text = fs::read_to_string(file).expect("a manifest");
        let read: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        objects.extend(read);
    }
    let other = |name: &mut Value| {
        if let Some(other) = name.as_str().and_then(|name| namespaces.get(name)) {
            *name = Value::from(*other);
        }
    };
    for object in &mut objects {
        for place in ["/metadata/namespace", "/spec/serverRef/namespace"] {
            object.pointer_mut(place).into_iter().for_each(other);
        }
        let entries = object.pointer_mut("/spec/access").and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten() {
            let names = entry.pointer_mut("/namespaces/names").and_then(Value::as_array_mut);
            names.into_iter().flatten().for_each(other);
        }
        object.pointer_mut("/spec/url").into_iter().for_each(|it| *it = Value::from(url));
    }
    objects
}

async fn apply(stage: &Stage, objects: &[Value]) {
    for object in objects {
        stage.cluster.apply(&object.to_string()).await;
    }
}

async fn wait_ready(stage: &Stage, namespace: &str, policy: &str, wanted: &str) {
    eventually(AGAIN, &format!("{namespace}/{policy} {wanted}"), async || {
        let args = ["get", "roompolicy", policy, "-n", namespace, "-o", "json"];
        let object: Value = serde_json::from_str(&stage.cluster.kubectl(&args, None).await.ok()).expect("JSON");
        match condition(&object, "Ready") {
            Some((_, why)) if why == wanted => Ok(()),
            _ => Err(object["status"].to_string()),
        }
    })
    .await;
}

/// The stage has a LiveKitServer of its own already: the folder's one takes its place.
#[tokio::test]
async fn tenants() {
    let mut stage = Stage::with(Scene { resync_interval: Some("5s"), ..Scene::default() }).await;
    let (a, b) = (stage.cluster.namespace("team-a").await, stage.cluster.namespace("team-b").await);
    stage.also_watch(&[&a, &b]).await;
    let names = BTreeMap::from([("livekit", stage.namespace.as_str()), ("team-a", &a), ("team-b", &b)]);
    let objects = laid_over("tenants", &names, &stage.proxy.url());
    apply(&stage, &objects).await;
    for (namespace, policy) in [(stage.namespace.as_str(), "house"), (&a, "quiet"), (&b, "quiet")] {
        wait_ready(&stage, namespace, policy, "NoActiveRooms").await;
    }
    // Team A reaches for a room of team B, and above the house rule.
    let mut greedy = objects.iter().find(|object| object["metadata"]["namespace"] == a).expect("a policy").clone();
    greedy["metadata"]["name"] = "greedy".into();
    greedy["spec"]["priority"] = 1000.into();
    greedy["spec"]["rooms"] = serde_json::json!([{"glob": "*"}]);
    greedy["spec"]["rules"] =
        serde_json::json!([{"name": "all", "keep": true, "set": {"attributes": {"owner": "team-a"}}}]);
    apply(&stage, &[greedy]).await;

    let guest = stage.join(&TokenSpec::new("team-a-standup", "anna")).await;
    let speaker = stage.join(&TokenSpec::new("team-b-standup", "speaker-bert")).await;
    let other = stage.join(&TokenSpec::new("team-b-standup", "carl")).await;
    let outside = stage.join(&TokenSpec::new("reception", "dora")).await;
    guest.wait_for(SOON, |info| !info.permission.can_publish && info.attributes.contains_key("owner")).await;
    other.wait_for(SOON, |info| !info.permission.can_publish).await;
    stage.is_removed(&TokenSpec::new("team-a-standup", "mallory")).await;
    stage.after_a_resync().await;
    for untouched in [&speaker, &outside, &other] {
        untouched.assert_unchanged_for(A_WHILE).await;
        assert!(!untouched.info().attributes.contains_key("owner"), "{}", untouched.history());
    }
}

/// Of the other examples' server only the address is another.
#[tokio::test]
async fn server() {
    let stage = Stage::set().await;
    let objects = laid_over("server", &BTreeMap::new(), &stage.proxy.url());
    let [object] = &objects[..] else { panic!("one object") };
    stage.kubectl(&["delete", "livekitserver", "main"]).await;
    let mut object = object.clone();
    object["metadata"]["namespace"] = stage.namespace.as_str().into();
    apply(&stage, &[object]).await;
    stage.wait("livekitserver", "main", "Ready").await;
    stage.follow("webinar", 0).await;
    let guest = stage.join(&TokenSpec::new("webinar-1", "bert")).await;
    guest.wait_for(SOON, |info| info.attributes.contains_key("seat")).await;
}
