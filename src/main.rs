//! The `usher` binary: parse, dispatch, nothing else.

use std::process::ExitCode;

/// With the system's allocator the same operator took a sixth more memory after a cold start of `make scale`, and a
/// quarter more after its change.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    usher::cli::Cli::from_arguments().execute()
}
