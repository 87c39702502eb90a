//! Who is measured: each with a livekit-server of its own, so that nobody's webhooks or requests are another's.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use usher_testkit::{
    Cluster, Launch, LiveKit, LiveKitOptions, Operator, OperatorOptions, Service, TestDir, free_port, metric_in,
    repository, request,
};

/// A way to keep participants from publishing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Contender {
    /// The operator, as released.
    Usher,
    /// The least that can be done, in Rust.
    Floor,
    /// A webhook script in Python.
    Python,
    /// A webhook script in Node.
    Node,
    /// A script that looks every five seconds.
    Poll,
}

impl Contender {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 5] = [Self::Usher, Self::Floor, Self::Python, Self::Node, Self::Poll];

    /// As the tables name it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Usher => "Usher",
            Self::Floor => "floor",
            Self::Python => "Python script",
            Self::Node => "Node script",
            Self::Poll => "polling, 5 s",
        }
    }
}

/// A contender that runs, and its server.
pub struct Entrant {
    /// Which.
    pub contender: Contender,
    /// Its server.
    pub livekit: LiveKit,
    livekit_metrics: String,
    program: Program,
}

enum Program {
    Usher(Operator),
    Script(Service),
}

/// Requests that a server has answered since its start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Requests {
    /// All of them.
    pub all: f64,
    /// Those that change a participant.
    pub writes: f64,
}

impl Entrant {
    /// Starts a contender; `cluster` is for Usher.
    pub async fn start(contender: Contender, cluster: &Cluster) -> Self {
        let (port, metrics_port) = (free_port(), free_port());
        let path = if contender == Contender::Usher { "webhooks/default/main" } else { "" };
        let webhook_urls =
            if contender == Contender::Poll { vec![] } else { vec![format!("http://127.0.0.1:{port}/{path}")] };
        let extra = serde_json::json!({"prometheus": {"port": metrics_port}});
        let livekit = LiveKit::start(LiveKitOptions { webhook_urls, extra, ..LiveKitOptions::default() }).await;
        let program = match contender {
            Contender::Usher => {
                cluster.apply(&(livekit.manifests("default", &livekit.url(), "30s") + POLICY)).await;
                let usher = OperatorOptions::new(repository().join("target/release/usher"), cluster.kubeconfig());
                Program::Usher(Operator::start(usher.http_port(port)).await)
            }
            script => {
                let service = script.script(&livekit, port);
                service.start().await;
                Program::Script(service)
            }
        };
        let entrant =
            Self { contender, livekit, livekit_metrics: format!("http://127.0.0.1:{metrics_port}/metrics"), program };
        entrant.wait_enforcing(cluster).await;
        entrant
    }

    /// Its program, to kill and to start again.
    pub fn program(&self) -> &Service {
        match &self.program {
            Program::Usher(operator) => operator,
            Program::Script(service) => service,
        }
    }

    /// Where Usher takes webhooks.
    pub fn webhooks(&self) -> Option<String> {
        match &self.program {
            Program::Usher(operator) => Some(format!("{}/webhooks/default/main", operator.http_url())),
            Program::Script(_) => None,
        }
    }

    /// A metric of Usher's.
    pub async fn metric(&self, selector: &str) -> f64 {
        match &self.program {
            Program::Usher(operator) => operator.metric(selector).await.unwrap_or_default(),
            Program::Script(_) => 0.0,
        }
    }

    /// How often Usher is to look for what no webhook tells.
    pub async fn resync_every(&self, cluster: &Cluster, interval: &str) {
        if self.contender == Contender::Usher {
            cluster.apply(&self.livekit.manifests("default", &self.livekit.url(), interval)).await;
        }
    }

    /// What its server has been asked.
    pub async fn requests(&self) -> Requests {
        let reply = request(http::Method::GET, &self.livekit_metrics, http::HeaderMap::new(), "").await;
        let metrics = reply.expect("livekit-server has metrics").text();
        let count = |labels: &str| {
            let series = format!("livekit_node_twirp_request_status{{service=\"RoomService\"{labels}}}");
            metric_in(&metrics, &series).unwrap_or_default()
        };
        Requests { all: count(""), writes: count(",method=\"UpdateParticipant\"") }
    }

    async fn wait_enforcing(&self, cluster: &Cluster) {
        if self.contender == Contender::Usher {
            let wait = ["wait", "--for=condition=Ready", "--timeout=60s", "roompolicy/quiet"];
            cluster.kubectl(&wait, None).await.ok();
        }
    }

    /// Ends its program, in good order where it can.
    pub async fn end(&self) {
        self.program().signal(Signal::SIGTERM);
        let _ = tokio::time::timeout(Duration::from_secs(10), self.program().ended()).await;
    }
}

/// What all contenders enforce: nobody publishes.
const POLICY: &str = "---
apiVersion: usher.dev/v1alpha1
kind: RoomPolicy
metadata: {name: quiet, namespace: default}
spec:
  serverRef: {name: main}
  rooms: [{glob: '*'}]
  rules:
  - name: quiet
    set: {permission: {canPublish: false}}
";

impl Contender {
    fn script(self, livekit: &LiveKit, port: u16) -> Service {
        let (root, dir) = (repository(), TestDir::current());
        let python = root.join("target/bench/python/bin/python");
        let own = std::env::current_exe().expect("this program has a path");
        let (program, script) = match self {
            Self::Floor => (own.with_file_name("floor"), None),
            Self::Node => ("node".into(), Some(root.join("target/bench/node/receiver.mjs"))),
            Self::Python => (python, Some(root.join("tests/bench/python/receiver.py"))),
            Self::Poll => (python, Some(root.join("tests/bench/python/poll.py"))),
            Self::Usher => unreachable!("it is no script"),
        };
        let key = &livekit.keys()[0];
        let launch = Launch::new(program, dir.log(self.title()))
            .args(script)
            .env("LIVEKIT_URL", livekit.url())
            .env("LIVEKIT_API_KEY", &key.key)
            .env("LIVEKIT_API_SECRET", &key.secret)
            .env("PORT", port.to_string());
        let health = (self != Self::Poll).then(|| format!("http://127.0.0.1:{port}/"));
        Service::program(self.title(), launch, health, dir)
    }
}
