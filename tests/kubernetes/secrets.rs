//! Secrets: changed, gone, forbidden, permitted.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use usher::{engine::Catalog, livekit::Client, policy::ObjectName};
use usher_testkit::{Cluster, ClusterOptions, eventually};

use crate::room::{Room, SOON, field, list, policy, ready, secret, server};

/// Waits until a server has another client than it had.
async fn another_client(room: &Room, server: &ObjectName, before: &Catalog<Client>) {
    eventually(SOON, "a new client", async || {
        let now = room.now().unwrap();
        let same = Arc::ptr_eq(&now.servers[server].view.service, &before.servers[server].view.service);
        if same { Err("still the old one") } else { Ok(()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_secret_takes_effect_at_once() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("secrets").await;
    cluster.apply(&list([server(&namespace), secret(&namespace, "one"), policy(&namespace, "a", &namespace)])).await;
    let room = Room::of(cluster, &[&namespace]).await;
    let main = ObjectName::new(&namespace, "main");
    room.policies(&main, &["a"]).await;
    let before = room.now().unwrap();

    cluster.apply(&list([secret(&namespace, "two")])).await;
    another_client(&room, &main, &before).await;
    room.policies(&main, &["a"]).await;

    cluster.kubectl(&["-n", &namespace, "delete", "secret", "keys"], None).await.ok();
    ready(cluster, &namespace, "lks/main", "False:SecretNotFound").await;
    ready(cluster, &namespace, "rpol/a", "False:SecretNotFound").await;
    assert!(room.now().unwrap().servers.is_empty());
    cluster.apply(&list([secret(&namespace, "")])).await;
    ready(cluster, &namespace, "lks/main", "False:SecretInvalid").await;
    cluster.apply(&list([secret(&namespace, "three")])).await;
    room.policies(&main, &["a"]).await;
}

/// A ServiceAccount with rights to our kinds and to nothing else.
async fn restricted(cluster: &Cluster, namespace: &str) -> std::path::PathBuf {
    let meta = json!({"name": "usher", "namespace": namespace});
    let rbac = "rbac.authorization.k8s.io";
    cluster
        .apply(&list([
            json!({
                "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": meta,
                "rules": [
                    {"apiGroups": ["usher.dev"], "resources": ["*"], "verbs": ["list", "watch"]},
                    {"apiGroups": ["usher.dev"], "resources": ["livekitservers/status", "roompolicies/status"], "verbs": ["patch"]},
                    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
                ],
            }),
            json!({
                "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": meta,
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "usher"},
                "subjects": [{"kind": "ServiceAccount", "name": "usher", "namespace": namespace}],
            }),
        ]))
        .await;
    cluster.kubeconfig_for_service_account(namespace, "usher").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_secret_is_a_condition_whose_message_repairs_it() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("forbidden").await;
    let kubeconfig = restricted(cluster, &namespace).await;
    cluster.apply(&list([server(&namespace), secret(&namespace, "one"), policy(&namespace, "a", &namespace)])).await;
    let room = Room::with(&kubeconfig, &[&namespace]).await;
    let _engine = room.enforce();
    let started = Instant::now();
    ready(cluster, &namespace, "rpol/a", "False:SecretForbidden").await;
    println!("SecretForbidden after {:?}", started.elapsed());
    assert!(room.readiness.is_ready());
    let stalled = field(cluster, &namespace, "rpol/a", r#".status.conditions[?(@.type=="Stalled")].status"#).await;
    assert_eq!(stalled, "");

    // What the message says to do, done.
    let message = field(cluster, &namespace, "lks/main", r#".status.conditions[?(@.type=="Ready")].message"#).await;
    let (_, commands) = message.split_once("Permit it with: ").expect("a command in the message");
    for command in commands.split(" && ") {
        let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
        cluster.kubectl(&arguments, None).await.ok();
    }
    let permitted = Instant::now();
    room.policies(&ObjectName::new(&namespace, "main"), &["a"]).await;
    println!("permitted is noticed after {:?}", permitted.elapsed());
    ready(cluster, &namespace, "rpol/a", "True:Enforced").await;
    ready(cluster, &namespace, "lks/main", "True:Enforced").await;

    let events = cluster.kubectl(&["-n", &namespace, "get", "events", "-o", "json"], None).await.ok();
    assert!(events.contains("SecretForbidden") && events.contains("Recover"), "{events}");
    assert!(!events.contains("\"one\""), "{events}");
}

/// As an API server does that has just started and has not yet read the roles.
#[tokio::test(flavor = "multi_thread")]
async fn a_moment_without_the_right_says_and_changes_nothing_and_longer_is_said() {
    let cluster = Cluster::start(ClusterOptions::default()).await;
    cluster.apply_crds().await;
    let namespace = cluster.namespace("withdrawn").await;
    let kubeconfig = restricted(&cluster, &namespace).await;
    let secrets = ["-n", &namespace, "create", "role", "reads", "--verb=list,watch", "--resource=secrets"];
    cluster.kubectl(&secrets, None).await.ok();
    let account = format!("--serviceaccount={namespace}:usher");
    let bind = ["-n", &namespace, "create", "rolebinding", "reads", "--role=reads", &account];
    let unbind = ["-n", &namespace, "delete", "rolebinding", "reads"];
    cluster.kubectl(&bind, None).await.ok();
    cluster.apply(&list([server(&namespace), secret(&namespace, "one"), policy(&namespace, "a", &namespace)])).await;
    let room = Room::with(&kubeconfig, &[&namespace]).await;
    let _engine = room.enforce();
    ready(&cluster, &namespace, "lks/main", "True:Enforced").await;
    ready(&cluster, &namespace, "rpol/a", "True:Enforced").await;
    // A write is counted when its answer has come.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, writes) = (room.now().unwrap(), room.writes());

    // A watch that goes on is not asked for its rights; one that begins is.
    cluster.kubectl(&unbind, None).await.ok();
    cluster.api_server().restart().await;
    let whoami = format!("--as=system:serviceaccount:{namespace}:usher");
    let can = cluster.kubectl(&["-n", &namespace, "auth", "can-i", "list", "secrets", &whoami], None).await;
    assert_eq!(can.stdout.trim(), "no");
    tokio::time::sleep(Duration::from_secs(8)).await;
    cluster.kubectl(&bind, None).await.ok();
    cluster.apply(&list([secret(&namespace, "two")])).await;
    let main = ObjectName::new(&namespace, "main");
    another_client(&room, &main, &before).await;
    assert_eq!(room.writes(), writes);

    cluster.kubectl(&unbind, None).await.ok();
    let withdrawn = Instant::now();
    cluster.api_server().restart().await;
    eventually(Duration::from_secs(120), "the condition", async || {
        let reason = field(&cluster, &namespace, "lks/main", r#".status.conditions[?(@.type=="Ready")].reason"#).await;
        if reason == "SecretForbidden" { Ok(()) } else { Err(reason) }
    })
    .await;
    assert!(withdrawn.elapsed() > Duration::from_secs(60), "{:?}", withdrawn.elapsed());
    room.policies(&main, &["a"]).await;
    ready(&cluster, &namespace, "rpol/a", "True:Enforced").await;
}
