//! The manifests of READMEs and docs/ on a real API server, which refuses what it does not know and what breaks a rule.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::Value;
use usher_testkit::{markdown, repository};

use crate::cluster;

/// Objects of these groups are applied by the tests of GitOps, where their kinds exist.
const ELSEWHERE: [&str; 2] = ["kustomize.toolkit.fluxcd.io", "source.toolkit.fluxcd.io"];

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
}

/// Each manifest, and where it stands.
fn manifests() -> Vec<(String, Value)> {
    let root = repository();
    let mut pages = vec![root.join("README.md")];
    let mut plain = Vec::new();
    for folder in ["docs", "examples"] {
        files(&root.join(folder), "md", &mut pages);
        files(&root.join(folder), "yaml", &mut plain);
    }
    let mut texts = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for block in markdown::code_blocks(&text).into_iter().filter(|block| block.language == "yaml") {
            texts.push((format!("{}:{}", page.display(), block.line), block.code));
        }
    }
    texts.extend(plain.into_iter().map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())));
    let mut manifests = Vec::new();
    for (place, text) in texts {
        let read: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{place}: {error}"));
        manifests.extend(read.into_iter().map(|object| (place.clone(), object)));
    }
    manifests
}

/// Asks the API server to apply it, strictly, and to forget it.
async fn refused(client: &Client, manifest: &Value) -> Option<String> {
    let text = |field: &str| manifest[field].as_str().unwrap_or_default();
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("kind")));
    let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
    let api: Api<DynamicObject> = match text("kind") {
        "Namespace" => Api::all_with(client.clone(), &resource),
        _ => Api::namespaced_with(client.clone(), cluster::EMPTY, &resource),
    };
    let mut manifest = manifest.clone();
    if let Some(namespace) = manifest.pointer_mut("/metadata/namespace") {
        *namespace = cluster::EMPTY.into();
    }
    let options = PatchParams { dry_run: true, ..PatchParams::apply("documentation").validation_strict() };
    api.patch(name, &options, &Patch::Apply(&manifest)).await.err().map(|error| error.to_string())
}

#[tokio::test]
async fn every_manifest_is_accepted() {
    let client = cluster::client().await;
    let mut kinds = BTreeSet::new();
    let mut wrong = Vec::new();
    for (place, manifest) in manifests() {
        let Some(version) = manifest["apiVersion"].as_str() else {
            // A part of a manifest, as in a page on Helm values or RBAC rules.
            continue;
        };
        if !ELSEWHERE.iter().any(|group| version.starts_with(group)) {
            kinds.insert(manifest["kind"].as_str().unwrap_or_default().to_owned());
            wrong.extend(refused(&client, &manifest).await.map(|why| format!("{place}: {why}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for kind in ["LiveKitServer", "RoomPolicy", "ParticipantForward", "ParticipantMove", "Deployment"] {
        assert!(kinds.contains(kind), "no manifest of kind {kind}: {kinds:?}");
    }
}

#[tokio::test]
async fn a_wrong_manifest_is_noticed() {
    let client = cluster::client().await;
    let manifest = |spec: &str| {
        let text = format!("{{apiVersion: usher.dev/v1alpha1, kind: RoomPolicy, metadata: {{name: a}}, spec: {spec}}}");
        serde_saphyr::from_str::<Value>(&text).unwrap()
    };
    let good = "{serverRef: {name: main}, rooms: [{exact: hall}], rules: [{name: a, keep: true}]}";
    assert_eq!(refused(&client, &manifest(good)).await, None);
    for bad in [good.replace("keep", "kep"), good.replace(", keep: true", ""), good.replace("exact", "regexp")] {
        assert!(refused(&client, &manifest(&bad)).await.is_some(), "{bad}");
    }
}
