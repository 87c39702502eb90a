//! The `participants` program: commands in, replies and events out, one JSON object per line.

use super::history::{History, What};
use super::info::Info;
use crate::dir::TestDir;
use crate::process::{Launch, Process};
use crate::stack::stack_binary;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// One process of it. A thread reads what it writes, so that nothing depends on the runtime of a test.
#[derive(Debug)]
pub(super) struct Program {
    process: Process,
    input: Mutex<ChildStdin>,
    next_id: AtomicU64,
    shared: Arc<Shared>,
    _dir: TestDir,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    histories: HashMap<String, Arc<History>>,
    asked: HashMap<u64, Asked>,
    ended: bool,
}

/// A command without its reply.
#[derive(Debug)]
struct Asked {
    history: Arc<History>,
    reply: oneshot::Sender<Value>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Program {
    pub(super) fn start(flags: &[&str]) -> Self {
        let dir = TestDir::current();
        let launch = Launch::new(stack_binary("participants"), dir.log("participants")).args(flags).piped();
        let mut process = launch.start();
        let (input, output) = process.take_pipes().expect("it was started with pipes");
        let shared = Arc::new(Shared::default());
        let transcript = File::create(dir.log("participants-said")).expect("a log can be made");
        let reader = {
            let shared = Arc::clone(&shared);
            move || read(output, transcript, &shared)
        };
        std::thread::Builder::new().name("participants".to_owned()).spawn(reader).expect("a thread can be started");
        Self { process, input: Mutex::new(input), next_id: AtomicU64::new(1), shared, _dir: dir }
    }

    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// A history for a new handle, which begins with `hint`.
    pub(super) fn history(&self, hint: &str) -> Arc<History> {
        let mut state = self.shared.state();
        let history = Arc::new(History::new(&format!("{hint}#{}", state.histories.len())));
        state.histories.insert(history.handle.clone(), Arc::clone(&history));
        history
    }

    /// Sends a command on behalf of a participant. What comes back is dropped when the program ends before.
    pub(super) fn send(&self, history: &Arc<History>, mut command: Value) -> oneshot::Receiver<Value> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        history.push(Timestamp::now(), What::Asked(describe(&command)));
        command["id"] = id.into();
        command["participant"] = history.handle.as_str().into();
        let (reply, replied) = oneshot::channel();
        let mut state = self.shared.state();
        if !state.ended {
            state.asked.insert(id, Asked { history: Arc::clone(history), reply });
        }
        drop(state);
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        // One write, for the pipe is shared with nobody but has a reader that wants whole lines. When it fails the
        // program has ended, which the reader notices too.
        let _ = input.write_all(format!("{command}\n").as_bytes());
        replied
    }
}

/// A command without its token, which would fill the history.
fn describe(command: &Value) -> String {
    let mut command = command.clone();
    if let Some(command) = command.as_object_mut() {
        command.remove("token");
    }
    command.to_string()
}

fn read(output: ChildStdout, mut transcript: File, shared: &Shared) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let _ = writeln!(transcript, "{line}");
        let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
        match line["reply"].as_u64() {
            Some(id) => take_reply(shared, id, line),
            None => take_event(shared, &line),
        }
    }
    let mut state = shared.state();
    state.ended = true;
    // Whoever waits for a reply learns that there will be none.
    state.asked.clear();
}

fn take_reply(shared: &Shared, id: u64, line: Value) {
    let Some(Asked { history, reply }) = shared.state().asked.remove(&id) else { return };
    // Noted here and not by who waits for the reply, so that the history has the order of the lines.
    match connected(&line) {
        Some((at, info)) => history.joined(at, info),
        None => history.push(Timestamp::now(), What::Answered(line.to_string())),
    }
    let _ = reply.send(line);
}

fn connected(line: &Value) -> Option<(Timestamp, Box<Info>)> {
    let at = line["connected_at"].as_str()?.parse().ok()?;
    Some((at, Box::new(serde_json::from_value(line["participant"].clone()).ok()?)))
}

fn take_event(shared: &Shared, line: &Value) {
    let Some(handle) = line["participant"].as_str() else { return };
    let Some(history) = shared.state().histories.get(handle).cloned() else { return };
    let at = line["at"].as_str().and_then(|at| at.parse().ok()).unwrap_or_else(Timestamp::now);
    history.push(at, What::of_event(line));
}
