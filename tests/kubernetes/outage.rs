//! The API server goes and comes back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use usher::policy::ObjectName;
use usher_testkit::{Cluster, ClusterOptions};

use crate::room::{Room, list, policy, ready, secret, server};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_stays_while_the_api_server_is_away() {
    let cluster = Cluster::start(ClusterOptions::default()).await;
    cluster.apply_crds().await;
    let namespace = cluster.namespace("outage").await;
    cluster.apply(&list([server(&namespace), secret(&namespace, "hush"), policy(&namespace, "a", &namespace)])).await;
    let room = Room::of(&cluster, &[]).await;
    let _engine = room.enforce();
    ready(&cluster, &namespace, "rpol/a", "True:Enforced").await;
    let before = room.now().unwrap();

    cluster.api_server().kill().await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(Arc::ptr_eq(&before, &room.now().unwrap()));
    assert!(room.readiness.is_ready());

    cluster.api_server().start().await;
    let started = Instant::now();
    cluster.apply(&list([policy(&namespace, "b", &namespace)])).await;
    let applied = started.elapsed();
    room.policies(&ObjectName::new(&namespace, "main"), &["a", "b"]).await;
    println!("applied {applied:?} and seen {:?} after the API server was back", started.elapsed());
    ready(&cluster, &namespace, "rpol/b", "True:Enforced").await;

    // What was deleted while nobody watched is gone as well.
    cluster.etcd().restart().await;
    cluster.api_server().ready().await;
    cluster.kubectl(&["-n", &namespace, "delete", "rpol", "a"], None).await.ok();
    room.policies(&ObjectName::new(&namespace, "main"), &["b"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_api_server_stops_nothing() {
    let cluster = Cluster::start(ClusterOptions::default()).await;
    cluster.apply_crds().await;
    let namespace = cluster.namespace("frozen").await;
    cluster.apply(&list([server(&namespace), secret(&namespace, "hush"), policy(&namespace, "a", &namespace)])).await;
    let room = Room::of(&cluster, &[]).await;
    room.policies(&ObjectName::new(&namespace, "main"), &["a"]).await;
    cluster.api_server().freeze();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(room.now().unwrap().servers.len(), 1);
    cluster.api_server().thaw();
    cluster.api_server().ready().await;
    cluster.apply(&list([policy(&namespace, "b", &namespace)])).await;
    room.policies(&ObjectName::new(&namespace, "main"), &["a", "b"]).await;
    room.stop().await;
}
