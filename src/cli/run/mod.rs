//! `usher run`: the operator.

mod cluster;
mod files;

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf};

use clap::{ArgAction, Args};

use super::{
    operator::Operator,
    process::{self, Log},
};

/// Removals, forwards and moves that may wait to be told of. More of them would be noise.
const UNTOLD_DEEDS: usize = 256;

/// Run the operator.
///
/// Example: usher run --namespace livekit --log-format json
///
/// Without Kubernetes: usher run --from manifests/ --status-file status.jsonl
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Work without Kubernetes: read manifests from these files and folders, and again whenever they change. Secrets
    /// come from Secret manifests in the same files, or from LIVEKIT_API_KEY and LIVEKIT_API_SECRET where a
    /// LiveKitServer has no credentials. While something is wrong with a file, what all of them said before stays in
    /// force.
    #[arg(long, env = "USHER_FROM", value_name = "PATH", num_args = 1.., value_delimiter = ',',
        conflicts_with = "namespaces")]
    from: Vec<PathBuf>,
    /// With --from: where status, mistakes and removals go, as a JSON object a line. Default: stdout.
    #[arg(long, env = "USHER_STATUS_FILE", value_name = "FILE", requires = "from")]
    status_file: Option<PathBuf>,
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
    /// enforces what webhooks tell it, with the lease or without. Not with --from.
    #[arg(long, env = "USHER_LEADER_ELECT", default_value_t = true, action = ArgAction::Set)]
    leader_elect: bool,
    /// The namespace of the Lease. Default: that of the Pod, else that of the kubeconfig.
    #[arg(long, env = "USHER_LEASE_NAMESPACE")]
    lease_namespace: Option<String>,
    /// The name of the Lease.
    #[arg(long, env = "USHER_LEASE_NAME", default_value = "usher")]
    lease_name: String,
    #[command(flatten)]
    log: Log,
}

impl Run {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        self.log.begin()?;
        process::block_on(async {
            let operator = Operator::listen(self.http_addr, Some(self.admin_addr)).await?;
            if self.from.is_empty() { cluster::run(self, operator).await } else { files::run(self, operator).await }
        })
    }
}
