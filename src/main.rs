//! The `usher` binary: parse, dispatch, nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    usher::cli::Cli::from_arguments().execute()
}
