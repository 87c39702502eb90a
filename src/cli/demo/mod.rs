//! `usher demo`: everything in one process, without Kubernetes and without LiveKit.

mod ledger;
mod picture;
mod sample;
mod screen;
mod view;

use std::{
    io::{self, IsTerminal, Write},
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    sync::{Arc, mpsc as std_mpsc},
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

use self::{
    ledger::words,
    picture::{Scene, span},
    screen::{Shared, look},
};
use super::{
    lines::{Lines, deed_line, millis},
    operator::Operator,
    process::{self, terminated, within_grace},
};
use crate::{
    api,
    engine::{Audience, Deed, Leadership},
    files::{Files, Options, Told, Wires},
    livekit::Credentials,
    simulator::{self, Cloud, Edition, Running, Scenario, Simulator},
};

/// Who comes.
const SCENARIO: &str = include_str!("scenario.yaml");
/// What may wait to be shown. Everything that is done is to be, also when an edit touches everybody at once.
const UNSHOWN: usize = 4096;
/// Between two summaries in JSON.
const SUMMARY_EVERY: Duration = Duration::from_secs(5);

/// See Usher work: lively rooms on a simulated LiveKit, sample manifests to edit, and what is done to whom.
///
/// Example: usher demo
///
/// It needs no cluster and no LiveKit. The manifests are written to a folder, whose files kubectl applies as well; edit
/// one and see it act. q or Ctrl-C ends it.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// The folder of the manifests. What is in there already stays as it is, but for server.yaml.
    #[arg(long, env = "USHER_DIR", default_value = "usher-demo")]
    dir: PathBuf,
    /// Where the simulated LiveKit listens. By default any free port.
    #[arg(long, env = "USHER_LIVEKIT_ADDR", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))]
    livekit_addr: SocketAddr,
    /// End after this time, as in 30s.
    #[arg(long, env = "USHER_DURATION")]
    duration: Option<api::Duration>,
    /// How to show it. Default: screen on a terminal, else text.
    #[arg(long, short = 'o', env = "USHER_OUTPUT", value_enum)]
    output: Option<Output>,
    /// Where chance begins: the same seed, the same participants.
    #[arg(long, env = "USHER_SEED", default_value = "7")]
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A picture on the terminal.
    Screen,
    /// A line for each thing that is done.
    Text,
    /// The same for programs: a JSON object a line.
    Json,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "started", rename_all = "camelCase")]
struct Started {
    livekit: String,
    folder: PathBuf,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "summary", rename_all = "camelCase")]
struct Summary {
    rooms: usize,
    participants: usize,
    done: u64,
    requests_to_act: u64,
    requests_to_look: u64,
    median_ms: Option<f64>,
    slowest_ms: Option<f64>,
}

impl Demo {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        let terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
        let output = self.output.unwrap_or(if terminal { Output::Screen } else { Output::Text });
        anyhow::ensure!(output != Output::Screen || terminal, "-o screen needs a terminal: use -o text or -o json");
        let result = process::block_on(self.play(output));
        if let Some(panic) = screen::last_panic() {
            eprintln!("{panic}");
        }
        result
    }

    async fn play(self, output: Output) -> anyhow::Result<()> {
        let begun = Instant::now();
        let operator = Operator::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None).await?;
        let server = self.livekit(operator.webhooks).await?;
        let url = server.url();
        let folder = self.dir;
        sample::write(&folder, &url).with_context(|| format!("cannot write to --dir {}", folder.display()))?;
        let options = Options { paths: vec![folder.clone()], replicas: NonZeroU32::MIN, credentials: None };
        let files = Files::open(options, Arc::clone(&operator.metrics))
            .with_context(|| format!("correct it, or remove {} to have it written anew", folder.display()))?;

        let (sender, deeds) = mpsc::channel(UNSHOWN);
        let engine = operator.start(Leadership::alone(), Audience { deeds: sender, of_changes: true });
        let (told, news) = mpsc::channel(UNSHOWN);
        let wires = Wires {
            catalog: operator.catalog.clone(),
            reports: operator.reports.clone(),
            stop: operator.stop(),
            readiness: operator.readiness.clone(),
            told,
        };
        let reading = tokio::spawn(files.run(wires));
        let play = SCENARIO.parse::<Scenario>()?.play(server.simulator());

        let scene = Scene {
            begun,
            url,
            folder,
            simulator: server.simulator().clone(),
            metrics: Arc::clone(&operator.metrics),
            reports: operator.reports.clone(),
        };
        let ledger = Shared::default();
        let mut show = Show::begin(output, scene, Arc::clone(&ledger)).await;
        let ended = tokio::select! {
            terminated = terminated() => terminated,
            () = until(self.duration.as_ref()) => Ok(()),
            ended = show.go_on(deeds, news) => ended,
        };
        drop(play);
        within_grace(async {
            let _ = tokio::join!(operator.end(), engine, reading, server.stop());
        })
        .await;
        show.end().await;
        ended
    }

    async fn livekit(&self, webhooks: SocketAddr) -> anyhow::Result<Running> {
        let simulator = Simulator::new(simulator::Options {
            keys: vec![Credentials::new(sample::KEY, sample::SECRET)],
            edition: Edition::Cloud(Cloud::default()),
            seed: self.seed,
            webhook_urls: vec![format!("http://{webhooks}/webhooks/default/{}", sample::SERVER)],
            ..simulator::Options::default()
        });
        let listener = TcpListener::bind(self.livekit_addr).await;
        let listener = listener.with_context(|| format!("cannot listen on --livekit-addr {}", self.livekit_addr))?;
        Ok(Running::serve(simulator, listener)?)
    }
}

async fn until(duration: Option<&api::Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration.span()).await,
        None => std::future::pending().await,
    }
}

/// How it is shown.
struct Show {
    ledger: Shared,
    way: Way,
}

enum Way {
    /// The terminal, by a thread of its own that ends when nobody is left to hang up.
    Screen {
        hang_up: std_mpsc::Sender<()>,
        thread: JoinHandle<io::Result<()>>,
    },
    Text(Scene),
    Json(Scene, Lines),
}

impl Show {
    async fn begin(output: Output, scene: Scene, ledger: Shared) -> Self {
        let way = match output {
            Output::Screen => {
                let (hang_up, hung_up) = std_mpsc::channel();
                let shown = Arc::clone(&ledger);
                let thread = tokio::task::spawn_blocking(move || screen::show(&scene, &shown, &hung_up));
                Way::Screen { hang_up, thread }
            }
            Output::Text => {
                let _ = say(format_args!(
                    "LiveKit Cloud, simulated, on {}; manifests in {}: edit one and see it act. Ctrl-C ends it.",
                    scene.url,
                    scene.folder.display()
                ));
                Way::Text(scene)
            }
            Output::Json => {
                let lines = Lines::to(io::stdout());
                lines.write(&Started { livekit: scene.url.clone(), folder: scene.folder.clone() }).await;
                Way::Json(scene, lines)
            }
        };
        Self { ledger, way }
    }

    /// Takes in and shows what happens, until somebody quits.
    async fn go_on(&mut self, mut deeds: mpsc::Receiver<Deed>, mut news: mpsc::Receiver<Told>) -> anyhow::Result<()> {
        let mut summaries = tokio::time::interval_at(tokio::time::Instant::now() + SUMMARY_EVERY, SUMMARY_EVERY);
        loop {
            tokio::select! {
                ended = quit(&mut self.way) => return ended,
                Some(deed) = deeds.recv() => {
                    let heard = match &self.way {
                        Way::Screen { .. } => true,
                        Way::Text(_) => say_deed(&deed),
                        Way::Json(_, lines) => {
                            lines.write(&deed_line(&deed)).await;
                            lines.is_heard()
                        }
                    };
                    if !heard {
                        return Ok(());
                    }
                    look(&self.ledger).take_deed(deed);
                }
                Some(told) = news.recv() => {
                    match &self.way {
                        Way::Screen { .. } => {}
                        Way::Text(_) => say_told(&told),
                        Way::Json(_, lines) => lines.write(&told).await,
                    }
                    look(&self.ledger).take_told(&told);
                }
                _ = summaries.tick() => {
                    if let Way::Json(scene, lines) = &self.way {
                        let summary = summary(scene, &self.ledger);
                        lines.write(&summary).await;
                    }
                }
            }
        }
    }

    /// Gives the terminal back, and says what it came to.
    async fn end(self) {
        match self.way {
            Way::Screen { hang_up, thread } => {
                drop(hang_up);
                if !thread.is_finished() {
                    let _ = thread.await;
                }
            }
            Way::Text(scene) => {
                let Summary { done, requests_to_act, requests_to_look, .. } = summary(&scene, &self.ledger);
                let ledger = look(&self.ledger);
                let _ = say(format_args!(
                    "{done} done, median {}, slowest {}; {requests_to_act} requests to act, {requests_to_look} to look.",
                    span(ledger.times.median()),
                    span(ledger.times.slowest()),
                ));
            }
            Way::Json(scene, lines) => {
                let summary = summary(&scene, &self.ledger);
                lines.write(&summary).await;
                lines.end().await;
            }
        }
    }
}

/// Waits until somebody quits at the terminal; elsewhere nobody can.
async fn quit(way: &mut Way) -> anyhow::Result<()> {
    match way {
        Way::Screen { thread, .. } => match thread.await {
            Ok(result) => result.context("cannot draw on the terminal"),
            Err(_) => Err(anyhow::anyhow!("the picture has ended in a panic")),
        },
        Way::Text(_) | Way::Json(..) => std::future::pending().await,
    }
}

fn summary(scene: &Scene, ledger: &Shared) -> Summary {
    let ledger = look(ledger);
    let picture = scene.picture(&ledger);
    Summary {
        rooms: picture.rooms.len(),
        participants: picture.participants(),
        done: ledger.count,
        requests_to_act: picture.requests.0,
        requests_to_look: picture.requests.1,
        median_ms: ledger.times.median().map(millis),
        slowest_ms: ledger.times.slowest().map(millis),
    }
}

/// Prints a line; whether anybody reads it. Where not, as when piped into `head`, the demo ends.
fn say(line: std::fmt::Arguments<'_>) -> bool {
    writeln!(io::stdout(), "{line}").is_ok()
}

fn say_deed(deed: &Deed) -> bool {
    let (done, by) = words(deed);
    let now = jiff::Zoned::now().strftime("%H:%M:%S");
    let took = deed.after.map(|after| format!(", {}", span(Some(after)))).unwrap_or_default();
    say(format_args!("{now} {} {}: {done} by {by}{took}", deed.room, deed.identity))
}

fn say_told(told: &Told) {
    match told {
        Told::Loaded { objects } => drop(say(format_args!("{objects} objects in force"))),
        Told::Broken { mistakes } => {
            for mistake in mistakes {
                let _ = say(format_args!("{mistake}"));
            }
            let _ = say(format_args!("what the manifests said before stays in force"));
        }
        Told::Status { .. } | Told::Gone { .. } => {}
    }
}
