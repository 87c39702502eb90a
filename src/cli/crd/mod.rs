mod reference;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::api::{crd_files, crds, crds_yaml};

/// Print the CustomResourceDefinitions as YAML.
///
/// Example: usher crd | kubectl apply --server-side -f -
#[derive(Debug, Args)]
pub(super) struct Crd {
    /// Write a file for each kind into this folder, instead of printing them.
    #[arg(long, env = "USHER_OUTPUT_DIR")]
    output_dir: Option<PathBuf>,
    /// What is written.
    #[arg(long, env = "USHER_FORMAT", value_enum, default_value_t = Format::Yaml)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// The definitions, for `kubectl apply`.
    Yaml,
    /// A page for each kind that describes each field, for people.
    Markdown,
}

impl Crd {
    pub(super) fn execute(&self) -> anyhow::Result<()> {
        let files = match (self.format, &self.output_dir) {
            (Format::Yaml, None) => {
                print!("{}", crds_yaml()?);
                return Ok(());
            }
            (Format::Yaml, Some(_)) => crd_files()?,
            (Format::Markdown, _) => crds().iter().map(reference::page).collect::<Result<_, _>>()?,
        };
        let Some(folder) = &self.output_dir else {
            files.iter().for_each(|(_, page)| println!("{page}"));
            return Ok(());
        };
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}
