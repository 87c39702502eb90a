//! Nothing that a test started outlives it, however it ends.

#![allow(clippy::expect_used, clippy::panic)]

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use usher_testkit::{Launch, TestDir, eventually, repository, scratch};

const SOON: Duration = Duration::from_secs(10);

/// Whether there is such a process. One that waits to be reaped by somebody is none.
fn is_alive(pid: i32) -> bool {
    if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return false;
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z')
}

async fn wait_gone(pids: &[i32]) {
    eventually(SOON, "the processes to be gone", async || {
        let alive: Vec<i32> = pids.iter().copied().filter(|pid| is_alive(*pid)).collect();
        if alive.is_empty() { Ok(()) } else { Err(format!("{alive:?}")) }
    })
    .await;
}

fn sleep(dir: &TestDir) -> usher_testkit::Process {
    Launch::new("sleep", dir.log("sleep")).arg("1000").start()
}

#[test]
fn a_dropped_process_is_gone() {
    let dir = TestDir::current();
    let process = sleep(&dir);
    let frozen = sleep(&dir);
    frozen.freeze();
    let pids = [process.id(), frozen.id()];
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    drop((process, frozen));
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
}

#[test]
fn a_panic_ends_processes_and_keeps_logs() {
    let mut seen = None;
    let result = catch_unwind(AssertUnwindSafe(|| {
        let dir = TestDir::named("a-panic-on-purpose");
        let process = Launch::new("sh", dir.log("sh")).args(["-c", "echo said; exec sleep 1000"]).start();
        seen = Some((process.id(), process.log().to_owned()));
        // It has begun, and with it its log.
        while !std::fs::read_to_string(process.log()).is_ok_and(|log| log.contains("said")) {
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("on purpose");
    }));
    assert!(result.is_err());
    let (pid, log) = seen.expect("it started");
    assert!(!is_alive(pid));
    assert!(log.exists());
    // Nobody needs what was kept on purpose.
    std::fs::remove_dir_all(log.parent().expect("it has a directory")).expect("it can be removed");
}

#[test]
fn logs_of_what_succeeded_are_removed_with_the_last_user() {
    let dir = TestDir::named("a-success");
    let process = sleep(&dir);
    let (path, log) = (dir.path().to_owned(), process.log().to_owned());
    let other = TestDir::named("a-success");
    drop((dir, process));
    assert!(log.exists());
    drop(other);
    assert!(!path.exists());
}

#[tokio::test]
async fn ends_are_told_and_signals_to_the_dead_are_harmless() {
    let dir = TestDir::current();
    let process = Launch::new("sh", dir.log("sh")).args(["-c", "exit 3"]).start();
    assert_eq!(process.ended().await.code(), Some(3));
    process.signal(Signal::SIGTERM);
    assert_eq!(process.status().and_then(|status| status.code()), Some(3));

    // The shell waits for a child, which must go with it.
    let script = "trap '' TERM; sleep 1000 & echo $!; wait";
    let stubborn = Launch::new("sh", dir.log("sh")).args(["-c", script]).start();
    let log = stubborn.log().to_owned();
    let child: i32 = eventually(SOON, "the child's id", async || {
        let said = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
        said.strip_suffix('\n').and_then(|id| id.parse().ok()).ok_or(said)
    })
    .await;
    assert_eq!(stubborn.terminate(Duration::from_millis(200)).await, None);
    assert!(is_alive(child));
    assert!(!stubborn.kill().await.success());
    wait_gone(&[child]).await;
}

/// Not a test: the process that the next ones end. It tells the ids of what it has started and waits, or ends itself.
#[test]
#[ignore = "a part of other tests"]
fn victim() {
    let Some(report) = std::env::var_os("VICTIM_REPORT").map(PathBuf::from) else { return };
    let dir = TestDir::named("victim");
    // From a thread that ends at once: what it started must live on.
    let process = std::thread::spawn(move || sleep(&dir)).join().expect("it starts");
    std::thread::sleep(Duration::from_millis(100));
    assert!(is_alive(process.id()), "the process ended with the thread that asked for it");
    std::fs::write(report.with_extension("new"), process.id().to_string()).expect("it can be told");
    std::fs::rename(report.with_extension("new"), &report).expect("it can be told");
    // As a static would be, never dropped.
    std::mem::forget(process);
    if std::env::var_os("VICTIM_ENDS").is_none() {
        std::thread::sleep(Duration::from_secs(1000));
    }
}

/// Runs the victim and returns it and the id of what it has started.
async fn run_victim(report: &Path, ends: bool) -> (std::process::Child, i32) {
    let mut command = Command::new(std::env::current_exe().expect("this test has a path"));
    command.args(["--ignored", "--exact", "victim", "--quiet"]).env("VICTIM_REPORT", report);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if ends {
        command.env("VICTIM_ENDS", "1");
    }
    let child = command.spawn().expect("this test can be run");
    let pid = eventually(SOON, "the report", async || {
        std::fs::read_to_string(report).map_err(|error| error.to_string())?.parse().map_err(|_| "no id".to_owned())
    })
    .await;
    (child, pid)
}

#[tokio::test]
async fn processes_in_statics_end_with_the_test_program() {
    let data = scratch("victim");
    let (mut child, pid) = run_victim(&data.path().join("report"), true).await;
    assert!(child.wait().expect("it ends").success());
    wait_gone(&[pid]).await;
}

#[tokio::test]
async fn processes_end_with_a_test_program_that_is_killed() {
    let data = scratch("victim");
    let (mut child, pid) = run_victim(&data.path().join("report"), false).await;
    assert!(is_alive(pid));
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    wait_gone(&[pid]).await;
}

/// The processes whose command line has this argument.
fn with_argument(argument: &str) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").expect("there is /proc").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|part| part == argument.as_bytes())
    })
    .collect()
}

/// Whether this process ignores a signal, and whatever it starts.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("there is /proc");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("it tells what is ignored");
    let mask = u64::from_str_radix(mask.trim(), 16).expect("a hexadecimal number");
    mask & (1 << (signal as i32 - 1)) != 0
}

/// What ends the wrapper, and the status it shall then have.
#[derive(Clone, Copy, Debug)]
enum End {
    Itself,
    Signal(Signal),
}

#[tokio::test]
async fn the_wrapper_leaves_nothing_however_it_ends() {
    let wrapper = repository().join("tests/support/netns");
    let probe = Command::new(&wrapper).arg("true").output().expect("the wrapper runs");
    if !probe.stderr.is_empty() {
        println!("skipped: {}", String::from_utf8_lossy(&probe.stderr));
        return;
    }
    let ends = [
        End::Itself,
        End::Signal(Signal::SIGINT),
        End::Signal(Signal::SIGTERM),
        End::Signal(Signal::SIGHUP),
        End::Signal(Signal::SIGKILL),
    ];
    for (n, end) in ends.into_iter().enumerate() {
        // As under nohup: no shell can trap what was ignored before it began.
        if let End::Signal(signal) = end
            && is_ignored(signal)
        {
            println!("{signal} is ignored here, and so by the wrapper");
            continue;
        }
        // One in a session of its own, which nothing but the namespace can find, and one in the foreground.
        let (orphan, last) = (format!("1000.{}{n}", std::process::id()), format!("2000.{}{n}", std::process::id()));
        let foreground =
            if matches!(end, End::Itself) { "sleep 0.3; exit 7".to_owned() } else { format!("sleep {last}") };
        let script = format!("setsid sleep {orphan} & {foreground}");
        let start = Instant::now();
        let mut child = Command::new(&wrapper).args(["bash", "-c", &script]).spawn().expect("the wrapper runs");
        let pids = eventually(SOON, "the orphan to run", async || {
            let pids = [with_argument(&orphan), with_argument(&last)].concat();
            let enough = pids.len() >= if matches!(end, End::Itself) { 1 } else { 2 };
            if enough { Ok(pids) } else { Err(format!("{pids:?}")) }
        })
        .await;
        println!("{end:?}: running after {:?}", start.elapsed());
        if let End::Signal(signal) = end {
            let pid = Pid::from_raw(child.id().cast_signed());
            kill(pid, signal).expect("the wrapper can be sent signals");
        }
        let status = eventually(SOON, "the wrapper to end", async || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        })
        .await;
        wait_gone(&pids).await;
        match end {
            End::Itself => assert_eq!(status.code(), Some(7), "{end:?}"),
            End::Signal(Signal::SIGINT) => assert_eq!(status.code(), Some(130), "{end:?}"),
            End::Signal(_) => assert!(!status.success(), "{end:?}"),
        }
    }
}
