//! What each test plays on.

use std::{ops::Deref, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use usher_testkit::{
    Cluster, ClusterOptions, LiveKit, LiveKitOptions, Operator, OperatorOptions, Participant, Participants,
    RecordingProxy, TokenSpec, WebhookRelay, eventually, free_port,
};

/// How long anything may take that takes milliseconds when nothing else runs.
pub const SOON: Duration = Duration::from_secs(20);
/// How long it may take to notice that something is back that was away: pauses between tries have grown meanwhile.
pub const AGAIN: Duration = Duration::from_secs(45);
/// How long to watch for what must not happen.
pub const A_WHILE: Duration = Duration::from_secs(2);

/// Rules by which nobody may publish.
pub const QUIET: &str = "
- name: quiet
  set:
    permission: {canPublish: false}";
/// The same, and the troll is removed.
pub const HOUSE: &str = "
- name: banned
  match:
    identities: [{exact: troll}]
  remove: {}
- name: quiet
  set:
    permission: {canPublish: false}";

/// Whose cluster it is.
pub enum Ground {
    /// That of all tests.
    Shared(&'static Cluster),
    /// One that the test may break.
    Own(Box<Cluster>),
}

impl Deref for Ground {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        match self {
            Self::Shared(cluster) => cluster,
            Self::Own(cluster) => cluster,
        }
    }
}

/// A namespace with a LiveKitServer named `main`, its livekit-server, an operator, and a place to join from. All that
/// goes between operator and server passes by `proxy`, all webhooks by `relay`. The operator runs as the chart says: a
/// right that the chart does not give fails the test.
pub struct Stage {
    pub cluster: Ground,
    pub namespace: String,
    pub livekit: LiveKit,
    pub proxy: RecordingProxy,
    pub relay: WebhookRelay,
    pub operator: Operator,
    /// Whom the operator is to Kubernetes.
    pub kubeconfig: PathBuf,
    pub participants: Participants,
}

/// What may differ from test to test.
#[derive(Default)]
pub struct Scene {
    /// The LiveKitServer's `resyncInterval`; so long by default that only webhooks enforce.
    pub resync_interval: Option<&'static str>,
    pub livekit: LiveKitOptions,
    /// The operator watches all namespaces, not only that of the stage. The cluster is its own: it would say of other
    /// tests' objects that it may not read their Secrets.
    pub all_namespaces: bool,
    /// The cluster is there to be broken, or to be asked for its audit log.
    pub own_cluster: bool,
    /// The operator is one of two replicas.
    pub replicated: bool,
}

impl Scene {
    /// With what the chart is installed for it: with no more rights than it needs.
    fn values(&self, namespace: &str, port: u16) -> Value {
        let watched: &[&str] = if self.all_namespaces { &[] } else { &[namespace] };
        json!({
            "crds": {"enabled": false},
            "log": {"level": "info,kube_runtime::watcher=error,usher::kubernetes::status=debug"},
            "watchNamespaces": watched,
            "serverNamespaces": [{"namespace": namespace, "secrets": ["livekit-keys", "keys-file"]}],
            "replicaCount": if self.replicated { 2 } else { 1 },
            "leaderElection": {"enabled": self.replicated, "leaseName": "usher"},
            "listenAddress": "127.0.0.1",
            "containerPorts": {"webhooks": port, "admin": free_port()},
        })
    }
}

impl Stage {
    pub async fn set() -> Self {
        Self::with(Scene::default()).await
    }

    pub async fn set_for_all_namespaces() -> Self {
        Self::with(Scene { all_namespaces: true, ..Scene::default() }).await
    }

    pub async fn with(scene: Scene) -> Self {
        let cluster = if scene.own_cluster || scene.all_namespaces {
            let cluster = Cluster::start(ClusterOptions { audit: true, ..ClusterOptions::default() }).await;
            cluster.apply_crds().await;
            Ground::Own(Box::new(cluster))
        } else {
            Ground::Shared(Cluster::shared().await)
        };
        let namespace = cluster.namespace("e2e").await;
        let relay = WebhookRelay::start();
        let port = free_port();
        relay.set_target(&format!("http://127.0.0.1:{port}"));
        let values = scene.values(&namespace, port);
        let mut options = scene.livekit;
        options.webhook_urls.push(relay.url(&format!("/webhooks/{namespace}/main")));
        let livekit = LiveKit::start(options).await;
        let proxy = RecordingProxy::start(livekit.url());
        let interval = scene.resync_interval.unwrap_or("1h");
        cluster.apply(&livekit.manifests(&namespace, &proxy.url(), interval)).await;
        let container = cluster.install_chart(&namespace, &namespace, &values).await.container(&cluster).await;
        let kubeconfig = cluster.kubeconfig_for_service_account(&namespace, &container.service_account).await;
        let operator = Operator::start_container(env!("CARGO_BIN_EXE_usher").as_ref(), &kubeconfig, &container).await;
        let participants = Participants::start();
        let stage = Self { cluster, namespace, livekit, proxy, relay, operator, kubeconfig, participants };
        stage.wait("livekitserver", "main", "Ready").await;
        stage
    }

    /// Starts the operator anew, so that it watches these namespaces beside that of the stage.
    pub async fn also_watch(&mut self, namespaces: &[&str]) {
        self.operator.kill().await;
        let options = OperatorOptions::new(env!("CARGO_BIN_EXE_usher"), self.cluster.kubeconfig());
        let options = options.namespace(&self.namespace);
        self.operator = Operator::start(namespaces.iter().fold(options, |options, name| options.namespace(name))).await;
        self.relay.set_target(&self.operator.http_url());
    }

    /// Applies a RoomPolicy for all rooms whose names begin with `room`, and waits until it is Ready. `rules` is
    /// YAML, a list.
    pub async fn policy(&self, name: &str, room: &str, rules: &str) {
        self.policy_unseen(name, room, rules).await;
        self.wait("roompolicy", name, "Ready").await;
    }

    /// The same without waiting.
    pub async fn policy_unseen(&self, name: &str, room: &str, rules: &str) {
        let rules = rules.replace('\n', "\n  ");
        self.cluster
            .apply(&format!(
                "apiVersion: usher.dev/v1alpha1\nkind: RoomPolicy\nmetadata: {{name: {name}, namespace: {}}}\nspec:\n  \
                 serverRef: {{name: main}}\n  rooms: [{{prefix: {room}}}]\n  rules:\n  {rules}\n",
                self.namespace
            ))
            .await;
    }

    /// As a pipeline does: `kubectl wait --for=condition=…`.
    pub async fn wait(&self, kind: &str, name: &str, condition: &str) {
        let what = format!("{kind}/{name}");
        let condition = format!("--for=condition={condition}");
        let args = ["wait", &condition, "--timeout=45s", "-n", &self.namespace, &what];
        let output = self.cluster.kubectl(&args, None).await;
        if !output.success {
            let object = self.cluster.kubectl(&["get", "-o", "yaml", "-n", &self.namespace, &what], None).await;
            panic!("{}{}\n{}", output.stderr, object.stdout, self.operator.log());
        }
    }

    /// Waits until condition Ready has this status and reason.
    pub async fn wait_ready(&self, kind: &str, name: &str, status: &str, reason: &str) {
        eventually(AGAIN, &format!("{kind}/{name} Ready={status} {reason}"), async || {
            let object = self.get(kind, name).await;
            match condition(&object, "Ready") {
                Some((is, why)) if is == status && why == reason => Ok(()),
                _ => Err(object["status"].to_string()),
            }
        })
        .await;
    }

    pub async fn kubectl(&self, args: &[&str]) -> String {
        self.cluster.kubectl(&[args, &["-n", &self.namespace]].concat(), None).await.ok()
    }

    pub async fn get(&self, kind: &str, name: &str) -> Value {
        let text = self.kubectl(&["get", kind, name, "-o", "json"]).await;
        serde_json::from_str(&text).expect("kubectl writes JSON")
    }

    pub async fn join(&self, spec: &TokenSpec) -> Participant {
        self.participants.join(&self.livekit, spec).await
    }

    /// Lets somebody join who is then removed, maybe before the client knows that it is connected.
    pub async fn is_removed(&self, spec: &TokenSpec) {
        self.is_removed_within(SOON, spec).await;
    }

    /// The same where it may take longer.
    pub async fn is_removed_within(&self, bound: Duration, spec: &TokenSpec) {
        let token = self.livekit.token(spec);
        match self.participants.try_join(&self.livekit.ws_url(), &token, &spec.identity).await {
            Ok(guest) => drop(guest.wait_removed(bound).await),
            Err(error) => assert_eq!(error.to_string(), "left: PARTICIPANT_REMOVED", "{}", spec.identity),
        }
    }

    /// Waits until the summary of a policy has these numbers.
    pub async fn wait_summary(&self, policy: &str, participants: u64, compliant: u64) {
        eventually(Duration::from_secs(45), "the summary", async || {
            let status = self.get("roompolicy", policy).await["status"].take();
            let number = |name: &str| status["summary"][name].as_u64();
            if (number("participants"), number("compliant")) == (Some(participants), Some(compliant)) {
                Ok(())
            } else {
                Err(status.to_string())
            }
        })
        .await;
    }
}

/// Makes an operator one of two replicas.
pub fn replica(mut options: OperatorOptions, namespace: &str) -> OperatorOptions {
    options.leader_elect = true;
    options.args(["--replicas=2", &format!("--lease-namespace={namespace}")])
}

/// Status and reason of a condition of an object.
pub fn condition(object: &Value, kind: &str) -> Option<(String, String)> {
    let conditions = object["status"]["conditions"].as_array()?;
    let condition = conditions.iter().find(|condition| condition["type"] == kind)?;
    let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason")))
}
