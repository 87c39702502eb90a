//! Running the real kubectl and helm.

use crate::process::Launch;
use crate::stack::stack_binary;
use std::path::Path;

/// What kubectl or helm said.
#[derive(Clone, Debug)]
pub struct CommandOutput {
    /// The command line, for messages.
    pub command: String,
    /// Whether it exited with 0.
    pub success: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl CommandOutput {
    /// Its standard output.
    ///
    /// # Panics
    ///
    /// When it failed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.success, "`{}` failed: {}{}", self.command, self.stdout, self.stderr);
        self.stdout
    }

    /// Its standard error.
    ///
    /// # Panics
    ///
    /// When it succeeded.
    #[track_caller]
    pub fn refused(self) -> String {
        assert!(!self.success, "`{}` succeeded: {}{}", self.command, self.stdout, self.stderr);
        self.stderr
    }
}

/// Runs it with files for its input and output: a pipe could fill up while nobody reads it.
pub(super) async fn run(
    program: &str,
    data: &Path,
    kubeconfig: &Path,
    args: &[&str],
    stdin: Option<&str>,
) -> CommandOutput {
    let files = tempfile::tempdir_in(data).expect("a directory can be made");
    let path = |name: &str| files.path().join(name);
    std::fs::write(path("in"), stdin.unwrap_or_default()).expect("a file can be written");
    let process = Launch::new(stack_binary(program), path("err"))
        .args(args)
        .env("KUBECONFIG", kubeconfig)
        // Where it caches what it has discovered.
        .env("HOME", data)
        .files(path("in"), path("out"))
        .start();
    let status = process.ended().await;
    let read = |name| std::fs::read_to_string(path(name)).unwrap_or_default();
    CommandOutput {
        command: format!("{program} {}", args.join(" ")),
        success: status.success(),
        stdout: read("out"),
        stderr: read("err"),
    }
}
