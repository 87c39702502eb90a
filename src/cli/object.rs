//! An object of the cluster, named on the command line.

use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use kube::{
    Api, Client, Config,
    api::{DynamicObject, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    api::{self, condition::READY},
    kubernetes::{self, kind::Kind},
};

/// Who has written, in managed fields.
const MANAGER: &str = "usher-cli";
/// For one request.
const WITHIN: Duration = Duration::from_secs(10);
/// Between two looks. By `get`, for which who may patch an object mostly has the right.
const LOOK: Duration = Duration::from_millis(200);

/// Which object, and where.
#[derive(Debug, Args)]
pub(super) struct ObjectArgs {
    /// KIND and NAME, or KIND/NAME. KIND is livekitserver, roompolicy, participantforward or participantmove, or short
    /// lks, rpol, pfwd or pmov.
    #[arg(required = true, num_args = 1..=2, value_names = ["KIND", "NAME"])]
    object: Vec<String>,
    /// Its namespace. Default: that of the context.
    #[arg(long, short = 'n', env = "USHER_NAMESPACE")]
    namespace: Option<String>,
    /// The context of the kubeconfig. Default: the current one.
    #[arg(long, env = "USHER_CONTEXT")]
    context: Option<String>,
    /// The kubeconfig. Default: as kubectl finds it.
    #[arg(long, env = "USHER_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<std::path::PathBuf>,
    /// Wait until the operator has seen to it.
    #[arg(long, env = "USHER_WAIT")]
    pub(super) wait: bool,
    /// With --wait: how long, as in 30s.
    #[arg(long, env = "USHER_TIMEOUT", default_value = "60s")]
    timeout: api::Duration,
    /// Print a line for people or, as json, for programs.
    #[arg(long, short = 'o', env = "USHER_OUTPUT", value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The object, reached.
pub(super) struct Object {
    api: Api<DynamicObject>,
    kind: Kind,
    namespace: String,
    name: String,
    timeout: Duration,
    format: Format,
}

/// The words by which kubectl knows our kinds.
fn kind(word: &str) -> Option<Kind> {
    let word = word.to_ascii_lowercase();
    let short = |kind| match kind {
        Kind::Server => "lks",
        Kind::Policy => "rpol",
        Kind::Forward => "pfwd",
        Kind::Move => "pmov",
    };
    Kind::ALL.into_iter().find(|kind| {
        let (resource, word) = (kind.resource(), word.strip_suffix(".usher.dev").unwrap_or(&word));
        word == short(*kind) || word == resource.plural || word == resource.kind.to_ascii_lowercase()
    })
}

impl ObjectArgs {
    /// What is meant; a mistake ends the process as any mistake in the arguments does.
    fn meant(&self) -> (Kind, String) {
        let (word, name) = match self.object.as_slice() {
            [word, name] => (word.as_str(), name.as_str()),
            [one] => one.split_once('/').unwrap_or((one, "")),
            _ => ("", ""),
        };
        let Some(kind) = kind(word) else {
            super::usage(&format!(
                "unknown kind {word:?}: give livekitserver, roompolicy, participantforward or participantmove"
            ));
        };
        if name.is_empty() || name.contains('/') {
            super::usage(&format!("the name of the {kind} is missing: give KIND NAME, or KIND/NAME"));
        }
        (kind, name.to_owned())
    }

    /// Finds the way to the object.
    pub(super) async fn reach(&self) -> anyhow::Result<Object> {
        let (kind, name) = self.meant();
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let config = match &self.kubeconfig {
            Some(path) => {
                let read = Kubeconfig::read_from(path);
                let read = read.with_context(|| format!("cannot read --kubeconfig {}", path.display()))?;
                Config::from_custom_kubeconfig(read, &options).await?
            }
            None if self.context.is_some() => Config::from_kubeconfig(&options).await?,
            None => Config::infer().await.context("cannot find a cluster: set KUBECONFIG or give --kubeconfig")?,
        };
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client: Client = kubernetes::client(config).context("cannot make a client for the cluster")?;
        let api = Api::namespaced_with(client, &namespace, &kind.resource());
        Ok(Object { api, kind, namespace, name, timeout: self.timeout.span(), format: self.output })
    }
}

impl Object {
    /// Changes it by a merge patch.
    pub(super) async fn patch(&self, patch: &Value) -> anyhow::Result<DynamicObject> {
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        self.asked(self.api.patch(&self.name, &params, &Patch::Merge(patch))).await
    }

    /// Waits until it is so.
    pub(super) async fn wait_until(&self, what: &str, is: impl Fn(&DynamicObject) -> bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let object = self.asked(self.api.get(&self.name)).await?;
            if is(&object) {
                return Ok(());
            }
            if begun.elapsed() >= self.timeout {
                let ready =
                    ready(&object).unwrap_or_else(|| "it has no condition Ready: is an operator running?".to_owned());
                anyhow::bail!("{what} has not come within {:?}; {ready}", self.timeout);
            }
            sleep(LOOK).await;
        }
    }

    /// Says what has been done.
    pub(super) fn say(&self, done: &str) {
        let Self { kind, namespace, name, .. } = self;
        match self.format {
            Format::Text => println!("{kind} {namespace}/{name} {done}"),
            Format::Json => {
                println!("{}", json!({"kind": kind.name(), "namespace": namespace, "name": name, "done": done}));
            }
        }
    }

    async fn asked<T>(&self, request: impl Future<Output = kube::Result<T>>) -> anyhow::Result<T> {
        let Self { kind, namespace, name, .. } = self;
        match timeout(WITHIN, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => {
                anyhow::bail!("there is no {kind} {name} in namespace {namespace}: give its namespace by -n")
            }
            Ok(Err(kube::Error::Api(status))) => anyhow::bail!("{kind} {namespace}/{name}: {}", status.message),
            Ok(Err(error)) => Err(error).with_context(|| format!("{kind} {namespace}/{name}")),
            Err(_) => anyhow::bail!("the API server does not answer within {WITHIN:?}"),
        }
    }
}

/// What condition Ready says.
fn ready(object: &DynamicObject) -> Option<String> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    let ready = conditions.iter().find(|condition| condition["type"] == READY)?;
    let text = |field: &str| ready[field].as_str().unwrap_or_default();
    Some(format!("Ready is {}, {}: {}", text("status"), text("reason"), text("message")))
}

/// Whether the operator has seen the present generation of an object.
pub(super) fn is_observed(object: &DynamicObject) -> bool {
    let observed = object.data["status"]["observedGeneration"].as_i64();
    observed.is_some() && observed >= object.metadata.generation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_names_that_kubectl_knows() {
        for (words, wanted) in [
            (["lks", "livekitserver", "LiveKitServers"], Kind::Server),
            (["rpol", "roompolicies", "roompolicy.usher.dev"], Kind::Policy),
            (["pfwd", "ParticipantForward", "participantforwards"], Kind::Forward),
            (["pmov", "participantmove", "participantmoves.usher.dev"], Kind::Move),
        ] {
            for word in words {
                assert_eq!(kind(word), Some(wanted), "{word}");
            }
        }
        assert_eq!(kind("pods"), None);
    }
}
