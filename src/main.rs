//! The `usher` binary: parse, dispatch, nothing else.

use std::process::ExitCode;

/// What is kept of many participants, and let go of, leaves the system's allocator with a third more memory than it
/// needs (docs/benchmarks.md, Scale).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    usher::cli::Cli::from_arguments().execute()
}
