//! A pipeline with `wait: true` is Ready exactly when our objects are, and takes them away again.

use std::{fs, time::Duration};

use serde_json::Value;
use tokio::time::Instant;
use usher_testkit::{TokenSpec, eventually, repository};

use super::flux::Flux;
use crate::{
    cloud,
    stage::{A_WHILE, AGAIN, SOON, Stage, condition},
};

/// The manifests of an example, as they are.
fn example(name: &str) -> Vec<(String, String)> {
    let folder = fs::read_dir(repository().join("examples").join(name)).expect("an example");
    let files = folder.map(|file| file.expect("a file").path());
    let yaml = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("a manifest"))
    };
    yaml.map(read).collect()
}

fn files(of: &[(String, String)]) -> Vec<(&str, String)> {
    of.iter().map(|(name, text)| (name.as_str(), text.clone())).collect()
}

async fn is_ready(stage: &Stage, policy: &str) -> bool {
    let object = stage.kubectl(&["get", "roompolicy", policy, "-o", "json", "--ignore-not-found"]).await;
    let object: Value = serde_json::from_str(&object).unwrap_or_default();
    let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    current && condition(&object, "Ready").is_some_and(|(status, _)| status == "True")
}

#[tokio::test]
async fn flux_is_ready_when_we_are_though_the_policy_comes_before_its_server() {
    let stage = Stage::set().await;
    let server = stage.livekit.manifests(&stage.namespace, &stage.proxy.url(), "1h");
    stage.kubectl(&["delete", "livekitserver", "main"]).await;
    let mut flux = Flux::start(&stage.cluster, &stage.namespace).await;
    flux.kustomize(0).await;
    let first = flux.commit(&files(&example("webinar"))).await;
    eventually(2 * AGAIN, "the policy waits for its server", async || {
        let object = stage.kubectl(&["get", "roompolicy", "webinar", "-o", "json", "--ignore-not-found"]).await;
        let object: Value = serde_json::from_str(&object).unwrap_or_default();
        match condition(&object, "Ready") {
            Some((_, reason)) if reason == "ServerNotFound" => Ok(()),
            _ => Err(object["status"].to_string()),
        }
    })
    .await;
    let until = Instant::now() + 2 * A_WHILE;
    while Instant::now() < until {
        let (status, reason, _) = flux.ready().await;
        assert!(status == "Unknown", "it waits: {status} {reason}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    stage.cluster.apply(&server).await;
    let begun = Instant::now();
    loop {
        // In this order: it must not be ready before we are.
        let (status, reason, object) = flux.ready().await;
        if status == "True" {
            assert!(is_ready(&stage, "webinar").await, "{object:#}");
            assert_eq!(object["status"]["lastAppliedRevision"], first.as_str());
            break;
        }
        assert!(status == "Unknown" && begun.elapsed() < AGAIN, "{status} {reason}: {}", object["status"]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // What somebody changes by hand is put back, and so is what participants may do.
    let guest = stage.join(&TokenSpec::new("webinar-1", "bert")).await;
    guest.wait_for(SOON, |info| info.permission.can_publish_sources == ["CAMERA"]).await;
    let patch =
        "[{\"op\":\"replace\",\"path\":\"/spec/rules/2/set/permission/canPublishSources\",\"value\":[\"Microphone\"]}]";
    stage.kubectl(&["patch", "roompolicy", "webinar", "--type=json", "-p", patch]).await;
    guest.wait_for(SOON, |info| info.permission.can_publish_sources == ["MICROPHONE"]).await;
    flux.reconcile().await;
    guest.wait_for(AGAIN, |info| info.permission.can_publish_sources == ["CAMERA"]).await;
    // Our status is no difference: Flux changes nothing more.
    flux.wait(&first, "True", "ReconciliationSucceeded").await;
    let generation = stage.get("roompolicy", "webinar").await["metadata"]["generation"].clone();
    flux.reconcile().await;
    tokio::time::sleep(2 * A_WHILE).await;
    assert_eq!(stage.get("roompolicy", "webinar").await["metadata"]["generation"], generation);

    // What cannot heal by itself fails at once, and the next commit mends it.
    let broken: Vec<_> = (example("webinar").into_iter())
        .map(|(name, text)| (name, text.replace("- prefix: webinar-", "- regex: (")))
        .collect();
    let second = flux.commit(&files(&broken)).await;
    stage.wait("roompolicy", "webinar", "Stalled").await;
    flux.wait(&second, "False", "HealthCheckFailed").await;
    assert!(condition(&stage.get("roompolicy", "webinar").await, "Stalled").is_some());
    let third = flux.commit(&files(&example("webinar"))).await;
    flux.wait(&third, "True", "ReconciliationSucceeded").await;

    // Gone from the repository, gone from the cluster.
    let fourth = flux.commit(&files(&example("phone-callers"))).await;
    flux.wait(&fourth, "True", "ReconciliationSucceeded").await;
    let left = stage.kubectl(&["get", "roompolicy", "-o", "name"]).await;
    assert_eq!(left.trim(), "roompolicy.usher.dev/phone-callers");
}

#[tokio::test]
async fn with_our_expressions_flux_fails_at_once_where_somebody_must_mend_something() {
    let stage = Stage::set().await;
    let good = stage.livekit.manifests(&stage.namespace, &stage.proxy.url(), "1h");
    let mut flux = Flux::start(&stage.cluster, &stage.namespace).await;
    // What comes by itself it still waits for.
    stage.kubectl(&["delete", "livekitserver", "main"]).await;
    flux.kustomize(1).await;
    let first = flux.commit(&files(&example("webinar"))).await;
    eventually(2 * AGAIN, "the policy is there", async || {
        let there = stage.kubectl(&["get", "roompolicy", "-o", "name"]).await;
        if there.contains("webinar") { Ok(()) } else { Err(there) }
    })
    .await;
    stage.wait_ready("roompolicy", "webinar", "False", "ServerNotFound").await;
    tokio::time::sleep(2 * A_WHILE).await;
    assert_eq!(flux.ready().await.0, "Unknown");
    let begun = Instant::now();
    let bad = stage.livekit.keys()[0].secret.clone();
    stage.cluster.apply(&good.replace(&bad, "another-secret-than-livekit-has-0123456789")).await;
    flux.wait(&first, "False", "HealthCheckFailed").await;
    stage.wait_ready("roompolicy", "webinar", "False", "Unauthorized").await;
    assert!(begun.elapsed() < Duration::from_secs(100), "before the timeout of two minutes: {:?}", begun.elapsed());
    stage.cluster.apply(&good).await;
    stage.wait("roompolicy", "webinar", "Ready").await;
    flux.reconcile().await;
    flux.wait(&first, "True", "ReconciliationSucceeded").await;
}

#[tokio::test]
async fn flux_replaces_an_object_whose_server_changes_where_it_is_told_to() {
    let stage = Stage::set().await;
    let mut flux = Flux::start(&stage.cluster, &stage.namespace).await;
    flux.kustomize(0).await;
    let first = flux.commit(&files(&example("webinar"))).await;
    flux.wait(&first, "True", "ReconciliationSucceeded").await;
    let uid = stage.get("roompolicy", "webinar").await["metadata"]["uid"].clone();
    // The same server, said in other words, is another reference.
    let change = |from: &str, to: &str, manifests: &[(String, String)]| -> Vec<(String, String)> {
        assert!(manifests.iter().all(|(_, text)| text.matches(from).count() == 1), "{from}");
        manifests.iter().map(|(name, text)| (name.clone(), text.replace(from, to))).collect()
    };
    let namespace = format!("    name: main\n    namespace: {}\n", stage.namespace);
    let moved = change("    name: main\n", &namespace, &example("webinar"));
    let second = flux.commit(&files(&moved)).await;
    flux.wait(&second, "False", "ReconciliationFailed").await;
    assert_eq!(stage.get("roompolicy", "webinar").await["metadata"]["uid"], uid);
    let annotation = "  name: webinar\n  annotations: {kustomize.toolkit.fluxcd.io/force: enabled}\n";
    let third = flux.commit(&files(&change("  name: webinar\n", annotation, &moved))).await;
    flux.wait(&third, "True", "ReconciliationSucceeded").await;
    let object = stage.get("roompolicy", "webinar").await;
    assert_ne!(object["metadata"]["uid"], uid);
    assert_eq!(object["spec"]["serverRef"]["namespace"], stage.namespace.as_str());
}

#[tokio::test]
async fn flux_prunes_a_forward_once_its_copies_have_gone() {
    let stage = cloud::Stage::set(true).await;
    let mut flux = Flux::start(stage.cluster, &stage.namespace).await;
    flux.kustomize(0).await;
    stage.join("main-stage", "speaker-anna", "");
    let overflow = example("overflow");
    let first = flux.commit(&files(&overflow)).await;
    flux.wait(&first, "True", "ReconciliationSucceeded").await;
    stage.wait_for("overflow-1", &["[speaker-anna]"]).await;
    let without: Vec<_> = overflow.iter().filter(|(name, _)| name != "forward.yaml").cloned().collect();
    let second = flux.commit(&files(&without)).await;
    flux.wait(&second, "True", "ReconciliationSucceeded").await;
    stage.wait_for("overflow-1", &[]).await;
    stage.wait_gone("pfwd", "overflow").await;

    // And with the Kustomization itself.
    let third = flux.commit(&files(&overflow)).await;
    flux.wait(&third, "True", "ReconciliationSucceeded").await;
    stage.wait_for("overflow-2", &["[speaker-anna]"]).await;
    flux.delete().await;
    stage.wait_gone("pfwd", "overflow").await;
    stage.wait_for("overflow-2", &[]).await;
}
