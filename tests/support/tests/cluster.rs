//! The control plane: it starts, guards access, and keeps its data through restarts.

#![allow(clippy::expect_used, clippy::panic)]

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use usher_testkit::{Cluster, ClusterOptions, eventually};

const SOON: Duration = Duration::from_secs(30);

fn config_map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        data: Some(BTreeMap::from([("key".to_owned(), "value".to_owned())])),
        ..ConfigMap::default()
    }
}

fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// Two tests ask for the shared one, each from its own runtime, and both use it after the other's may have ended.
async fn objects_come_and_go() {
    let start = Instant::now();
    let cluster = Cluster::shared().await;
    println!("shared cluster after {:?}", start.elapsed());
    let namespace = cluster.namespace("crud").await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client().await, &namespace);
    maps.create(&PostParams::default(), &config_map("one")).await.expect("created");
    let read = maps.get("one").await.expect("read");
    assert_eq!(read.data.expect("it has data")["key"], "value");
    maps.delete("one", &DeleteParams::default()).await.expect("deleted");
    assert!(
        maps.list(&ListParams::default())
            .await
            .expect("listed")
            .items
            .iter()
            .all(|map| map.metadata.name.as_deref() != Some("one"))
    );
}

#[tokio::test]
async fn the_shared_cluster_serves_one_test() {
    objects_come_and_go().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shared_cluster_serves_another_test_with_its_own_runtime() {
    objects_come_and_go().await;
}

#[tokio::test]
async fn a_service_account_may_do_what_its_role_says_and_no_more() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("rbac").await;
    let kubeconfig = cluster.kubeconfig_for_service_account(&namespace, "reader").await;
    let client: Client = cluster.client_with(&kubeconfig).await;
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    assert_eq!(maps.list(&ListParams::default()).await.map(drop).map_err(|error| code(&error)), Err(Some(403)));

    let role = format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {{name: read, namespace: {namespace}}},
           rules: [{{apiGroups: [''], resources: [configmaps], verbs: [get, list]}}]}}"
    );
    cluster.apply(&role).await;
    let subject = format!("--serviceaccount={namespace}:reader");
    cluster.kubectl(&["-n", &namespace, "create", "rolebinding", "read", "--role=read", &subject], None).await.ok();
    // Authorisation follows its watch of the roles.
    eventually(SOON, "the role to hold", async || maps.list(&ListParams::default()).await).await;
    let created = maps.create(&PostParams::default(), &config_map("one")).await;
    assert_eq!(created.map(drop).map_err(|error| code(&error)), Err(Some(403)));

    let said = cluster.kubectl_with(&kubeconfig, &["create", "configmap", "two"], None).await.refused();
    assert!(said.contains("Forbidden") || said.contains("forbidden"), "{said}");
}

#[tokio::test]
async fn the_controllers_of_the_shared_cluster_work() {
    let start = Instant::now();
    let cluster = Cluster::shared().await;
    println!("shared cluster after {:?}", start.elapsed());
    let namespace = cluster.namespace("controllers").await;
    let client = cluster.client().await;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
    eventually(SOON, "the ServiceAccount default", async || accounts.get("default").await).await;

    let namespaces: Api<Namespace> = Api::all(client);
    namespaces.delete(&namespace, &DeleteParams::default()).await.expect("deleted");
    eventually(SOON, "the namespace to be gone", async || match namespaces.get_opt(&namespace).await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    println!("namespace gone {:?} after the start", start.elapsed());
}

#[tokio::test]
async fn a_restarted_api_server_and_etcd_keep_data_and_addresses() {
    let start = Instant::now();
    let cluster = Cluster::start(ClusterOptions { audit: true, ..ClusterOptions::default() }).await;
    println!("private cluster after {:?}", start.elapsed());
    // One client throughout: what it is connected to comes back on the same port.
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client().await, "default");
    maps.create(&PostParams::default(), &config_map("kept")).await.expect("created");

    cluster.api_server().kill().await;
    assert!(maps.get("kept").await.is_err());
    let start = Instant::now();
    cluster.api_server().start().await;
    println!("API server back after {:?}", start.elapsed());
    maps.get("kept").await.expect("the data are kept");

    cluster.etcd().kill().await;
    let write = async || maps.create(&PostParams::default(), &config_map("lost")).await;
    let written = tokio::time::timeout(Duration::from_secs(2), write()).await;
    assert!(!matches!(written, Ok(Ok(_))), "{written:?}");
    cluster.etcd().start().await;
    eventually(SOON, "writes to work again", async || {
        maps.create(&PostParams::default(), &config_map(&format!("new-{:x}", fastrand::u32(..)))).await
    })
    .await;
    maps.get("kept").await.expect("the data are kept");

    let writes = cluster
        .audit_log()
        .iter()
        .filter(|event| event["verb"] == "create" && event["objectRef"]["name"] == "kept")
        .count();
    assert_eq!(writes, 1);
}

#[tokio::test]
async fn a_frozen_api_server_answers_when_it_thaws() {
    let cluster = Cluster::start(ClusterOptions::default()).await;
    let namespaces: Api<Namespace> = Api::all(cluster.client().await);
    cluster.api_server().freeze();
    let asked = tokio::time::timeout(Duration::from_millis(500), namespaces.get("default")).await;
    assert!(asked.is_err(), "{asked:?}");
    cluster.api_server().thaw();
    eventually(SOON, "an answer", async || namespaces.get("default").await).await;
}

#[tokio::test]
async fn kubectl_reads_its_input_and_tells_its_version() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("kubectl").await;
    let manifest = serde_json::to_string(&config_map("from-input")).expect("it is JSON");
    cluster.kubectl(&["-n", &namespace, "apply", "-f", "-"], Some(&manifest)).await.ok();
    let names = cluster.kubectl(&["-n", &namespace, "get", "configmap", "from-input", "-o", "name"], None).await.ok();
    assert_eq!(names.trim(), "configmap/from-input");
    let version = cluster.kubectl(&["version"], None).await.ok();
    assert!(version.contains("v1.36"), "{version}");
}
