//! Leader election at a real API server, by no more rights than the README names.

use std::{path::Path, sync::Arc};

use k8s_openapi::api::coordination::v1::LeaseSpec;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};
use usher::{
    engine::{Leadership, Role},
    kubernetes::{
        self,
        lease::{Candidacy, elect},
    },
    metrics::Metrics,
};
use usher_testkit::{Cluster, eventually};

use crate::room::{SOON, list};

struct Candidate {
    leadership: Leadership,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Candidate {
    async fn start(kubeconfig: &Path, namespace: &str, identity: &str) -> Self {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let client = kubernetes::client(config).unwrap();
        let candidacy =
            Candidacy { namespace: namespace.to_owned(), name: "usher".to_owned(), identity: identity.to_owned() };
        let (sender, leadership) = Leadership::elected();
        let (stop, stopped) = watch::channel(false);
        let ready = watch::channel(true).1;
        let task = tokio::spawn(elect(candidacy, client, sender, ready, stopped, Arc::new(Metrics::new())));
        Self { leadership, stop, task }
    }

    async fn until(&self, role: Role) {
        eventually(SOON, &format!("{role:?}"), async || {
            let is = self.leadership.role();
            if is == role { Ok(()) } else { Err(format!("{is:?}")) }
        })
        .await;
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

/// A ServiceAccount without rights to the Lease, until [`permit`].
async fn account(cluster: &Cluster, namespace: &str) -> std::path::PathBuf {
    let rbac = "rbac.authorization.k8s.io";
    let binding = json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": {"name": "usher", "namespace": namespace},
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "usher"},
        "subjects": [{"kind": "ServiceAccount", "name": "usher", "namespace": namespace}],
    });
    cluster.apply(&list([binding])).await;
    cluster.kubeconfig_for_service_account(namespace, "usher").await
}

async fn permit(cluster: &Cluster, namespace: &str) {
    let (groups, resources) = (["coordination.k8s.io"], ["leases"]);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "usher", "namespace": namespace},
        "rules": [
            {"apiGroups": groups, "resources": resources, "verbs": ["create"]},
            {"apiGroups": groups, "resources": resources, "resourceNames": ["usher"], "verbs": ["get", "list", "watch", "update"]},
        ],
    });
    cluster.apply(&list([role])).await;
}

async fn lease(cluster: &Cluster, namespace: &str) -> LeaseSpec {
    let args = ["-n", namespace, "get", "lease", "usher", "-o", "jsonpath={.spec}"];
    serde_json::from_str(&cluster.kubectl(&args, None).await.ok()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_with_the_rights_of_the_readme_takes_and_gives_back_the_lease() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("lease").await;
    let kubeconfig = account(cluster, &namespace).await;
    let first = Candidate::start(&kubeconfig, &namespace, "first").await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(first.leadership.role(), Role::Follower, "it may not");
    permit(cluster, &namespace).await;
    first.until(Role::Holder).await;
    let second = Candidate::start(&kubeconfig, &namespace, "second").await;
    let taken = lease(cluster, &namespace).await;
    assert_eq!(taken.holder_identity.as_deref(), Some("first"));
    assert_eq!((taken.lease_duration_seconds, taken.lease_transitions), (Some(15), Some(0)));
    eventually(SOON, "a renewal", async || {
        let now = lease(cluster, &namespace).await;
        if now.renew_time > taken.renew_time { Ok(()) } else { Err("not yet") }
    })
    .await;
    assert_eq!((first.leadership.role(), second.leadership.role()), (Role::Holder, Role::Follower));

    first.end().await;
    second.until(Role::Holder).await;
    let taken = lease(cluster, &namespace).await;
    assert_eq!((taken.holder_identity.as_deref(), taken.lease_transitions), (Some("second"), Some(1)));
    second.end().await;
    let given = lease(cluster, &namespace).await;
    assert_eq!((given.holder_identity.unwrap_or_default().as_str(), given.lease_duration_seconds), ("", Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_candidates_one_leads_and_a_deleted_lease_is_made_again() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("lease").await;
    let mut candidates = Vec::new();
    for identity in ["a", "b", "c", "d"] {
        candidates.push(Candidate::start(cluster.kubeconfig(), &namespace, identity).await);
    }
    for round in 0..2 {
        eventually(SOON, "one leads", async || {
            let leaders = candidates.iter().filter(|one| one.leadership.role() == Role::Holder).count();
            assert!(leaders <= 1 || round > 0, "{leaders} lead");
            if leaders == 1 { Ok(()) } else { Err(leaders) }
        })
        .await;
        cluster.kubectl(&["-n", &namespace, "delete", "lease", "usher"], None).await.ok();
    }
    for candidate in candidates {
        candidate.end().await;
    }
}
