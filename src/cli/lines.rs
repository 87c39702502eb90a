//! Lines of JSON for programs.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde::Serialize;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    engine::{Deed, Done},
    policy::{TransferId, Transport},
};

/// Lines that may wait for whoever reads them.
const UNWRITTEN: usize = 1024;

/// Writes a JSON object a line, each with its time. On a thread of its own, for who reads may be slow.
pub(super) struct Lines {
    sender: mpsc::Sender<String>,
    writer: JoinHandle<()>,
    heard: Arc<AtomicBool>,
}

#[derive(Serialize)]
struct Timed<'a, T> {
    time: Timestamp,
    #[serde(flatten)]
    line: &'a T,
}

impl Lines {
    pub(super) fn to(mut out: impl Write + Send + 'static) -> Self {
        let (sender, mut lines) = mpsc::channel::<String>(UNWRITTEN);
        let heard = Arc::new(AtomicBool::new(true));
        let hears = Arc::clone(&heard);
        let writer = tokio::task::spawn_blocking(move || {
            while let Some(line) = lines.blocking_recv() {
                // Whoever read has gone: that is no reason to stop enforcing.
                let hears_us = hears.load(Ordering::Relaxed);
                if hears_us && out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
                    hears.store(false, Ordering::Relaxed);
                    tracing::warn!("nobody reads the status any more");
                }
            }
        });
        Self { sender, writer, heard }
    }

    /// Writes a line.
    pub(super) async fn write(&self, line: &impl Serialize) {
        match serde_json::to_string(&Timed { time: Timestamp::now(), line }) {
            Ok(line) => drop(self.sender.send(line + "\n").await),
            Err(error) => tracing::warn!(%error, "a line cannot be written as JSON"),
        }
    }

    /// Whether anybody still reads, as far as is known.
    pub(super) fn is_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Waits until all is written.
    pub(super) async fn end(self) {
        drop(self.sender);
        let _ = self.writer.await;
    }
}

/// What was done to a participant, for programs.
#[derive(Serialize)]
#[serde(tag = "type", rename = "deed", rename_all = "camelCase")]
pub(super) struct DeedLine {
    server: String,
    room: String,
    identity: String,
    did: &'static str,
    /// The rules, or the forward or move, that wanted it.
    by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldLine>,
    /// From noticing that it was not as declared to LiveKit's word that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ms: Option<f64>,
}

#[derive(Serialize)]
struct FieldLine {
    field: String,
    wanted: String,
    seen: String,
    by: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    over: Vec<String>,
}

/// A deed as a line.
pub(super) fn deed_line(deed: &Deed) -> DeedLine {
    let of = |id: &TransferId| vec![id.name.to_string()];
    let (did, by, to, fields) = match &deed.what {
        Done::Removed(rule) => ("removed", vec![rule.to_string()], None, Vec::new()),
        Done::Retired(id) => ("retired", of(id), None, Vec::new()),
        Done::Brought(id, to) => {
            let did = match id.transport {
                Transport::Forward => "forwarded",
                Transport::Move => "moved",
            };
            (did, of(id), Some(to.to_string()), Vec::new())
        }
        Done::Changed(decisions) => {
            let mut by: Vec<_> = decisions.iter().map(|decision| decision.by.to_string()).collect();
            by.sort();
            by.dedup();
            let fields = decisions.iter().map(|decision| FieldLine {
                field: decision.field.to_string(),
                wanted: decision.wanted.to_string(),
                seen: decision.seen.to_string(),
                by: decision.by.to_string(),
                over: decision.over.iter().map(ToString::to_string).collect(),
            });
            ("changed", by, None, fields.collect())
        }
    };
    DeedLine {
        server: deed.server.to_string(),
        room: deed.room.to_string(),
        identity: deed.identity.to_string(),
        did,
        by,
        to,
        fields,
        after_ms: deed.after.map(millis),
    }
}

/// To a hundredth.
pub(super) fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 100_000.0).round() / 100.0
}
