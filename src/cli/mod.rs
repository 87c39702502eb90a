//! The command line: one file for each subcommand.

mod crd;
mod run;
mod version;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Makes LiveKit rooms obey declared policies.
#[derive(Debug, Parser)]
#[command(name = "usher", version = version::VERSION, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator: from a kubeconfig, or in a cluster.
    Run(run::Run),
    /// Print the CustomResourceDefinitions.
    Crd(crd::Crd),
    /// Print version, commit and build.
    Version(version::Version),
}

impl Cli {
    /// Does what the arguments say.
    #[must_use]
    pub fn execute(self) -> ExitCode {
        let result = match self.command {
            Command::Run(run) => run.execute(),
            Command::Crd(crd) => crd.execute(),
            Command::Version(version) => version.execute(),
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        }
    }
}
