//! Processes that end with what started them.
//!
//! Three nets hold, one below the other:
//! - A [`Process`] that is dropped, also by a panic, kills its process and waits for its end. Whatever ends a process,
//!   the rest of its process group is killed then.
//! - libtest never drops statics and has no hook for its end. Each process asks the kernel to be killed when its
//!   parent dies. The usual way, `prctl` between fork and exec, is unsafe code; `setpriv` of util-linux does it for
//!   us and then becomes the program, so that the process id is the program's own. To the kernel the parent is the
//!   *thread* that forked, and a test's threads end with the test: therefore one thread starts all processes and
//!   lives as long as this program.
//! - `tests/support/netns` ends everything in its PID namespace: also the children of our processes when this program
//!   is killed, and what was between fork and `prctl` at that moment.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// Which variables of the tests' own environment a process sees. Not all: a `KUBECONFIG` of the developer must not
/// reach the operator under test.
const PASSED_ON: [&str; 7] =
    ["PATH", "LANG", "TMPDIR", "RUST_BACKTRACE", "USHER_LOG_LEVEL", "LLVM_PROFILE_FILE", "GOCOVERDIR"];

/// What to start: a builder for a [`Process`], and the means to start the same again.
#[derive(Clone, Debug)]
pub struct Launch {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    log: PathBuf,
    input: Input,
    output: Output,
}

#[derive(Clone, Debug)]
enum Input {
    Nothing,
    Pipe,
    File(PathBuf),
}

#[derive(Clone, Debug)]
enum Output {
    Log,
    Pipe,
    File(PathBuf),
}

impl Launch {
    /// A program whose output, both of them, is appended to a log.
    pub fn new(program: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            log: log.into(),
            input: Input::Nothing,
            output: Output::Log,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Gives it a pipe as standard input and another as standard output; see [`Process::take_pipes`].
    #[must_use]
    pub fn piped(mut self) -> Self {
        self.input = Input::Pipe;
        self.output = Output::Pipe;
        self
    }

    /// Gives it files as standard input and output.
    #[must_use]
    pub fn files(mut self, input: impl Into<PathBuf>, output: impl Into<PathBuf>) -> Self {
        self.input = Input::File(input.into());
        self.output = Output::File(output.into());
        self
    }

    /// Where its log is.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(&self) -> Process {
        self.try_start().unwrap_or_else(|error| panic!("cannot start {}: {error}", self.program.display()))
    }

    fn try_start(&self) -> io::Result<Process> {
        if self.program.is_absolute() && !self.program.exists() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no such file"));
        }
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program).args(&self.args);
        command.env_clear();
        for name in PASSED_ON {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        // A group of its own: Ctrl-C at the terminal is for the tests, whose end then ends this process.
        command.process_group(0);
        command.stdin(match &self.input {
            Input::Nothing => Stdio::null(),
            Input::Pipe => Stdio::piped(),
            Input::File(path) => File::open(path)?.into(),
        });
        command.stdout(match &self.output {
            Output::Log => log.try_clone()?.into(),
            Output::Pipe => Stdio::piped(),
            Output::File(path) => File::create(path)?.into(),
        });
        command.stderr(log);
        let child = spawn_from_the_one_thread(command)?;
        Ok(Process::watch(child, self.log.clone()))
    }
}

/// A command and where its outcome goes.
type Job = (Command, mpsc::SyncSender<io::Result<Child>>);

fn spawn_from_the_one_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        let run = move || {
            for (mut command, outcome) in queue {
                let _ = outcome.send(command.spawn());
            }
        };
        std::thread::Builder::new().name("spawner".to_owned()).spawn(run).expect("a thread can be started");
        jobs
    });
    let (sender, outcome) = mpsc::sync_channel(1);
    SPAWNER.send((command, sender)).map_err(io::Error::other)?;
    outcome.recv().map_err(io::Error::other)?
}

/// A running process. Dropping it kills it and waits until it is gone.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    log: PathBuf,
    /// The status, once it has ended. A watch channel belongs to no runtime.
    end: watch::Receiver<Option<ExitStatus>>,
    /// Held while a signal is sent and while the process is reaped: in between, its id could be somebody else's.
    reaping: Arc<Mutex<()>>,
    reaper: Option<JoinHandle<()>>,
    pipes: Option<(ChildStdin, ChildStdout)>,
}

impl Process {
    fn watch(mut child: Child, log: PathBuf) -> Self {
        let pid = Pid::from_raw(child.id().cast_signed());
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (ended, end) = watch::channel(None);
        let reaping = Arc::new(Mutex::new(()));
        let run = {
            let reaping = Arc::clone(&reaping);
            move || {
                // Waits without reaping, so that the lock need not be held meanwhile.
                let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
                while waitid(Id::Pid(pid), flags) == Err(Errno::EINTR) {}
                let _reaping = reaping.lock().unwrap_or_else(PoisonError::into_inner);
                // What it started and left in its group. Now, for once reaped its id may name another group.
                let _ = killpg(pid, Signal::SIGKILL);
                let status = child.wait().expect("a child that has ended can be reaped");
                ended.send_replace(Some(status));
            }
        };
        let reaper = std::thread::Builder::new().name(format!("reaper-{pid}")).spawn(run);
        let reaper = Some(reaper.expect("a thread can be started"));
        Self { pid, log, end, reaping, reaper, pipes }
    }

    /// Its process id.
    pub fn id(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Where its log is.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its standard input and output, when it was started with [`Launch::piped`]; once.
    pub fn take_pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.pipes.take()
    }

    /// How it ended, when it has.
    pub fn status(&self) -> Option<ExitStatus> {
        *self.end.borrow()
    }

    /// Waits for its end.
    pub async fn ended(&self) -> ExitStatus {
        let mut end = self.end.clone();
        let status = end.wait_for(Option::is_some).await.expect("the reaper says how the process ended before it ends");
        status.expect("it was just looked at")
    }

    /// Sends it a signal. One that has ended gets none.
    pub fn signal(&self, signal: Signal) {
        let _reaping = self.reaping.lock().unwrap_or_else(PoisonError::into_inner);
        if self.status().is_none() {
            kill(self.pid, signal).expect("a child can be sent signals");
        }
    }

    /// Stops it as it stands, by SIGSTOP. Its connections stay open and are not answered.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it continue, by SIGCONT.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Kills it by SIGKILL and waits until it is gone.
    pub async fn kill(&self) -> ExitStatus {
        self.signal(Signal::SIGKILL);
        self.ended().await
    }

    /// Asks it to end by SIGTERM and waits. `None` when it has not ended in time; it then still runs.
    pub async fn terminate(&self, timeout: Duration) -> Option<ExitStatus> {
        self.signal(Signal::SIGTERM);
        tokio::time::timeout(timeout, self.ended()).await.ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        if let Some(reaper) = self.reaper.take() {
            let _ = reaper.join();
        }
    }
}
