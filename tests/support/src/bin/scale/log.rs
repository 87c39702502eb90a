//! The log of calls that the simulated server writes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
    time::Duration,
};

use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// When everybody has been changed, whatever else is asked within this time belongs to it.
pub const LAST_WORDS: Duration = Duration::from_millis(1500);

/// A call, as it is logged.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    pub time: Timestamp,
    pub method: String,
    #[serde(default)]
    pub identity: String,
    pub done: bool,
    /// How long the participant had been there.
    pub since_join_ms: Option<f64>,
}

/// Reads the log as it grows.
pub struct CallLog {
    path: PathBuf,
    read: u64,
    pub calls: Vec<Call>,
}

/// Calls of one phase, in their order.
#[derive(Clone, Copy)]
pub struct Calls<'a>(pub &'a [Call]);

impl CallLog {
    pub fn at(path: PathBuf) -> Self {
        Self { path, read: 0, calls: Vec::new() }
    }

    /// Reads what is new, in whole lines.
    pub fn look(&mut self) {
        let mut text = Vec::new();
        let mut file = File::open(&self.path).expect("the calls are logged");
        let read = file.seek(SeekFrom::Start(self.read)).and_then(|_| file.read_to_end(&mut text));
        read.expect("the log can be read");
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.read += whole as u64;
        for line in text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.calls.push(serde_json::from_slice(line).expect("a call is a line of JSON"));
        }
    }

    /// Waits until so many identities that begin so have been changed since a place in the log, or for as long as
    /// patience lasts.
    pub async fn wait_changed(&mut self, from: usize, prefix: &str, count: usize, patience: Duration) {
        let until = Instant::now() + patience;
        let (mut changed, mut seen) = (HashSet::new(), from);
        loop {
            self.look();
            let new = self.calls[seen..].iter().filter(|call| call.is_change_of(prefix));
            changed.extend(new.map(|call| call.identity.clone()));
            seen = self.calls.len();
            if changed.len() >= count || Instant::now() > until {
                break;
            }
            sleep(LOOK).await;
        }
        sleep(LAST_WORDS).await;
        self.look();
    }
}

impl Call {
    fn is_change_of(&self, prefix: &str) -> bool {
        self.done && self.method == "UpdateParticipant" && self.identity.starts_with(prefix)
    }
}

impl<'a> Calls<'a> {
    /// How many of each method; those that were refused are counted by themselves.
    pub fn by_method(self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for call in self.0 {
            let name = if call.done { call.method.clone() } else { format!("{}, refused", call.method) };
            *counts.entry(name).or_default() += 1;
        }
        counts
    }

    /// The first change of each identity that begins so.
    pub fn first_changes(self, prefix: &str) -> HashMap<&'a str, &'a Call> {
        let mut first = HashMap::new();
        for call in self.0.iter().filter(|call| call.is_change_of(prefix)) {
            first.entry(call.identity.as_str()).or_insert(call);
        }
        first
    }
}
