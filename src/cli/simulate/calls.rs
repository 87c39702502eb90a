//! The log of calls: who was asked for what, and when.

use std::{io, path::Path};

use jiff::Timestamp;
use serde::Serialize;
use tokio::{
    fs::File,
    io::AsyncWriteExt,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};

use crate::{
    cli::lines::millis,
    simulator::{Served, Simulator},
};

/// Calls that may wait to be written; more are not logged.
const UNWRITTEN: usize = 1 << 16;
/// Calls that are written at once.
const AT_ONCE: usize = 1024;

/// Writes calls to a file until it is ended.
pub(super) struct CallLog {
    end: oneshot::Sender<()>,
    writer: JoinHandle<()>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallLine {
    time: Timestamp,
    method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    /// Whether it was done as asked, and answered.
    done: bool,
    /// How long the participant had been there when it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    since_join_ms: Option<f64>,
}

impl CallLog {
    pub(super) async fn begin(simulator: &Simulator, path: &Path) -> io::Result<Self> {
        let file = File::create(path).await?;
        let calls = simulator.calls(UNWRITTEN);
        let (end, ended) = oneshot::channel();
        let writer = tokio::spawn(async move {
            if let Err(error) = write(calls, file, ended).await {
                tracing::warn!(%error, "calls are logged no more");
            }
        });
        Ok(Self { end, writer })
    }

    /// Waits until all is written.
    pub(super) async fn end(self) {
        let _ = self.end.send(());
        let _ = self.writer.await;
    }
}

async fn write(mut calls: mpsc::Receiver<Served>, mut file: File, mut ended: oneshot::Receiver<()>) -> io::Result<()> {
    let begun = (Instant::now(), Timestamp::now());
    let mut batch = Vec::with_capacity(AT_ONCE);
    loop {
        let count = tokio::select! {
            count = calls.recv_many(&mut batch, AT_ONCE) => count,
            _ = &mut ended, if !ended.is_terminated() => {
                calls.close();
                continue;
            }
        };
        if count == 0 {
            return Ok(());
        }
        let mut text = Vec::new();
        for served in batch.drain(..) {
            serde_json::to_writer(&mut text, &line(served, begun))?;
            text.push(b'\n');
        }
        file.write_all(&text).await?;
        file.flush().await?;
    }
}

fn line(served: Served, (instant, time): (Instant, Timestamp)) -> CallLine {
    let Served { at, method, room, identity, done, since_join } = served;
    CallLine {
        time: time.checked_add(at.saturating_duration_since(instant)).unwrap_or(time),
        method: format!("{method:?}"),
        room,
        identity,
        done,
        since_join_ms: since_join.map(millis),
    }
}
