//! Every file of values in the chart's `ci` folder: what it renders is taken by the API server, field by field, and
//! makes a release that goes away whole.

use std::{path::PathBuf, time::Duration};

use serde_json::Value;
use usher_testkit::{Cluster, ClusterOptions, Release, eventually, stack_binary};

const NAMESPACE: &str = "usher-ci";
/// Kinds of others that the chart may use.
const OTHERS: &str = "gateway.networking.k8s.io/v1,monitoring.coreos.com/v1";

fn files() -> Vec<PathBuf> {
    let folder = Release::chart().join("ci");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.sort();
    files
}

/// What a release has left in the cluster, in every kind that the API server knows.
async fn left(cluster: &Cluster, kinds: &str) -> Vec<String> {
    let args = ["get", kinds, "-A", "-l", "app.kubernetes.io/part-of=usher", "-o", "name"];
    let said = cluster.kubectl(&args, None).await.ok();
    said.lines().filter(|line| !line.contains("customresourcedefinition")).map(str::to_owned).collect()
}

#[tokio::test]
async fn every_file_of_values_is_rendered_validated_and_applied() {
    let cluster = Cluster::start(ClusterOptions::default()).await;
    let others = stack_binary("crds");
    let others = others.to_str().expect("the path is text");
    cluster.kubectl(&["apply", "--server-side", "-f", others], None).await.ok();
    cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", "-f", others], None).await.ok();
    for namespace in [NAMESPACE, "livekit", "team-a"] {
        cluster.kubectl(&["create", "namespace", namespace], None).await.ok();
    }
    // What violates it is answered with a warning for a Deployment or a Job, and refused for a Pod.
    let restricted = ["enforce", "warn"].map(|mode| format!("pod-security.kubernetes.io/{mode}=restricted"));
    cluster.kubectl(&["label", "namespace", NAMESPACE, &restricted[0], &restricted[1]], None).await.ok();
    let kinds = cluster.kubectl(&["api-resources", "--verbs=list", "-o", "name"], None).await.ok();
    let ours = |kind: &&str| !kind.ends_with("usher.dev") && !kind.starts_with("events");
    let kinds = kinds.lines().filter(ours).collect::<Vec<_>>().join(",");

    let chart = Release::chart();
    let chart = chart.to_str().expect("the path is text");
    let files = files();
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let file = file.to_str().expect("the path is text");
        let of = ["usher", chart, "-n", NAMESPACE, "-f", file];
        let render = [&["template"], &of[..], &["--kube-version", "1.36.3", "--api-versions", OTHERS]].concat();
        let rendered = cluster.helm(&render, None).await.ok();
        // The API server's own validation: unknown and doubled fields are errors. The definitions are still helm's.
        let check = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-f", "-"];
        let checked = cluster.kubectl(&check, Some(&rendered)).await;
        assert!(checked.success && checked.stderr.is_empty(), "{file}: {}{}", checked.stderr, checked.stdout);

        let install = [&["install"], &of[..]].concat();
        let said = cluster.helm(&install, None).await;
        assert!(said.success && !said.stderr.contains("arning"), "{file}: {}", said.stderr);
        let objects = left(&cluster, &kinds).await;
        assert!(objects.iter().any(|object| object.starts_with("deployment.apps/")), "{file}: {objects:?}");
        assert!(said.stdout.contains("kubectl -n "), "{file}: {}", said.stdout);
        // An upgrade that changes nothing changes nothing.
        let versions = ["get", "deployment", "-n", NAMESPACE, "-o", "jsonpath={.items[*].metadata.generation}"];
        let before = cluster.kubectl(&versions, None).await.ok();
        cluster.helm(&[&["upgrade"], &of[..]].concat(), None).await.ok();
        assert_eq!(cluster.kubectl(&versions, None).await.ok(), before, "{file}");

        cluster.helm(&["uninstall", "usher", "-n", NAMESPACE, "--no-hooks"], None).await.ok();
        let objects = left(&cluster, &kinds).await;
        assert!(objects.is_empty(), "{file}: {objects:?}");
        // Definitions that are not kept go a little later than helm says.
        let mut looks = 0_u32;
        eventually(Duration::from_secs(30), "no definition is being deleted", async || {
            looks += 1;
            let filter = "-o=jsonpath={.items[?(@.metadata.deletionTimestamp)].metadata.name}";
            let going = cluster.kubectl(&["get", "customresourcedefinitions", filter], None).await.ok();
            let names: Vec<_> = going.split_whitespace().collect();
            if names.is_empty() {
                return Ok(());
            }
            // The API server may fail to list the instances of one, lose the second attempt in a conflict with its own
            // write, and then look again only five minutes later, or when the definition changes (crd_finalizer.go).
            if looks.is_multiple_of(20) {
                let mark = format!("looks={looks}");
                let annotate = ["annotate", "--overwrite", "customresourcedefinitions", &mark];
                cluster.kubectl(&[&annotate[..], &names].concat(), None).await;
            }
            Err(going)
        })
        .await;
    }
}

#[tokio::test]
async fn a_release_without_a_right_place_is_refused_before_anything_is_made() {
    let cluster = Cluster::start(ClusterOptions::default()).await;
    let namespace = cluster.namespace("refused").await;
    let chart = Release::chart();
    let chart = chart.to_str().expect("the path is text");
    for (set, expected) in [
        ("replicas=3", "additional properties 'replicas' not allowed"),
        ("image.tags=1", "additional properties 'tags' not allowed"),
        ("replicaCount=0", "minimum: got 0, want 1"),
        ("log.format=yaml", "value must be one of 'json', 'text'"),
        ("leaderElection.enabled=false", "each replica would resync and write status"),
    ] {
        let refused = cluster.helm(&["install", "usher", chart, "-n", &namespace, "--set", set], None).await.refused();
        assert!(refused.contains(expected), "{set}: {refused}");
    }
    let list = cluster.helm(&["list", "-n", &namespace, "-o", "json"], None).await.ok();
    assert_eq!(serde_json::from_str::<Value>(&list).expect("helm writes JSON"), serde_json::json!([]));
}
