//! `usher run`: the operator.

use std::{net::SocketAddr, num::NonZeroU32, sync::Arc, time::Duration};

use anyhow::Context;
use clap::{ArgAction, Args, ValueEnum};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};
use tracing_subscriber::EnvFilter;

use crate::{
    engine::{Engine, Leadership, Reports, Routes},
    http::{self, Guests},
    kubernetes::{self, lease},
    metrics::Metrics,
};

/// How long everything may take to end after SIGTERM. Kubernetes waits 30 s before it kills.
const GRACE: Duration = Duration::from_secs(10);
/// Removals, forwards and moves that may wait to be told of by an Event. More of them would be noise.
const UNTOLD_DEEDS: usize = 256;

/// Run the operator.
///
/// Example: usher run --namespace livekit --log-format json
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Watch only this namespace; may be given several times. Default: all.
    #[arg(long = "namespace", short = 'n', env = "USHER_NAMESPACE", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// Where LiveKit's webhooks are received.
    #[arg(long, env = "USHER_HTTP_ADDR", default_value = "0.0.0.0:8080")]
    http_addr: SocketAddr,
    /// Where /healthz, /readyz and /metrics are answered.
    #[arg(long, env = "USHER_ADMIN_ADDR", default_value = "0.0.0.0:8081")]
    admin_addr: SocketAddr,
    /// How many replicas run, which share what may be asked of a LiveKit server.
    #[arg(long, env = "USHER_REPLICAS", default_value = "1")]
    replicas: NonZeroU32,
    /// Whether the holder of a Lease alone resyncs and writes status. Needed where several replicas run; each of them
    /// enforces what webhooks tell it, with the lease or without.
    #[arg(long, env = "USHER_LEADER_ELECT", default_value_t = true, action = ArgAction::Set)]
    leader_elect: bool,
    /// The namespace of the Lease. Default: that of the Pod, else that of the kubeconfig.
    #[arg(long, env = "USHER_LEASE_NAMESPACE")]
    lease_namespace: Option<String>,
    /// The name of the Lease.
    #[arg(long, env = "USHER_LEASE_NAME", default_value = "usher")]
    lease_name: String,
    /// How log lines are written.
    #[arg(long, env = "USHER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug or trace; or a filter like `info,usher::engine=debug`. By default
    /// without kube's own lines on failed watches, which we log ourselves and once.
    #[arg(long, env = "USHER_LOG_LEVEL", default_value = "info,kube_runtime::watcher=error")]
    log_level: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// For programs: a JSON object a line.
    Json,
}

impl Run {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        self.log()?;
        log_panics();
        // One provider for everything; an error means that somebody has installed one before, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let result = runtime.block_on(self.operate());
        runtime.shutdown_timeout(Duration::from_secs(1));
        result
    }

    fn log(&self) -> anyhow::Result<()> {
        let filter = EnvFilter::try_new(&self.log_level)
            .with_context(|| format!("--log-level {:?} is no filter", self.log_level))?;
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Text => builder.init(),
            LogFormat::Json => builder.json().flatten_event(true).init(),
        }
        Ok(())
    }

    async fn operate(self) -> anyhow::Result<()> {
        let (stopping, stop) = watch::channel(false);
        let (catalog, catalogs) = watch::channel(None);
        let (reporting, reports) = watch::channel(Reports::new());
        let readiness = kubernetes::Readiness::new();
        let metrics = Arc::new(Metrics::new());
        let routes = Routes::default();

        // First of all, so that whoever asks for health gets an answer while Kubernetes is awaited.
        let webhooks = http::listen(self.http_addr, "--http-addr").await?;
        let admin = http::listen(self.admin_addr, "--admin-addr").await?;
        let router = http::admin(Arc::clone(&metrics), readiness.subscribe());
        let admin = tokio::spawn(http::serve(admin, router, Guests::All, stop.clone()));
        let router = http::webhooks(routes.clone(), Arc::clone(&metrics));
        let webhooks = tokio::spawn(http::serve(webhooks, router, Guests::Known, stop.clone()));

        let config = kube::Config::infer().await.context("cannot find a cluster: set KUBECONFIG, or run in one")?;
        let namespace = self.lease_namespace.unwrap_or_else(|| config.default_namespace.clone());
        let client = kubernetes::client(config).context("cannot make a client for the cluster")?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), namespaces = ?self.namespaces, "started");
        let (done, deeds) = mpsc::channel(UNTOLD_DEEDS);
        let (election, leadership) = if self.leader_elect {
            let (sender, leadership) = Leadership::elected();
            let candidacy = lease::Candidacy { namespace, name: self.lease_name, identity: lease::identity() };
            let (ready, stop, metrics) = (readiness.subscribe(), stop.clone(), Arc::clone(&metrics));
            let election = lease::elect(candidacy, client.clone(), sender, ready, stop, metrics);
            (Some(tokio::spawn(election)), leadership)
        } else {
            metrics.leader.set(1);
            if self.replicas > NonZeroU32::MIN {
                tracing::warn!("several replicas without --leader-elect: each of them resyncs and writes status");
            }
            (None, Leadership::alone())
        };
        let engine = Engine::new(catalogs, reporting, routes, Arc::clone(&metrics)).telling(done);
        let engine = tokio::spawn(engine.led_by(leadership.clone()).run(stop.clone()));
        let options = kubernetes::Options { namespaces: self.namespaces, replicas: self.replicas };
        let wires = kubernetes::Wires { catalog, reports, deeds, leadership, stop, readiness, metrics };
        let mut operator = tokio::spawn(kubernetes::run(options, client, wires));

        let ended = tokio::select! {
            terminated = terminated() => terminated,
            ended = &mut operator => Err(match ended {
                Ok(Err(error)) => error.into(),
                Ok(Ok(())) | Err(_) => anyhow::anyhow!("the watch of Kubernetes has ended"),
            }),
        };
        tracing::info!("stopping");
        stopping.send_replace(true);
        let all = async {
            let _ = tokio::join!(webhooks, engine, admin);
            if let Some(election) = election {
                let _ = election.await;
            }
            if !operator.is_finished() {
                let _ = operator.await;
            }
        };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tracing::warn!("something did not end in time");
        }
        ended
    }
}

async fn terminated() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    Ok(())
}

/// Panics are caught and counted where they happen; here they get a line that log collectors understand.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, message, "panic");
    }));
}
