use clap::Args;

/// Print the CustomResourceDefinitions as YAML.
///
/// Example: usher crd | kubectl apply --server-side -f -
#[derive(Debug, Args)]
pub(super) struct Crd;

impl Crd {
    pub(super) fn execute(&self) -> anyhow::Result<()> {
        print!("{}", crate::api::crds_yaml()?);
        Ok(())
    }
}
