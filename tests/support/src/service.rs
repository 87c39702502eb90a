//! A server that tests kill and start again.

use crate::dir::TestDir;
use crate::net::expect_status;
use crate::process::{Launch, Process};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::StatusCode;
use nix::sys::signal::Signal;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a server may take until it serves. Generous: other builds may use the same cores.
const READY_WITHIN: Duration = Duration::from_secs(90);
const BETWEEN_PROBES: Duration = Duration::from_millis(20);
const PROBE_WITHIN: Duration = Duration::from_secs(5);

/// Asks a server once whether it serves; the error says why not.
pub(crate) type Probe = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// One server process after the other, always with the same arguments, ports and data.
pub struct Service {
    name: String,
    launch: Launch,
    probe: Probe,
    /// `None` until the first start. One that has ended stays here, so that its status can be asked for.
    process: Mutex<Option<Arc<Process>>>,
    // Last, so that the process has ended when the directory of its log goes.
    dir: TestDir,
}

impl Service {
    pub(crate) fn new(name: &str, launch: Launch, probe: Probe, dir: TestDir) -> Self {
        Self { name: name.to_owned(), launch, probe, process: Mutex::new(None), dir }
    }

    /// A program that has not been started and that serves once a GET of `health` is answered with 200; without
    /// `health`, at once.
    pub fn program(name: &str, launch: Launch, health: Option<String>, dir: TestDir) -> Self {
        let probe: Probe = Arc::new(move || {
            let health = health.clone();
            async move {
                match health {
                    Some(health) => expect_status(&health, StatusCode::OK).await,
                    None => Ok(()),
                }
            }
            .boxed()
        });
        Self::new(name, launch, probe, dir)
    }

    /// Starts it and waits until it serves.
    ///
    /// # Panics
    ///
    /// When it runs already; or ends, or does not serve in time, with the end of its log.
    pub async fn start(&self) {
        self.start_without_waiting();
        self.ready().await;
    }

    /// Starts it and does not wait.
    ///
    /// # Panics
    ///
    /// When it runs already.
    pub fn start_without_waiting(&self) {
        let mut process = self.process();
        if let Some(before) = process.as_ref() {
            assert!(before.status().is_some(), "{} runs already", self.name);
            let mut log = std::fs::File::options().append(true).open(self.launch.log());
            let _ = log.as_mut().map(|log| writeln!(log, "--- started again ---"));
        }
        *process = Some(Arc::new(self.launch.start()));
    }

    /// Waits until it serves.
    ///
    /// # Panics
    ///
    /// When it ends or does not serve in time, with the end of its log.
    pub async fn ready(&self) {
        let start = Instant::now();
        loop {
            let said = match tokio::time::timeout(PROBE_WITHIN, (self.probe)()).await {
                Ok(Ok(())) => return,
                Ok(Err(said)) => said,
                Err(_) => format!("no answer within {PROBE_WITHIN:?}"),
            };
            let ended = self.current().and_then(|process| process.status());
            if ended.is_some() || start.elapsed() > READY_WITHIN {
                self.dir.keep();
                let what = ended.map_or("does not serve".to_owned(), |status| format!("ended with {status}"));
                panic!("{} {what} after {:?}: {said}\n{}", self.name, start.elapsed(), self.end_of_log(30));
            }
            tokio::time::sleep(BETWEEN_PROBES).await;
        }
    }

    /// Kills it by SIGKILL and waits until it is gone. Nothing happens when it does not run.
    pub async fn kill(&self) {
        if let Some(process) = self.current() {
            process.kill().await;
        }
    }

    /// Asks it to end by SIGTERM and waits; `None` when it has not ended in time.
    ///
    /// # Panics
    ///
    /// When it was never started.
    pub async fn terminate(&self, timeout: Duration) -> Option<ExitStatus> {
        self.running().terminate(timeout).await
    }

    /// Kills it and starts it again on the same ports with the same data.
    pub async fn restart(&self) {
        self.kill().await;
        self.start().await;
    }

    /// Stops it as it stands, by SIGSTOP: its connections stay open and are not answered.
    pub fn freeze(&self) {
        self.running().freeze();
    }

    /// Lets it continue after [`Self::freeze`].
    pub fn thaw(&self) {
        self.running().thaw();
    }

    /// Sends it any signal.
    pub fn signal(&self, signal: Signal) {
        self.running().signal(signal);
    }

    /// The id of its present or last process.
    pub fn id(&self) -> i32 {
        self.running().id()
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.current().is_some_and(|process| process.status().is_none())
    }

    /// How its last process ended, when it has.
    pub fn status(&self) -> Option<ExitStatus> {
        self.current()?.status()
    }

    /// Waits until it ends by itself.
    pub async fn ended(&self) -> ExitStatus {
        self.running().ended().await
    }

    /// Where its log is. All its processes write to the same.
    pub fn log_path(&self) -> PathBuf {
        self.launch.log().to_owned()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        read_log(self.launch.log())
    }

    fn end_of_log(&self, lines: usize) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().rev().take(lines).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn current(&self) -> Option<Arc<Process>> {
        self.process().clone()
    }

    fn running(&self) -> Arc<Process> {
        self.current().unwrap_or_else(|| panic!("{} was never started", self.name))
    }

    fn process(&self) -> MutexGuard<'_, Option<Arc<Process>>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_log(path: &Path) -> String {
    std::fs::read(path).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("name", &self.name).field("log", &self.launch.log()).finish_non_exhaustive()
    }
}
