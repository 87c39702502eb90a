//! What a process uses.

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use std::time::Duration;

/// The CPU time of a process since its start, all its threads together, those that have ended included.
///
/// # Panics
///
/// When there is no such process.
pub fn cpu(process: i32) -> Duration {
    let now = clock_getcpuclockid(Pid::from_raw(process)).and_then(|clock| clock.now());
    now.unwrap_or_else(|error| panic!("the CPU time of process {process}: {error}")).into()
}

/// Its memory in RAM, in bytes (proc_pid_status, VmRSS).
///
/// # Panics
///
/// When there is no such process.
pub fn resident(process: i32) -> u64 {
    kibibytes(process, "VmRSS:")
}

/// The part of it that the process asked for and that is no page of a file, in bytes (proc_pid_status, RssAnon).
///
/// # Panics
///
/// When there is no such process.
pub fn anonymous(process: i32) -> u64 {
    kibibytes(process, "RssAnon:")
}

/// The most that has been in RAM at once, in bytes (proc_pid_status, VmHWM).
///
/// # Panics
///
/// When there is no such process.
pub fn most_resident(process: i32) -> u64 {
    kibibytes(process, "VmHWM:")
}

/// Its file descriptors that are open (proc_pid_fd).
///
/// # Panics
///
/// When there is no such process.
pub fn descriptors(process: i32) -> usize {
    entries(process, "fd")
}

/// Its threads (proc_pid_task).
///
/// # Panics
///
/// When there is no such process.
pub fn threads(process: i32) -> usize {
    entries(process, "task")
}

/// The connections to a port of this machine that are established, as whoever opened them counts them (proc_net_tcp).
///
/// # Panics
///
/// When the process that this is about, for whose network it is, does not exist.
pub fn connections_to(process: i32, port: u16) -> usize {
    let table = std::fs::read_to_string(format!("/proc/{process}/net/tcp"));
    let table = table.unwrap_or_else(|error| panic!("the connections of process {process}: {error}"));
    let (remote, established) = (format!(":{port:04X}"), "01");
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().skip(2).take(2).collect::<Vec<_>>());
    rows.filter(|row| matches!(row[..], [to, state] if to.ends_with(&remote) && state == established)).count()
}

fn entries(process: i32, of: &str) -> usize {
    let entries = std::fs::read_dir(format!("/proc/{process}/{of}"));
    entries.unwrap_or_else(|error| panic!("{of} of process {process}: {error}")).count()
}

fn kibibytes(process: i32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.unwrap_or_else(|error| panic!("the memory of process {process}: {error}"));
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}
