//! Upgraded, uninstalled, installed again: nothing is lost, and nothing hangs.

use std::{collections::BTreeMap, path::PathBuf, process::Command, time::Duration};

use serde_json::{Value, json};
use tokio::time::timeout;
use usher_testkit::{
    Cluster, ClusterOptions, LiveKit, LiveKitOptions, Operator, Release, eventually, free_port, scratch,
};

use crate::{SOON, audit, kubelet::run_pod, stage::object};

/// What hangs for longer hangs.
const WITHOUT_HANGING: Duration = Duration::from_secs(150);
const NAMESPACE: &str = "usher";
const OBJECTS: [&str; 4] = ["lks/main", "rpol/house", "pfwd/overflow", "pmov/admit"];

/// A release named usher, and objects of each kind.
struct Stage {
    cluster: Cluster,
    release: Release,
    operator: Option<Operator>,
    livekit: LiveKit,
    ports: [u16; 2],
}

impl Stage {
    async fn set(chart: PathBuf, keep: bool) -> Self {
        let options = ClusterOptions { controller_manager: true, audit: true, ..ClusterOptions::default() };
        let cluster = Cluster::start(options).await;
        cluster.kubectl(&["create", "namespace", NAMESPACE], None).await.ok();
        let ports = [free_port(), free_port()];
        let release = cluster.install_chart_at(&chart, NAMESPACE, "usher", &values(ports, keep)).await;
        let livekit = LiveKit::start(LiveKitOptions::default()).await;
        let mut stage = Self { cluster, release, operator: None, livekit, ports };
        stage.run().await;
        stage.declare().await;
        stage
    }

    /// Applies the objects and waits until they are ready.
    async fn declare(&self) {
        self.cluster.apply(&self.livekit.manifests(NAMESPACE, &self.livekit.url(), "5s")).await;
        let server = json!({"name": "main"});
        let source = json!({"rooms": [{"exact": "hall"}], "match": {"identities": [{"exact": "nobody"}]}});
        let rules = json!([{"name": "quiet", "set": {"permission": {"canPublish": false}}}]);
        for (kind, name, spec) in [
            ("RoomPolicy", "house", json!({"serverRef": server, "rooms": [{"exact": "hall"}], "rules": rules})),
            (
                "ParticipantForward",
                "overflow",
                json!({"serverRef": server, "source": source, "destinationRooms": ["x"]}),
            ),
            ("ParticipantMove", "admit", json!({"serverRef": server, "source": source, "destinationRoom": "y"})),
        ] {
            self.cluster.apply(&object(kind, NAMESPACE, name, spec)).await;
        }
        self.all_ready().await;
        self.has_finalizer(true).await;
    }

    /// Runs the operator as the release has it now.
    async fn run(&mut self) {
        self.operator = None;
        let container = self.release.container(&self.cluster).await;
        let kubeconfig = self.cluster.kubeconfig_for_service_account(NAMESPACE, &container.service_account).await;
        let binary = env!("CARGO_BIN_EXE_usher").as_ref();
        self.operator = Some(Operator::start_container(binary, &kubeconfig, &container).await);
    }

    /// Ends the operator, as its Pod ends.
    async fn end(&mut self) {
        if let Some(operator) = self.operator.take() {
            operator.terminate(Duration::from_secs(15)).await.expect("it ends");
        }
    }

    async fn all_ready(&self) {
        for object in OBJECTS {
            let args = ["-n", NAMESPACE, "wait", "--for=condition=Ready", "--timeout=45s", object];
            self.cluster.kubectl(&args, None).await.ok();
        }
    }

    async fn has_finalizer(&self, expected: bool) {
        let has = async || {
            let args = ["-n", NAMESPACE, "get", "pfwd/overflow", "-o", "jsonpath={.metadata.finalizers}"];
            let finalizers = self.cluster.kubectl(&args, None).await.ok();
            if finalizers.contains("usher.dev/") == expected { Ok(()) } else { Err(finalizers) }
        };
        eventually(SOON, "the finalizer", has).await;
    }

    /// Every object as it is declared, and which object it is.
    async fn declared(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for object in OBJECTS {
            let object = self.cluster.kubectl(&["-n", NAMESPACE, "get", object, "-o", "json"], None).await.ok();
            let mut object: Value = serde_json::from_str(&object).expect("kubectl writes JSON");
            all.push(json!([object["metadata"]["uid"].take(), object["spec"].take()]));
        }
        all
    }

    /// `helm uninstall`, with somebody who runs the Job that it waits for.
    async fn uninstall(&self) {
        let args = ["uninstall", "usher", "-n", NAMESPACE, "--wait", "--timeout=140s"];
        let addresses = BTreeMap::new();
        let cleaned = async {
            let finished = run_pod(&self.cluster, NAMESPACE, "cleanup", &addresses).await;
            // Now, for its rights go with it.
            audit::needs_what_it_has(&self.cluster, NAMESPACE, "usher-cleanup").await;
            finished.tell().await;
            finished.log
        };
        let both = async { tokio::join!(self.cluster.helm(&args, None), cleaned) };
        let (said, log) = timeout(WITHOUT_HANGING, both).await.expect("it does not hang");
        said.ok();
        assert!(log.contains("ParticipantForwards deleted: "), "{log}");
        let left = ["get", "all,roles,rolebindings,serviceaccounts,leases", "-n", NAMESPACE, "-o", "name"];
        let left = self.cluster.kubectl(&left, None).await.ok();
        let ours = left.lines().filter(|line| line.contains("usher") && !line.contains("lease"));
        assert_eq!(ours.collect::<Vec<_>>(), Vec::<&str>::new());
    }

    async fn install(&mut self, keep: bool) {
        self.release = self.cluster.install_chart(NAMESPACE, "usher", &values(self.ports, keep)).await;
        self.run().await;
    }
}

fn values(ports: [u16; 2], keep: bool) -> Value {
    json!({
        "crds": {"keep": keep},
        "serverNamespaces": [{"namespace": NAMESPACE, "secrets": ["livekit-keys"]}],
        "listenAddress": "127.0.0.1",
        "containerPorts": {"webhooks": ports[0], "admin": ports[1]},
    })
}

/// The chart as it was before: older definitions, which lack a field.
fn older_chart() -> (tempfile::TempDir, PathBuf) {
    let folder = scratch("older-chart");
    let chart = folder.path().join("usher");
    let copied = Command::new("cp").arg("-r").arg(Release::chart()).arg(&chart).status();
    assert!(copied.expect("cp can be run").success());
    let change = |file: &str, change: &dyn Fn(String) -> String| {
        let path = chart.join(file);
        let text = std::fs::read_to_string(&path).expect("it is there");
        std::fs::write(&path, change(text)).expect("it can be written");
    };
    change("Chart.yaml", &|text| text.replace("\nversion: ", "\nversion: 0.0.1-before."));
    change("files/crds/usher.dev_participantmoves.yaml", &|text| {
        let mut crd: Value = serde_saphyr::from_str(&text).expect("it is YAML");
        let fields = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/source/properties";
        let fields = crd.pointer_mut(fields).and_then(Value::as_object_mut).expect("a source has fields");
        fields.remove(NEW_FIELD).expect("the field is there now");
        format!("---\n{}", serde_saphyr::to_string(&crd).expect("it can be written"))
    });
    (folder, chart)
}

const NEW_FIELD: &str = "trustSelfUpdates";

#[tokio::test]
async fn nothing_is_lost_by_an_upgrade_nor_by_going_and_coming_back() {
    let (_folder, older) = older_chart();
    let mut stage = Stage::set(older, true).await;
    let declared = stage.declared().await;
    let patch = json!({"spec": {"source": {NEW_FIELD: false}}}).to_string();
    let use_it =
        ["-n", NAMESPACE, "patch", "pmov/admit", "--type=merge", "-p", &patch, "--dry-run=server", "-o", "json"];
    let before = stage.cluster.kubectl(&use_it, None).await.ok();
    assert!(!before.contains(NEW_FIELD), "the older definition knows it: {before}");

    let chart = Release::chart();
    let chart = chart.to_str().expect("the path is text");
    let values_now = values(stage.ports, true).to_string();
    let upgrade = ["upgrade", "usher", chart, "-n", NAMESPACE, "-f", "-"];
    stage.cluster.helm(&upgrade, Some(&values_now)).await.ok();
    stage.run().await;
    assert_eq!(stage.declared().await, declared);
    let after = stage.cluster.kubectl(&use_it, None).await.ok();
    assert!(after.contains(NEW_FIELD), "the definition was not upgraded: {after}");
    stage.all_ready().await;

    // The operator still runs: it would put its finalizer back on, had it the right.
    stage.uninstall().await;
    assert_eq!(stage.declared().await, declared);
    stage.has_finalizer(false).await;
    stage.end().await;

    stage.install(true).await;
    stage.all_ready().await;
    stage.has_finalizer(true).await;
    assert_eq!(stage.declared().await, declared);

    stage.uninstall().await;
    stage.end().await;
    // Without an operator.
    let delete = ["-n", NAMESPACE, "delete", "--timeout=20s", "lks,rpol,pfwd,pmov", "--all"];
    stage.cluster.kubectl(&delete, None).await.ok();
}

#[tokio::test]
async fn definitions_that_are_not_kept_go_with_all_objects_whether_or_not_the_operator_runs() {
    let mut stage = Stage::set(Release::chart(), false).await;
    let definitions = ["get", "crd", "-o", "name"];
    // Its finalizer is on the forward, and nobody is there to take it off.
    stage.end().await;
    stage.uninstall().await;
    assert_eq!(stage.cluster.kubectl(&definitions, None).await.ok(), "");

    stage.install(false).await;
    stage.declare().await;
    stage.uninstall().await;
    assert_eq!(stage.cluster.kubectl(&definitions, None).await.ok(), "");
    stage.end().await;
}

#[tokio::test]
async fn helm_test_asks_the_operator_by_its_services() {
    let mut stage = Stage::set(Release::chart(), true).await;
    let [webhooks, admin] = stage.ports.map(|port| format!("127.0.0.1:{port}"));
    let service = |name: &str, port: u16| format!("{name}.{NAMESPACE}.svc:{port}");
    let addresses = BTreeMap::from([(service("usher", 80), webhooks), (service("usher-admin", stage.ports[1]), admin)]);
    let args = ["test", "usher", "-n", NAMESPACE, "--timeout=100s"];
    let asked = async {
        let finished = run_pod(&stage.cluster, NAMESPACE, "test", &addresses).await;
        finished.tell().await;
        finished.log
    };
    let (said, log) = tokio::join!(stage.cluster.helm(&args, None), asked);
    let said = said.ok();
    assert!(said.contains("Phase:") && said.contains("Succeeded"), "{said}");
    assert!(log.contains(": ready") && log.contains(": takes webhooks"), "{log}");
    // The Services lead where the Pods listen.
    let services = ["-n", NAMESPACE, "get", "services", "-o", "jsonpath={.items[*].spec.ports[*].targetPort}"];
    assert_eq!(stage.cluster.kubectl(&services, None).await.ok(), "webhooks admin");
    stage.end().await;
}

#[tokio::test]
async fn a_probe_says_what_is_wrong() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for (flag, expected) in [("--admin", "no answer"), ("--webhooks", "no answer")] {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_usher"))
            .args(["probe", flag, &nobody, "--timeout", "0s"])
            .output()
            .await
            .expect("it can be run");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{said}");
    }
}
