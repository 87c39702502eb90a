//! Where tests write: logs that outlive a failure, data that outlives nothing.
//!
//! Logs go to `target/test-logs/<run>/<test program>/<test>/<process>.log`. Data goes to memory, to a directory that
//! the next run removes when this process could not.

use nix::sys::statvfs::statvfs;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

/// How many runs keep their logs when nobody removes them; see [`prune`].
const KEPT_RUNS: usize = 10;

/// The root of the repository.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join("../..").canonicalize().expect("tests/support lies in the repository")
}

/// The directory of one test's logs.
///
/// Everything that a test starts shares it, and it goes away with the last of them, unless the test failed: then it
/// stays and its path is printed. A clone is another handle to the same directory.
#[derive(Clone, Debug)]
pub struct TestDir {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    failed: AtomicBool,
    /// How many logs of each name there are already.
    names: Mutex<HashMap<String, u32>>,
}

/// The directories in use, by name. Weak, for they end with their users. Also held while directories are made or
/// removed, so that none is removed under somebody who has just made it.
static IN_USE: LazyLock<Mutex<HashMap<String, Weak<Inner>>>> = LazyLock::new(Mutex::default);

impl TestDir {
    /// The one of the test that calls this. libtest names the thread of a test after it; outside of a test there is
    /// one directory for all callers.
    pub fn current() -> Self {
        Self::named(std::thread::current().name().unwrap_or("main"))
    }

    /// The one with this name.
    pub fn named(name: &str) -> Self {
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inner) = in_use.get(name).and_then(Weak::upgrade) {
            return Self { inner };
        }
        let path = program_logs().join(name.replace("::", "/"));
        std::fs::create_dir_all(&path).expect("the directory for logs can be made");
        let inner = Arc::new(Inner { path, failed: AtomicBool::new(false), names: Mutex::default() });
        in_use.insert(name.to_owned(), Arc::downgrade(&inner));
        Self { inner }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// A path for the log of a process, which no other process has.
    pub fn log(&self, process: &str) -> PathBuf {
        let mut names = self.inner.names.lock().unwrap_or_else(PoisonError::into_inner);
        let count = names.entry(process.to_owned()).or_insert(0);
        *count += 1;
        match *count {
            1 => self.inner.path.join(format!("{process}.log")),
            n => self.inner.path.join(format!("{process}-{n}.log")),
        }
    }

    /// Keeps the logs, though no panic passes by.
    pub fn keep(&self) {
        if !self.inner.failed.swap(true, Ordering::Relaxed) {
            eprintln!("logs are kept in {}", self.inner.path.display());
        }
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if *self.failed.get_mut() {
            return;
        }
        let _in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = std::fs::remove_dir_all(&self.path);
        // Only what is empty goes: the directories of the module, of the program and of the run.
        let above = self.path.ancestors().skip(1).take_while(|path| path.starts_with(test_logs()));
        for parent in above {
            if std::fs::remove_dir(parent).is_err() {
                break;
            }
        }
    }
}

fn test_logs() -> PathBuf {
    repository().join("target/test-logs")
}

/// The logs of this process. The wrapper gives all test programs under it the same run, which it removes when they
/// have all succeeded; without the wrapper each process is a run of its own.
fn program_logs() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let run = std::env::var("USHER_TEST_RUN").unwrap_or_else(|_| {
            let now = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
            format!("{now}-{}", std::process::id())
        });
        prune(&test_logs(), &run);
        test_logs().join(run).join(program_name())
    })
}

/// The name of this program without the hash that Cargo appends.
fn program_name() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match stem.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => name.to_owned(),
        _ => stem,
    }
}

/// Removes the oldest runs: what is shared by a whole process, such as [`crate::Cluster::shared`], has no end at which
/// its logs could be removed.
fn prune(logs: &Path, current: &str) {
    let Ok(entries) = std::fs::read_dir(logs) else { return };
    let mut runs: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .filter(|entry| entry.file_name() != current)
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    runs.sort();
    let surplus = runs.len().saturating_sub(KEPT_RUNS);
    for (_, path) in runs.drain(..surplus) {
        let _ = std::fs::remove_dir_all(path);
    }
}

/// A new directory for data, in memory where there is enough of it. It is removed when the value is dropped.
pub fn scratch(what: &str) -> tempfile::TempDir {
    static BASE: OnceLock<(PathBuf, File)> = OnceLock::new();
    let (base, _lock) = BASE.get_or_init(scratch_base);
    tempfile::Builder::new().prefix(&format!("{what}-")).tempdir_in(base).expect("a directory for data can be made")
}

const SCRATCH_PREFIX: &str = "usher-test-";

/// Makes the directory of this process and holds a lock in it while the process lives. The lock, unlike a process id,
/// means the same in every PID namespace, and the kernel releases it however the process ends.
fn scratch_base() -> (PathBuf, File) {
    let memory = Path::new("/dev/shm");
    let roomy = statvfs(memory).is_ok_and(|fs| fs.blocks_available() * fs.fragment_size() >= 1 << 30);
    let parent = if roomy { memory.to_owned() } else { std::env::temp_dir() };
    sweep(&parent);
    let base = tempfile::Builder::new()
        .prefix(SCRATCH_PREFIX)
        .disable_cleanup(true)
        .tempdir_in(&parent)
        .expect("a directory for data can be made")
        .keep();
    let lock = File::create(base.join(".lock")).expect("a file can be made in a new directory");
    lock.lock().expect("nobody else locks in a new directory");
    (base, lock)
}

/// Removes what processes left that are no more.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        // A young one may belong to a process that has not come to lock it.
        let old = entry
            .metadata()
            .and_then(|m| m.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > Duration::from_secs(10)));
        if !old || !entry.file_name().to_string_lossy().starts_with(SCRATCH_PREFIX) {
            continue;
        }
        if File::open(entry.path().join(".lock")).is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
