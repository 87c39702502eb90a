//! `usher suspend`, `resume` and `sync` on the real API server.

use serde_json::Value;
use usher::{
    livekit::Credentials,
    simulator::{Join, Options, Running},
};
use usher_testkit::{Cluster, Operator, OperatorOptions, eventually, free_port};

use crate::{
    manifests::{QUIET, SECRET, may_publish, policy, server},
    program::{Ended, SOON, USHER, launch},
};

/// A namespace with a server, a policy and an operator.
pub(crate) struct Stage {
    pub(crate) cluster: &'static Cluster,
    pub(crate) namespace: String,
    server: Running,
    /// Acts as long as it is held.
    _operator: Operator,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let cluster = Cluster::shared().await;
        let namespace = cluster.namespace("switch").await;
        let port = free_port();
        let running = Running::start(Options {
            keys: vec![Credentials::new("devkey", SECRET)],
            webhook_urls: vec![format!("http://127.0.0.1:{port}/webhooks/{namespace}/main")],
            ..Options::default()
        })
        .await
        .unwrap();
        let manifests = format!("{}---\n{}", server(&running.url()), policy("quiet", QUIET));
        cluster.kubectl(&["apply", "-n", &namespace, "-f", "-"], Some(&manifests)).await.ok();
        let options = OperatorOptions::new(USHER, cluster.kubeconfig()).http_port(port).namespace(&namespace);
        let operator = Operator::start(options).await;
        Self { cluster, namespace, server: running, _operator: operator }
    }

    async fn usher(&self, args: &[&str]) -> Ended {
        let launch = launch(args).env("KUBECONFIG", self.cluster.kubeconfig()).args(["-n", &self.namespace]);
        crate::program::Program::start(launch).ended().await
    }

    pub(crate) async fn get(&self, kind: &str, name: &str) -> Value {
        let args = ["get", kind, name, "-n", &self.namespace, "-o", "json"];
        serde_json::from_str(&self.cluster.kubectl(&args, None).await.ok()).unwrap()
    }
}

/// The reason of condition Ready.
fn reason(object: &Value) -> &str {
    let conditions = object["status"]["conditions"].as_array();
    let ready = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == "Ready"));
    ready.and_then(|ready| ready["reason"].as_str()).unwrap_or_default()
}

#[tokio::test]
async fn an_object_is_suspended_and_resumed() {
    let stage = Stage::set().await;
    let said = stage.usher(&["suspend", "roompolicy", "quiet", "--wait"]).await;
    assert!(said.status.success(), "{}", said.stderr);
    assert_eq!(said.stdout, format!("RoomPolicy {}/quiet suspended", stage.namespace));
    let object = stage.get("rpol", "quiet").await;
    assert_eq!((&object["spec"]["suspend"], reason(&object)), (&true.into(), "Suspended"));
    stage.server.simulator().join(Join::new("hall", "anna")).unwrap();

    let said = stage.usher(&["resume", "rpol/quiet", "--wait", "-o", "json"]).await;
    assert!(said.status.success(), "{}", said.stderr);
    let line: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((&line["name"], &line["done"]), (&"quiet".into(), &"resumed".into()));
    assert_eq!(stage.get("rpol", "quiet").await["spec"]["suspend"], false);
    eventually(SOON, "who came meanwhile is seen to", async || {
        let info = stage.server.simulator().participant("hall", "anna").unwrap();
        if may_publish(&info) { Err("not yet") } else { Ok(()) }
    })
    .await;
}

#[tokio::test]
async fn a_sync_waits_until_it_is_done() {
    let stage = Stage::set().await;
    for object in [["lks", "main"], ["roompolicy", "quiet"]] {
        let said = stage.usher(&[&["sync", "--wait"][..], &object].concat()).await;
        assert!(said.status.success(), "{}", said.stderr);
        assert!(said.stdout.ends_with("has been looked at"), "{}", said.stdout);
        let object = stage.get(object[0], object[1]).await;
        let asked = object["metadata"]["annotations"]["usher.dev/reconcile-requested-at"].as_str().unwrap();
        assert_eq!(object["status"]["lastHandledReconcileAt"], asked);
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let stage = Stage::set().await;
    let said = stage.usher(&["suspend", "rpol", "absent"]).await;
    assert_eq!(said.status.code(), Some(1));
    assert!(said.stderr.contains(&format!("no RoomPolicy absent in namespace {}", stage.namespace)), "{}", said.stderr);

    // Nobody sees to an object in a namespace that the operator does not watch.
    let elsewhere = stage.cluster.namespace("elsewhere").await;
    let object = policy("quiet", QUIET);
    stage.cluster.kubectl(&["apply", "-n", &elsewhere, "-f", "-"], Some(&object)).await.ok();
    let args = ["sync", "rpol", "quiet", "--wait", "--timeout", "500ms", "-n", &elsewhere];
    let launch = launch(args).env("USHER_KUBECONFIG", stage.cluster.kubeconfig());
    let said = crate::program::Program::start(launch).ended().await;
    assert_eq!(said.status.code(), Some(1));
    assert!(said.stderr.contains("500ms") && said.stderr.contains("is an operator running?"), "{}", said.stderr);
}
