//! How the demo is shown: as a picture, as lines for people, as lines for programs.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, mpsc as std_mpsc},
    time::Duration,
};

use anyhow::Context;
use serde::Serialize;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    Output,
    ledger::words,
    picture::{Scene, span},
    screen::{self, Shared, look},
};
use crate::{
    cli::lines::{Lines, deed_line, millis},
    engine::Deed,
    files::Told,
};

/// Between two summaries in JSON.
const SUMMARY_EVERY: Duration = Duration::from_secs(5);

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

#[derive(Serialize)]
#[serde(tag = "type", rename = "started", rename_all = "camelCase")]
struct Started {
    livekit: String,
    folder: PathBuf,
}

/// How it is shown.
pub(super) struct Show {
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
    pub(super) async fn begin(output: Output, scene: Scene, ledger: Shared) -> Self {
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
    pub(super) async fn go_on(
        &mut self,
        mut deeds: mpsc::Receiver<Deed>,
        mut news: mpsc::Receiver<Told>,
    ) -> anyhow::Result<()> {
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
    pub(super) async fn end(self) {
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
