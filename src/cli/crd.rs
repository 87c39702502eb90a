use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::api::{crd_files, crds_yaml};

/// Print the CustomResourceDefinitions as YAML.
///
/// Example: usher crd | kubectl apply --server-side -f -
#[derive(Debug, Args)]
pub(super) struct Crd {
    /// Write a file for each kind into this folder, instead of printing them.
    #[arg(long, env = "USHER_OUTPUT_DIR")]
    output_dir: Option<PathBuf>,
}

impl Crd {
    pub(super) fn execute(&self) -> anyhow::Result<()> {
        let Some(folder) = &self.output_dir else {
            print!("{}", crds_yaml()?);
            return Ok(());
        };
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        for (name, yaml) in crd_files()? {
            let path = folder.join(name);
            std::fs::write(&path, yaml).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}
