//! The `usher` binary: parse, dispatch, nothing else.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    usher::cli::Cli::parse().execute()
}
