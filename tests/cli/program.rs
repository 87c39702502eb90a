//! The program under test, and what it says.

use std::{
    ffi::OsStr,
    io::{Read, Write},
    process::{ChildStdin, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use serde_json::Value;
use usher_testkit::{Launch, Process, TestDir, eventually};

/// How long anything may take that takes milliseconds when nothing else runs.
pub(crate) const SOON: Duration = Duration::from_secs(45);

/// The program.
pub(crate) const USHER: &str = env!("CARGO_BIN_EXE_usher");

/// A running program whose standard output is read line by line.
pub(crate) struct Program {
    process: Process,
    input: ChildStdin,
    output: Arc<Mutex<Vec<u8>>>,
    /// Reads the output to its end.
    reader: JoinHandle<()>,
    /// Where its log is, as long as it is held.
    _dir: TestDir,
}

/// A program that has ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// How the program is started: with nothing in its environment but what is needed to run.
pub(crate) fn launch<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Launch {
    Launch::new(USHER, TestDir::current().log("usher")).args(args)
}

impl Program {
    pub(crate) fn start(launch: Launch) -> Self {
        let dir = TestDir::current();
        let mut process = launch.piped().start();
        let (input, mut pipe) = process.take_pipes().unwrap();
        let output = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&output);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                heard.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
            }
        });
        Self { process, input, output, reader, _dir: dir }
    }

    pub(crate) fn usher<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        Self::start(launch(args))
    }

    /// What it has said on its standard output, as it is.
    pub(crate) fn raw(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// What it has said on its standard output, in whole lines.
    pub(crate) fn said(&self) -> Vec<String> {
        let raw = self.raw();
        let whole = raw.rfind('\n').map_or("", |end| &raw[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// What it has said on its standard error.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.process.log()).unwrap_or_default()
    }

    /// What it has said as JSON.
    pub(crate) fn objects(&self) -> Vec<Value> {
        let read = |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        self.said().iter().map(read).collect()
    }

    /// Waits until it has said something as JSON that is as wanted, after so many lines.
    pub(crate) async fn wait_for(&self, after: usize, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(SOON, what, async || {
            let found = self.objects().into_iter().skip(after).find(|object| is(object));
            found.ok_or_else(|| format!("{}\n{}", self.said().join("\n"), self.log()))
        })
        .await
    }

    /// Types something.
    pub(crate) fn type_in(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).unwrap();
        self.input.flush().unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Ended {
        let status = tokio::time::timeout(SOON, self.process.ended()).await;
        let status = status.unwrap_or_else(|_| panic!("it does not end: {}", self.log()));
        // Whatever it started has ended with it, so that the pipe has an end.
        let reader = std::mem::replace(&mut self.reader, std::thread::spawn(|| {}));
        tokio::task::spawn_blocking(|| reader.join()).await.unwrap().unwrap();
        Ended { status, stdout: self.raw().trim_end_matches('\n').to_owned(), stderr: self.log() }
    }

    /// Asks it to end, and waits.
    pub(crate) async fn terminate(self) -> Ended {
        self.process.terminate(SOON).await.unwrap_or_else(|| panic!("it does not end: {}", self.log()));
        self.ended().await
    }
}

/// Runs the program to its end.
pub(crate) async fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Ended {
    Program::usher(args).ended().await
}

/// Whether a line tells of an object's status whose condition Ready has this reason.
pub(crate) fn is_ready(line: &Value, name: &str, reason: &str) -> bool {
    let conditions = line["status"]["conditions"].as_array();
    let ready = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == "Ready"));
    line["type"] == "status" && line["name"] == name && ready.is_some_and(|ready| ready["reason"] == reason)
}
