//! The command line: one file for each subcommand.

mod cleanup;
mod crd;
mod demo;
mod lane;
mod lines;
mod object;
mod operator;
mod probe;
mod process;
mod run;
mod simulate;
mod switch;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};

/// Makes LiveKit rooms obey declared policies.
///
/// Example: usher demo
#[derive(Debug, Parser)]
#[command(name = "usher", version = version::VERSION, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Demo(demo::Demo),
    Simulate(simulate::Simulate),
    Suspend(switch::Suspend),
    Resume(switch::Resume),
    Sync(switch::Sync),
    Cleanup(cleanup::Cleanup),
    Crd(crd::Crd),
    Probe(probe::Probe),
    Version(version::Version),
}

impl Cli {
    /// What the arguments say; where they say what cannot be, or ask for help, that is the end.
    #[must_use]
    pub fn from_arguments() -> Self {
        let matches = command().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Does what the arguments say.
    #[must_use]
    pub fn execute(self) -> ExitCode {
        let result = match self.command {
            Command::Run(run) => run.execute(),
            Command::Demo(demo) => demo.execute(),
            Command::Simulate(simulate) => simulate.execute(),
            Command::Suspend(suspend) => suspend.execute(),
            Command::Resume(resume) => resume.execute(),
            Command::Sync(sync) => sync.execute(),
            Command::Cleanup(cleanup) => cleanup.execute(),
            Command::Crd(crd) => crd.execute(),
            Command::Probe(probe) => probe.execute(),
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

/// The command line; as `kubectl-usher`, kubectl's plugin, in its words.
fn command() -> clap::Command {
    let program = std::env::args_os().next().map(std::path::PathBuf::from);
    let is_plugin = program.as_deref().and_then(|path| path.file_stem()).is_some_and(|name| name == "kubectl-usher");
    if is_plugin { Cli::command().bin_name("kubectl usher") } else { Cli::command() }
}

/// Ends the process as any mistake in the arguments does, with code 2.
fn usage(message: &str) -> ! {
    command().error(ErrorKind::InvalidValue, message).exit()
}
