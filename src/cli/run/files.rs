//! Without Kubernetes: from files and folders.

use std::{
    fs::File,
    io::{self, Write},
    sync::Arc,
};

use anyhow::Context;
use tokio::sync::mpsc;

use super::{Run, UNTOLD_DEEDS};
use crate::{
    cli::{
        lines::{Lines, deed_line},
        operator::Operator,
        process::{terminated, within_grace},
    },
    engine::{Audience, Leadership},
    files::{Files, Options},
    livekit::Credentials,
};

/// What may wait to be written.
const UNWRITTEN: usize = 1024;

/// Operates until it is told to stop.
pub(super) async fn run(run: Run, operator: Operator) -> anyhow::Result<()> {
    let out: Box<dyn Write + Send> = match &run.status_file {
        None => Box::new(io::stdout()),
        Some(path) => {
            let file = File::options().create(true).append(true).open(path);
            Box::new(file.with_context(|| format!("cannot write to --status-file {}", path.display()))?)
        }
    };
    let options = Options { paths: run.from, replicas: run.replicas, credentials: credentials() };
    let files = Files::open(options, Arc::clone(&operator.metrics))?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
    operator.metrics.leader.set(1);
    let lines = Lines::to(out);
    let (told, mut news) = mpsc::channel(UNWRITTEN);
    let (sender, mut deeds) = mpsc::channel(UNTOLD_DEEDS);
    let engine = operator.start(Leadership::alone(), Audience { deeds: sender, of_changes: false });
    let mut reading = tokio::spawn(files.run(operator.wires(told)));
    let mut terminated = std::pin::pin!(terminated());
    let ended = loop {
        tokio::select! {
            terminated = &mut terminated => break terminated,
            _ = &mut reading => break Err(anyhow::anyhow!("the manifests are read no more")),
            Some(news) = news.recv() => lines.write(&news).await,
            Some(deed) = deeds.recv() => lines.write(&deed_line(&deed)).await,
        }
    };
    tracing::info!("stopping");
    // What is told from now on is written by nobody, and whoever tells must not wait for it.
    drop((news, deeds));
    within_grace(async {
        operator.end(engine).await;
        if !reading.is_finished() {
            let _ = reading.await;
        }
        lines.end().await;
    })
    .await;
    ended
}

/// The keys out of the environment, by the names that LiveKit's own tools read.
fn credentials() -> Option<Credentials> {
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Some(Credentials::new(given("LIVEKIT_API_KEY")?, given("LIVEKIT_API_SECRET")?))
}
