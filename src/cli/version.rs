use clap::Args;

/// The version of this build.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Print version, commit and build.
///
/// Example: usher version
#[derive(Debug, Args)]
pub(super) struct Version;

impl Version {
    pub(super) fn execute(&self) -> anyhow::Result<()> {
        let commit = option_env!("USHER_COMMIT").unwrap_or("unknown");
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        println!(
            "usher {VERSION} (commit {commit}, {build} build, {}-{})",
            std::env::consts::OS,
            std::env::consts::ARCH
        );
        Ok(())
    }
}
