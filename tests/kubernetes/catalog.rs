//! From `kubectl apply` to the catalog.

use std::time::{Duration, Instant};

use serde_json::json;
use usher::policy::{ObjectName, Reach};
use usher_testkit::{Cluster, ClusterOptions, eventually};

use crate::room::{Room, SOON, list, policy, ready, secret, server};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_applied_is_in_the_catalog() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("catalog").await;
    let room = Room::of(cluster, &[&namespace]).await;
    room.readiness.subscribe().wait_for(|ready| *ready).await.unwrap();
    assert!(room.now().unwrap().servers.is_empty());

    cluster.apply(&list([server(&namespace), secret(&namespace, "hush"), policy(&namespace, "a", &namespace)])).await;
    let main = ObjectName::new(&namespace, "main");
    room.policies(&main, &["a"]).await;

    let client = cluster.client().await;
    let policies: kube::Api<usher::api::RoomPolicy> = kube::Api::namespaced(client, &namespace);
    let object = serde_json::from_value(policy(&namespace, "b", &namespace)).unwrap();
    let started = Instant::now();
    policies.create(&Default::default(), &object).await.unwrap();
    let created = started.elapsed();
    room.policies(&main, &["a", "b"]).await;
    let seen = started.elapsed();
    println!("create answered after {created:?}, in the catalog after {seen:?}");

    cluster.kubectl(&["-n", &namespace, "delete", "rpol", "a", "b"], None).await.ok();
    room.policies(&main, &[]).await;
    room.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn access_follows_labels_of_namespaces_at_once() {
    let cluster = Cluster::start(ClusterOptions::default()).await;
    cluster.apply_crds().await;
    let (home, team) = (cluster.namespace("home").await, cluster.namespace("team").await);
    let mut main = server(&home);
    main["spec"]["access"] = json!([{
        "name": "teams", "namespaces": {"selector": {"matchLabels": {"team": "yes"}}}, "rooms": [{"prefix": "room-"}],
    }]);
    cluster.apply(&list([main, secret(&home, "hush"), policy(&team, "a", &home)])).await;
    let room = Room::of(&cluster, &[]).await;
    ready(&cluster, &team, "rpol/a", "False:NotPermitted").await;

    cluster.kubectl(&["label", "namespace", &team, "team=yes"], None).await.ok();
    let main = ObjectName::new(&home, "main");
    room.policies(&main, &["a"]).await;
    let catalog = room.now().unwrap();
    assert!(matches!(catalog.servers[&main].view.policies.members()[0].reach, Reach::Granted(_)));
    cluster.kubectl(&["label", "namespace", &team, "team-"], None).await.ok();
    room.policies(&main, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_kinds_are_waited_for_and_strange_objects_stop_no_others() {
    let cluster = Cluster::start(ClusterOptions::default()).await;
    let namespace = cluster.namespace("strange").await;
    let room = Room::of(&cluster, &[]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(room.now().is_none() && !room.readiness.is_ready());

    cluster.apply_crds().await;
    let started = Instant::now();
    room.readiness.subscribe().wait_for(|ready| *ready).await.unwrap();
    println!("ready {:?} after the CRDs were known to be served", started.elapsed());

    // An older schema, by which anything could be written.
    let loose = json!([{
        "op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec",
        "value": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }]);
    let patch = loose.to_string();
    cluster.kubectl(&["patch", "crd", "roompolicies.usher.dev", "--type=json", "-p", &patch], None).await.ok();
    let mut strange = policy(&namespace, "strange", &namespace);
    strange["spec"]["rules"] = json!("all of them");
    let strange = list([strange]);
    eventually(SOON, "the loose schema is served", async || {
        let output = cluster.kubectl(&["apply", "-f", "-"], Some(&strange)).await;
        if output.success { Ok(()) } else { Err(output.stderr) }
    })
    .await;
    cluster.apply(&list([server(&namespace), secret(&namespace, "hush"), policy(&namespace, "a", &namespace)])).await;
    room.policies(&ObjectName::new(&namespace, "main"), &["a"]).await;
    ready(&cluster, &namespace, "rpol/strange", "False:Invalid").await;

    // The same for a list instead of a watch.
    let another = Room::of(&cluster, &[]).await;
    another.policies(&ObjectName::new(&namespace, "main"), &["a"]).await;
    let line = another.now().unwrap().servers[&ObjectName::new(&namespace, "main")].view.policies.line("room-a");
    assert!(line.unwrap().unknown_from.is_some());
}
