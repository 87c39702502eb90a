use anyhow::Context;
use clap::Args;

use super::process;
use crate::kubernetes;

/// Take the operator's finalizer off all ParticipantForwards, so that none hangs when it is deleted without an operator.
///
/// Example: usher cleanup --namespace livekit
///
/// The chart runs it at `helm uninstall`. End the operator first, or it puts the finalizer back on.
#[derive(Debug, Args)]
pub(super) struct Cleanup {
    /// Only those of this namespace; may be given several times. Default: all.
    #[arg(long = "namespace", short = 'n', env = "USHER_NAMESPACE", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// Delete all ParticipantForwards while the operator still runs, so that it ends their copies. Those that it has not
    /// let go of after 75 s lose the finalizer as well.
    #[arg(long, env = "USHER_DELETE")]
    delete: bool,
}

impl Cleanup {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        process::block_on(self.perform())
    }

    async fn perform(self) -> anyhow::Result<()> {
        let config = kube::Config::infer().await.context("cannot find a cluster: set KUBECONFIG, or run in one")?;
        let client = kubernetes::client(config).context("cannot make a client for the cluster")?;
        let Self { namespaces, delete } = self;
        let kubernetes::cleanup::Cleaned { deleted, released } =
            kubernetes::cleanup::Cleanup { namespaces, delete }.perform(&client).await?;
        println!("ParticipantForwards deleted: {deleted}; finalizers taken off: {released}");
        Ok(())
    }
}
