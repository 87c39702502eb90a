//! What every long-running command needs of its process: a log, a runtime, an end.

use std::{io::IsTerminal, time::Duration};

use anyhow::Context;
use clap::{Args, ValueEnum};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;

use crate::files::LOOK;

/// How long everything may take to end after SIGTERM. Kubernetes waits 30 s before it kills.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// How to log, to stderr.
#[derive(Debug, Args)]
pub(super) struct Log {
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

impl Log {
    /// Begins to log.
    pub(super) fn begin(&self) -> anyhow::Result<()> {
        let filter = EnvFilter::try_new(&self.log_level)
            .with_context(|| format!("--log-level {:?} is no filter", self.log_level))?;
        let colourful =
            std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        let builder =
            tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colourful).with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Text => builder.init(),
            LogFormat::Json => builder.json().flatten_event(true).init(),
        }
        log_panics();
        Ok(())
    }
}

/// Runs to the end, on this thread and those that it starts itself: a thread for each core would cost more memory than
/// all that waits on them.
pub(super) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    block_on_by(Builder::new_current_thread(), future)
}

/// The same, on as many threads as there are cores.
pub(super) fn block_on_all_cores<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    block_on_by(Builder::new_multi_thread(), future)
}

fn block_on_by<T>(mut builder: Builder, future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // One provider for everything; an error means that somebody has installed one before, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // A busy moment adds threads that read files, and the looks go round among all of them: with tokio's ten seconds none
    // would ever be idle for long enough to end. Kept for longer than from one look to the next, or each would start a
    // thread; for less than two, so that of two threads one ends.
    let runtime = builder.enable_all().thread_keep_alive(LOOK * 3 / 2).build()?;
    let result = runtime.block_on(future);
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// Waits for SIGTERM or Ctrl-C.
pub(super) async fn terminated() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    Ok(())
}

/// Waits for an end, and no longer than is good.
pub(super) async fn within_grace(end: impl Future) {
    if tokio::time::timeout(GRACE, end).await.is_err() {
        tracing::warn!("something did not end in time");
    }
}

/// Panics are caught and counted where they happen; here they get a line that log collectors understand.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, message, "panic");
    }));
}
