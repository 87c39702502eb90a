//! The room under test, with a namespace and an engine of the test's own.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use usher::{
    api::Features,
    engine::{Catalog, Health, Leadership, LeadershipSender, PolicyReport, Reports, ServerReport},
    kubernetes::{self, Options, Readiness, Wires},
    livekit::Client,
    metrics::Metrics,
    policy::{Counts, ObjectName, Policy, Samples},
};
use usher_testkit::{Cluster, eventually};

/// Long enough that only what never comes is not waited for.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The room, running.
pub(crate) struct Room {
    pub(crate) catalog: watch::Receiver<Option<Arc<Catalog<Client>>>>,
    pub(crate) reports: watch::Sender<Reports>,
    /// The room leads until the test says otherwise.
    pub(crate) leader: LeadershipSender,
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Arc<Metrics>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    /// How many catalogs have been published.
    pub(crate) published: Arc<AtomicUsize>,
    counter: JoinHandle<()>,
}

impl Room {
    /// For these namespaces, as administrator; for none, for all.
    pub(crate) async fn of(cluster: &Cluster, namespaces: &[&str]) -> Self {
        Self::with(cluster.kubeconfig(), namespaces).await
    }

    /// As whoever a kubeconfig is for.
    pub(crate) async fn with(kubeconfig: &Path, namespaces: &[&str]) -> Self {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let client = kubernetes::client(config).unwrap();
        let options =
            Options { namespaces: namespaces.iter().map(|&name| name.to_owned()).collect(), ..Options::default() };
        let (catalog, catalogs) = watch::channel(None);
        let (reports, reported) = watch::channel(Reports::default());
        let (leader, leadership) = Leadership::elected();
        leader.hold_until(Instant::now() + Duration::from_secs(86_400));
        let (stop, stopped) = watch::channel(false);
        let (readiness, metrics) = (Readiness::new(), Arc::new(Metrics::new()));
        let wires = Wires {
            catalog,
            reports: reported,
            // Nothing is done to anybody here.
            deeds: tokio::sync::mpsc::channel(1).1,
            leadership,
            stop: stopped,
            readiness: readiness.clone(),
            metrics: Arc::clone(&metrics),
        };
        let task = tokio::spawn(async move { kubernetes::run(options, client, wires).await.unwrap() });
        let published = Arc::new(AtomicUsize::new(0));
        let counter = tokio::spawn({
            let (mut catalogs, published) = (catalogs.clone(), Arc::clone(&published));
            async move {
                while catalogs.changed().await.is_ok() {
                    catalogs.borrow_and_update();
                    published.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { catalog: catalogs, reports, leader, readiness, metrics, stop, task, published, counter }
    }

    /// The catalog; `None` as long as nothing may be done.
    pub(crate) fn now(&self) -> Option<Arc<Catalog<Client>>> {
        self.catalog.borrow().clone()
    }

    /// Waits until the catalog holds this much of a server: its policies by name.
    pub(crate) async fn policies(&self, server: &ObjectName, wanted: &[&str]) -> Vec<Arc<Policy>> {
        eventually(SOON, "the policies in the catalog", async || {
            let catalog = self.now().ok_or("there is no catalog")?;
            let server = catalog.servers.get(server).ok_or("the server is not in it")?;
            let policies: Vec<_> = server.view.policies.members().iter().map(|one| one.policy.clone()).collect();
            let names: Vec<_> = policies.iter().map(|policy| policy.name.name.to_string()).collect();
            if names == wanted { Ok(policies) } else { Err(format!("{names:?}")) }
        })
        .await
    }

    /// Plays an engine for which everything is as declared.
    pub(crate) fn enforce(&self) -> JoinHandle<()> {
        let (mut catalog, reports) = (self.catalog.clone(), self.reports.clone());
        catalog.mark_changed();
        tokio::spawn(async move {
            while catalog.changed().await.is_ok() {
                let Some(now) = catalog.borrow_and_update().clone() else { continue };
                reports.send_replace(settled(&now));
            }
        })
    }

    /// How often a status has been written.
    pub(crate) fn writes(&self) -> u64 {
        self.metrics.status_writes.get()
    }

    /// Stops it and waits until it has stopped.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        tokio::time::timeout(Duration::from_secs(5), &mut self.task)
            .await
            .expect("it stops")
            .expect("it did not panic");
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.task.abort();
        self.counter.abort();
    }
}

/// Reports by which everything is as declared.
pub(crate) fn settled(catalog: &Catalog<Client>) -> Reports {
    let report = |policy: &Arc<Policy>| PolicyReport {
        policy: Arc::clone(policy),
        settled: true,
        counts: Counts { rooms: 1, participants: 2, compliant: 2, ..Counts::default() },
        overridden_by: None,
        failure: None,
        remote_unmute_disabled: false,
        samples: Samples::default(),
    };
    let of_server = |server: &usher::engine::Server<Client>| {
        let policies: BTreeMap<_, _> = (server.view.policies.members().iter())
            .map(|member| (member.policy.name.clone(), report(&member.policy)))
            .collect();
        ServerReport {
            health: Health::Good,
            features: Features::default(),
            rooms: 1,
            participants: 2,
            resynced_at: None,
            resync_done: server.view.resync_request,
            stretched: None,
            policies,
            transfers: BTreeMap::new(),
        }
    };
    catalog.servers.iter().map(|(name, server)| (name.clone(), Arc::new(of_server(server)))).collect()
}

/// A Secret with keys.
pub(crate) fn secret(namespace: &str, secret: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": namespace},
        "stringData": {"LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": secret},
    })
}

/// A server `main`.
pub(crate) fn server(namespace: &str) -> Value {
    json!({
        "apiVersion": "usher.dev/v1alpha1", "kind": "LiveKitServer",
        "metadata": {"name": "main", "namespace": namespace},
        "spec": {"url": format!("ws://{namespace}:7880"), "credentials": {"secretRef": {"name": "keys"}}},
    })
}

/// A policy on the server `main` of another or the same namespace.
pub(crate) fn policy(namespace: &str, name: &str, server: &str) -> Value {
    json!({
        "apiVersion": "usher.dev/v1alpha1", "kind": "RoomPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "serverRef": {"name": "main", "namespace": server},
            "rooms": [{"exact": format!("room-{name}")}],
            "rules": [{"name": "quiet", "set": {"permission": {"canPublish": false}}}],
        },
    })
}

/// One List of objects, as kubectl takes it.
pub(crate) fn list(objects: impl IntoIterator<Item = Value>) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": objects.into_iter().collect::<Vec<_>>()}).to_string()
}

/// What is at a path in an object.
pub(crate) async fn field(cluster: &Cluster, namespace: &str, object: &str, path: &str) -> String {
    let path = format!("jsonpath={{{path}}}");
    cluster.kubectl(&["-n", namespace, "get", object, "-o", &path], None).await.ok()
}

/// Waits until Ready of an object has this status and reason.
pub(crate) async fn ready(cluster: &Cluster, namespace: &str, object: &str, wanted: &str) {
    let ready = r#".status.conditions[?(@.type=="Ready")]"#;
    eventually(SOON, &format!("{object} {wanted}"), async || {
        let found = format!(
            "{}:{}",
            field(cluster, namespace, object, &format!("{ready}.status")).await,
            field(cluster, namespace, object, &format!("{ready}.reason")).await
        );
        if found == wanted { Ok(()) } else { Err(found) }
    })
    .await;
}
