//! With Kubernetes: from a kubeconfig, or in a cluster.

use std::{num::NonZeroU32, sync::Arc};

use anyhow::Context;
use tokio::sync::mpsc;

use super::{Run, UNTOLD_DEEDS};
use crate::{
    cli::{
        operator::Operator,
        process::{terminated, within_grace},
    },
    engine::{Audience, Leadership},
    kubernetes::{self, lease},
};

/// Operates until it is told to stop.
pub(super) async fn run(run: Run, operator: Operator) -> anyhow::Result<()> {
    let config = kube::Config::infer().await.context("cannot find a cluster: set KUBECONFIG, or run in one")?;
    let namespace = run.lease_namespace.unwrap_or_else(|| config.default_namespace.clone());
    let client = kubernetes::client(config).context("cannot make a client for the cluster")?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), namespaces = ?run.namespaces, "started");
    let (readiness, metrics) = (operator.readiness.clone(), Arc::clone(&operator.metrics));
    let (election, leadership) = if run.leader_elect {
        let (sender, leadership) = Leadership::elected();
        let candidacy = lease::Candidacy { namespace, name: run.lease_name, identity: lease::identity() };
        let ready = readiness.subscribe();
        let election = lease::elect(candidacy, client.clone(), sender, ready, operator.stop(), Arc::clone(&metrics));
        (Some(tokio::spawn(election)), leadership)
    } else {
        metrics.leader.set(1);
        if run.replicas > NonZeroU32::MIN {
            tracing::warn!("several replicas without --leader-elect: each of them resyncs and writes status");
        }
        (None, Leadership::alone())
    };
    let (sender, deeds) = mpsc::channel(UNTOLD_DEEDS);
    let engine = operator.start(leadership.clone(), Audience { deeds: sender, of_changes: false });
    let options = kubernetes::Options { namespaces: run.namespaces, replicas: run.replicas };
    let wires = kubernetes::Wires {
        catalog: operator.catalog.clone(),
        reports: operator.reports.clone(),
        deeds,
        leadership,
        stop: operator.stop(),
        readiness,
        metrics,
    };
    let mut watches = tokio::spawn(kubernetes::run(options, client, wires));
    let ended = tokio::select! {
        terminated = terminated() => terminated,
        ended = &mut watches => Err(match ended {
            Ok(Err(error)) => error.into(),
            Ok(Ok(())) | Err(_) => anyhow::anyhow!("the watch of Kubernetes has ended"),
        }),
    };
    tracing::info!("stopping");
    within_grace(async {
        operator.end(engine).await;
        if let Some(election) = election {
            let _ = election.await;
        }
        if !watches.is_finished() {
            let _ = watches.await;
        }
    })
    .await;
    ended
}
