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

/// The most that has been in RAM at once, in bytes (proc_pid_status, VmHWM).
///
/// # Panics
///
/// When there is no such process.
pub fn most_resident(process: i32) -> u64 {
    kibibytes(process, "VmHWM:")
}

fn kibibytes(process: i32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.unwrap_or_else(|error| panic!("the memory of process {process}: {error}"));
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}
