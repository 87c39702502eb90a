//! What happened to one participant, in the order in which it got to know.

use super::info::Info;
use jiff::Timestamp;
use serde_json::Value;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Something that happened to a participant.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// The test asked for something.
    Asked(String),
    /// And was answered, other than by joining.
    Answered(String),
    /// It is connected; the information is that of the moment when the server let it in.
    Joined(Box<Info>),
    /// The server told it something about itself.
    Updated(Box<Info>),
    /// The server told it to mute or unmute a track.
    Muted { track: String, muted: bool },
    /// The server unpublished its track.
    Unpublished { track: String },
    /// A refreshed token arrived.
    Token,
    /// The connection ended; a server that says goodbye says why.
    Left { reason: Option<String> },
    /// Something about another participant.
    Other(Box<Info>),
    /// A line that this testkit does not know.
    Unknown(String),
}

impl What {
    /// Reads an event of the `participants` program.
    pub(super) fn of_event(line: &Value) -> Self {
        let info = || serde_json::from_value(line["info"].clone()).map(Box::new);
        let track = || line["track"].as_str().unwrap_or_default().to_owned();
        match line["event"].as_str() {
            Some("updated") => info().map_or_else(|error| Self::Unknown(format!("{error}: {line}")), Self::Updated),
            Some("other") => info().map_or_else(|error| Self::Unknown(format!("{error}: {line}")), Self::Other),
            Some("muted") => Self::Muted { track: track(), muted: line["muted"].as_bool().unwrap_or_default() },
            Some("unpublished") => Self::Unpublished { track: track() },
            Some("token") => Self::Token,
            Some("left") => Self::Left { reason: line["reason"].as_str().map(str::to_owned) },
            Some("closed") => Self::Left { reason: None },
            _ => Self::Unknown(line.to_string()),
        }
    }

    /// Whether the server did this to the participant.
    pub(super) fn is_change(&self) -> bool {
        matches!(self, Self::Updated(_) | Self::Muted { .. } | Self::Unpublished { .. } | Self::Left { .. })
    }
}

/// A history that grows, and that can be waited on from any runtime.
#[derive(Debug)]
pub(super) struct History {
    pub(super) handle: String,
    entries: Mutex<Vec<Entry>>,
    grown: watch::Sender<()>,
}

impl History {
    pub(super) fn new(handle: &str) -> Self {
        Self { handle: handle.to_owned(), entries: Mutex::default(), grown: watch::Sender::new(()) }
    }

    pub(super) fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, at: Timestamp, what: What) {
        self.entries().push(Entry { at, what });
        self.grown.send_replace(());
    }

    /// Adds that it has joined. The server may have changed the participant between letting it in and its being
    /// connected, and those changes are here already: the state at its joining goes before them.
    pub(super) fn joined(&self, connected_at: Timestamp, info: Box<Info>) {
        let mut entries = self.entries();
        let earlier = |entry: &Entry| matches!(&entry.what, What::Updated(update) if update.sid == info.sid && !info.sid.is_empty());
        let place = entries.iter().position(earlier).unwrap_or(entries.len());
        entries.insert(place, Entry { at: connected_at, what: What::Joined(info) });
        drop(entries);
        self.grown.send_replace(());
    }

    /// Waits until `look` finds what it looks for.
    pub(super) async fn wait<T>(&self, mut look: impl FnMut(&[Entry]) -> Option<T>) -> T {
        let mut grown = self.grown.subscribe();
        loop {
            grown.mark_unchanged();
            if let Some(found) = look(&self.entries()) {
                return found;
            }
            // The sender lives in self.
            let _ = grown.changed().await;
        }
    }

    /// The participant as it last was.
    pub(super) fn info(&self) -> Option<Info> {
        infos(&self.entries()).last().map(|(_, info)| info.clone())
    }
}

/// The states of a participant, one after the other, and since when it knew each.
///
/// The server may send a state after a newer one of the same session: its version is lower then, and LiveKit's own
/// clients pass over it.
pub(super) fn infos(entries: &[Entry]) -> impl DoubleEndedIterator<Item = (Timestamp, &Info)> {
    let mut infos: Vec<(Timestamp, &Info)> = Vec::new();
    for entry in entries {
        let (What::Joined(info) | What::Updated(info)) = &entry.what else { continue };
        let overtaken = infos.last().is_some_and(|(_, last)| last.sid == info.sid && last.version > info.version);
        if !overtaken {
            infos.push((entry.at, info));
        }
    }
    infos.into_iter()
}

/// What happened since the last time it joined.
pub(super) fn since_joining(entries: &[Entry]) -> &[Entry] {
    let joined = entries.iter().rposition(|entry| matches!(entry.what, What::Joined(_)));
    &entries[joined.unwrap_or(0)..]
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries();
        writeln!(f, "history of {} ({} entries):", self.handle, entries.len())?;
        let Some(start) = entries.first().map(|entry| entry.at) else { return Ok(()) };
        for Entry { at, what } in entries.iter() {
            let since = at.duration_since(start).as_secs_f64() * 1000.0;
            write!(f, "  {since:>9.1} ms  ")?;
            match what {
                What::Asked(text) => writeln!(f, "> {text}")?,
                What::Answered(text) => writeln!(f, "< {text}")?,
                What::Joined(info) => writeln!(f, "joined {}", short(info))?,
                What::Updated(info) => writeln!(f, "updated {}", short(info))?,
                What::Other(info) => writeln!(f, "other: {} {}", info.identity, info.state)?,
                What::Unknown(line) => writeln!(f, "not understood: {line}")?,
                other => writeln!(f, "{other:?}")?,
            }
        }
        Ok(())
    }
}

/// An [`Info`] in one line.
fn short(info: &Info) -> String {
    let p = &info.permission;
    let mut may = Vec::new();
    let flags = [
        (p.can_subscribe, "subscribe"),
        (p.can_publish, "publish"),
        (p.can_publish_data, "data"),
        (p.can_update_metadata, "update-own"),
        (p.can_subscribe_metrics, "metrics"),
        (p.can_manage_agent_session, "agent-session"),
        (p.hidden, "hidden"),
        (p.recorder, "recorder"),
        (p.agent, "agent"),
    ];
    may.extend(flags.iter().filter(|(set, _)| *set).map(|(_, name)| (*name).to_owned()));
    may.extend(p.can_publish_sources.iter().cloned());
    let tracks: Vec<String> = info
        .tracks
        .iter()
        .map(|track| format!("{}={}{}", track.sid, track.source, if track.muted { " muted" } else { "" }))
        .collect();
    format!(
        "{} {} {} v{} name={:?} metadata={:?} attributes={:?} may=[{}] tracks=[{}]",
        info.sid,
        info.kind,
        info.state,
        info.version,
        info.name,
        info.metadata,
        info.attributes,
        may.join(" "),
        tracks.join(", "),
    )
}
