//! Status as it is written and read back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use usher_testkit::{Cluster, eventually};

use crate::room::{Room, SOON, field, list, policy, ready, secret, server, settled};

async fn resource_versions(cluster: &Cluster, namespace: &str) -> Vec<(String, String)> {
    let all = cluster.kubectl(&["-n", namespace, "get", "usher", "-o", "json"], None).await.ok();
    let all: Value = serde_json::from_str(&all).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = all["items"].as_array().unwrap().iter();
    items.map(|item| (text(&item["metadata"]["name"]), text(&item["metadata"]["resourceVersion"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_is_written_and_then_nothing_at_rest() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("status").await;
    let forward = json!({
        "apiVersion": "usher.dev/v1alpha1", "kind": "ParticipantForward",
        "metadata": {"name": "f", "namespace": namespace},
        "spec": {"serverRef": {"name": "main"}, "source": {"rooms": [{"exact": "x"}]}, "destinationRooms": ["y"]},
    });
    let mut suspended = policy(&namespace, "suspended", &namespace);
    suspended["spec"]["suspend"] = json!(true);
    let mut invalid = policy(&namespace, "invalid", &namespace);
    invalid["spec"]["rooms"] = json!([{"regex": "("}]);
    cluster
        .apply(&list([
            server(&namespace),
            secret(&namespace, "hush"),
            policy(&namespace, "a", &namespace),
            policy(&namespace, "lost", "nowhere"),
            suspended,
            invalid,
            forward,
        ]))
        .await;
    let room = Room::of(cluster, &[&namespace]).await;
    let _engine = room.enforce();
    for (object, wanted) in [
        ("lks/main", "True:Enforced"),
        ("rpol/a", "True:Enforced"),
        ("rpol/lost", "False:ServerNotFound"),
        ("rpol/suspended", "True:Suspended"),
        ("rpol/invalid", "False:Invalid"),
        ("pfwd/f", "False:Progressing"),
    ] {
        ready(cluster, &namespace, object, wanted).await;
    }
    let wait = ["-n", &namespace, "wait", "--for=condition=Ready", "--timeout=5s", "rpol/a", "lks/main"];
    cluster.kubectl(&wait, None).await.ok();
    assert_eq!(field(cluster, &namespace, "rpol/a", ".status.summary.participants").await, "2");
    assert_eq!(field(cluster, &namespace, "rpol/a", ".status.observedGeneration").await, "1");
    assert_eq!(field(cluster, &namespace, "lks/main", ".status.policies").await, "2");

    let (before, writes) = (resource_versions(cluster, &namespace).await, room.writes());
    // An engine that says the same again and again.
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        room.reports.send_replace(settled(&room.now().unwrap()));
    }
    assert_eq!(resource_versions(cluster, &namespace).await, before);
    assert_eq!(room.writes(), writes);
    println!("{writes} writes for {} objects, none in the 10 s after", before.len());

    // A restart tells nothing either.
    room.stop().await;
    let room = Room::of(cluster, &[&namespace]).await;
    let _engine = room.enforce();
    room.readiness.subscribe().wait_for(|ready| *ready).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(resource_versions(cluster, &namespace).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_writes_nothing_and_a_leader_begins_at_once() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("leader").await;
    cluster.apply(&list([server(&namespace), secret(&namespace, "hush"), policy(&namespace, "a", &namespace)])).await;
    let room = Room::of(cluster, &[&namespace]).await;
    // As of a process that was frozen: nobody has told it that its term is over.
    room.leader.hold_until(tokio::time::Instant::now());
    let _engine = room.enforce();
    room.policies(&usher::policy::ObjectName::new(&namespace, "main"), &["a"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(field(cluster, &namespace, "rpol/a", ".status.observedGeneration").await, "-1");
    room.leader.follow();
    room.leader.hold_until(tokio::time::Instant::now() + Duration::from_secs(600));
    ready(cluster, &namespace, "rpol/a", "True:Enforced").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_asks_for_a_resync_and_is_answered() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("resync").await;
    cluster.apply(&list([server(&namespace), secret(&namespace, "hush"), policy(&namespace, "a", &namespace)])).await;
    let room = Room::of(cluster, &[&namespace]).await;
    let _engine = room.enforce();
    ready(cluster, &namespace, "rpol/a", "True:Enforced").await;
    let annotate = ["-n", &namespace, "annotate", "--overwrite", "rpol/a", "usher.dev/reconcile-requested-at=first"];
    cluster.kubectl(&annotate, None).await.ok();
    eventually(SOON, "the resync is handled", async || {
        let handled = field(cluster, &namespace, "rpol/a", ".status.lastHandledReconcileAt").await;
        if handled == "first" { Ok(()) } else { Err(handled) }
    })
    .await;
    let main = usher::policy::ObjectName::new(&namespace, "main");
    assert_eq!(room.now().unwrap().servers[&main].view.resync_request, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_changes_in_a_second_end_in_few_writes() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("changes").await;
    cluster.apply(&list([server(&namespace), secret(&namespace, "hush"), policy(&namespace, "a", &namespace)])).await;
    let room = Room::of(cluster, &[&namespace]).await;
    let _engine = room.enforce();
    ready(cluster, &namespace, "rpol/a", "True:Enforced").await;
    let writes = room.writes();
    let policies: kube::Api<usher::api::RoomPolicy> = kube::Api::namespaced(cluster.client().await, &namespace);
    let started = Instant::now();
    for priority in 1..=50 {
        let patch = kube::api::Patch::Merge(json!({"spec": {"priority": priority}}));
        policies.patch("a", &Default::default(), &patch).await.unwrap();
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    eventually(SOON, "the last generation is observed", async || {
        let observed = field(cluster, &namespace, "rpol/a", ".status.observedGeneration").await;
        if observed == "51" { Ok(()) } else { Err(observed) }
    })
    .await;
    let writes = room.writes() - writes;
    println!("{writes} writes for 50 changes in {:?}", started.elapsed());
    // Two a second, beside the first and the last.
    assert!(u128::from(writes) <= 3 + started.elapsed().as_millis() / 500, "{writes}");
}
