//! LiveKitServers: what each means, and the client that is made of it.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use k8s_openapi::ByteString;

use super::{
    access::{Access, Coverage, Known},
    keys::{self, Keys},
    table::{Meaning, Outline},
    verdict::Verdict,
};
use crate::{
    api::{self, LiveKitServerSpec, Reason},
    engine::{Limits, Rate},
    livekit::{Address, Client, Config, Credentials, webhook::Verifier},
    metrics::Metrics,
    policy::{ObjectName, Path, Problem, Problems},
};

/// LiveKit Cloud allows some 1,000 requests a minute to a project; a few are left for others.
const CLOUD_PER_SECOND: u32 = 12;
const CLOUD: &str = ".livekit.cloud";
const MAX_IN_FLIGHT: usize = 32;
const TIMEOUT: Duration = Duration::from_secs(5);

/// What a LiveKitServer means.
#[derive(Debug)]
pub struct ServerMeaning {
    /// Where the server is.
    pub address: Address,
    /// Where its keys are.
    pub credentials: Option<api::Credentials>,
    /// Where its CA is.
    pub ca: Option<api::ConfigMapKeyRef>,
    /// How often a governed room is listed.
    pub resync_interval: Duration,
    /// How much may be asked of it.
    pub limits: Limits,
    /// For one request.
    pub timeout: Duration,
    /// Who else may govern its rooms.
    pub access: Access,
    /// Nothing is to be done.
    pub suspend: bool,
}

impl Meaning<LiveKitServerSpec> for ServerMeaning {
    fn compile(_: &ObjectName, spec: &LiveKitServerSpec) -> Result<Self, Vec<Problem>> {
        let root = Path::root("spec");
        let mut problems = Problems::default();
        let mut within = |value: Duration, least: Duration, most: Duration, path: &Path<'_>| {
            if !(least..=most).contains(&value) {
                problems.add(path, format!("must be from {least:?} to {most:?}"));
            }
            value
        };
        let resync = root.field("resyncInterval");
        let resync_interval =
            within(spec.resync_interval.span(), Duration::from_secs(5), Duration::from_secs(3600), &resync);
        let requests = spec.requests.clone().unwrap_or_default();
        let requests_path = root.field("requests");
        let timeout = requests.timeout.as_ref().map_or(TIMEOUT, |timeout| {
            let path = requests_path.field("timeout");
            within(timeout.span(), Duration::from_millis(100), Duration::from_secs(60), &path)
        });
        let access = Access::compile(&spec.access, &root.field("access"), &mut problems);
        let address: Result<Address, _> = spec.url.parse();
        let address = match address {
            Ok(address) => address,
            Err(error) => {
                problems.add(&root.field("url"), error.to_string());
                return Err(problems.into_result().err().unwrap_or_default());
            }
        };
        let limits = limits(&requests, &address);
        problems.into_result()?;
        Ok(Self {
            credentials: spec.credentials.clone(),
            ca: spec.ca_bundle.as_ref().map(|bundle| bundle.config_map_ref.clone()),
            resync_interval,
            limits,
            timeout,
            access,
            suspend: spec.suspend,
            address,
        })
    }

    fn outline(spec: &LiveKitServerSpec) -> Outline {
        Outline { server: None, priority: None, suspend: spec.suspend }
    }
}

fn limits(requests: &api::Requests, address: &Address) -> Limits {
    let is_cloud = address.host().ends_with(CLOUD);
    let per_second = requests.per_second.or(is_cloud.then_some(CLOUD_PER_SECOND)).and_then(NonZeroU32::new);
    let rate = per_second.map(|per_second| Rate {
        per_second,
        burst: requests
            .burst
            .and_then(NonZeroU32::new)
            .unwrap_or(per_second.saturating_mul(NonZeroU32::MIN.saturating_add(1))),
    });
    let max_in_flight = requests.max_in_flight.and_then(|most| usize::try_from(most).ok());
    Limits { rate, max_in_flight: max_in_flight.filter(|most| *most > 0).unwrap_or(MAX_IN_FLIGHT) }
}

/// An object that a LiveKitServer takes something from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A Secret with keys.
    Secret(ObjectName),
    /// A ConfigMap with a CA.
    ConfigMap(ObjectName),
}

/// What is known of such an object. Its content has no `Debug`.
#[derive(Clone, Default)]
pub struct Content {
    /// Whether it has been read.
    pub state: Known,
    /// What it holds; `None` where it does not exist. Where it may not be read any more, what it last held.
    pub data: Option<Arc<BTreeMap<String, ByteString>>>,
}

/// A client and all that it is made of.
pub(super) struct Link {
    setup: Setup,
    pub client: Arc<Client>,
    pub verifier: Arc<Verifier>,
}

/// All that a client is made of: another one is made when any of it changes.
#[derive(Clone, PartialEq)]
pub(super) struct Setup {
    address: Address,
    keys: Keys,
    ca: Option<Vec<u8>>,
    timeout: Duration,
}

impl Setup {
    /// What two servers must not have in common.
    pub fn identity(&self) -> (String, u16, String) {
        let signing = self.keys.0.first().map(|key| key.api_key.clone()).unwrap_or_default();
        (self.address.host().to_owned(), self.address.port(), signing)
    }
}

impl Link {
    /// Keeps the client where nothing that it is made of has changed.
    pub fn renew(
        before: Option<Self>,
        setup: Setup,
        name: &ObjectName,
        metrics: Option<&Arc<Metrics>>,
    ) -> Result<Self, Verdict> {
        if let Some(before) = before.as_ref()
            && before.setup == setup
        {
            let (client, verifier) = (Arc::clone(&before.client), Arc::clone(&before.verifier));
            return Ok(Self { setup, client, verifier });
        }
        let verifier = match before {
            Some(before) if before.setup.keys == setup.keys => before.verifier,
            _ => Arc::new(Verifier::new(&setup.keys.0)),
        };
        let Some(credentials) = setup.keys.0.first().cloned() else {
            return Err(Verdict::held(Reason::SecretInvalid, "The Secret holds no key."));
        };
        let mut config = Config::new(setup.address.clone(), credentials);
        config.timeout = setup.timeout;
        config.ca.clone_from(&setup.ca);
        if let Some(metrics) = metrics {
            config.observer = Some(Arc::new(metrics.requests_of(name.clone())));
        }
        let client = Client::new(config).map_err(|error| {
            let reason = if setup.ca.is_some() { Reason::CaBundleInvalid } else { Reason::SecretInvalid };
            Verdict::held(reason, format!("No client can be made: {error}."))
        })?;
        Ok(Self { setup, client: Arc::new(client), verifier })
    }
}

/// Gathers what a client is made of; `otherwise` are the keys of a server that names no Secret. Beside it a verdict, where there is something to say although there is a client.
pub(super) fn setup(
    name: &ObjectName,
    meaning: &ServerMeaning,
    otherwise: Option<&Credentials>,
    content: impl Fn(&Source) -> Content,
) -> Result<(Setup, Option<Verdict>), Verdict> {
    let (keys, mut forbidden) = match (&meaning.credentials, otherwise) {
        (Some(credentials), _) => {
            let secret = Source::Secret(ObjectName::new(&name.namespace, &credentials.secret_ref.name));
            let (data, forbidden) = held(&secret, content(&secret))?;
            let keys = keys::read(&data, credentials, &meaning.address)
                .map_err(|(reason, message)| Verdict::held(reason, format!("{secret} {message}.")))?;
            (keys, forbidden)
        }
        (None, Some(credentials)) => (Keys(vec![credentials.clone()]), None),
        (None, None) => {
            let message = "spec.credentials is left out, which is for `usher run --from` with LIVEKIT_API_KEY and \
                           LIVEKIT_API_SECRET in the environment only: name a Secret.";
            return Err(Verdict::held(Reason::SecretNotFound, message));
        }
    };
    let ca = match &meaning.ca {
        None => None,
        Some(reference) => {
            let map = Source::ConfigMap(ObjectName::new(&name.namespace, &reference.name));
            let (data, forbidden_map) = held(&map, content(&map))?;
            forbidden = forbidden.or(forbidden_map);
            let pem = data.get(&reference.key).ok_or_else(|| {
                Verdict::held(Reason::CaBundleNotFound, format!("{map} has no key {}.", reference.key))
            })?;
            Some(pem.0.clone())
        }
    };
    Ok((Setup { address: meaning.address.clone(), keys, ca, timeout: meaning.timeout }, forbidden))
}

type Held = (Arc<BTreeMap<String, ByteString>>, Option<Verdict>);

/// What a Secret or ConfigMap holds. What it held before a right was withdrawn goes on counting, so that a moment
/// without a RoleBinding opens no room; it is said nevertheless.
fn held(source: &Source, content: Content) -> Result<Held, Verdict> {
    let forbidden = match &content.state {
        Known::Forbidden(who) => Some(Verdict::held(Reason::SecretForbidden, source.forbidden(who))),
        Known::NotYet if content.data.is_none() => {
            return Err(Verdict::held(Reason::Progressing, format!("{source} has not been read yet.")));
        }
        Known::NotYet | Known::Yes | Known::Never => None,
    };
    match (content.data, forbidden) {
        (Some(data), forbidden) => Ok((data, forbidden)),
        (None, Some(forbidden)) => Err(forbidden),
        (None, None) => {
            let reason = match source {
                Source::Secret(_) => Reason::SecretNotFound,
                Source::ConfigMap(_) => Reason::CaBundleNotFound,
            };
            Err(Verdict::held(reason, format!("{source} does not exist.")))
        }
    }
}

impl Source {
    /// Which object it is.
    #[must_use]
    pub fn name(&self) -> &ObjectName {
        match self {
            Self::Secret(name) | Self::ConfigMap(name) => name,
        }
    }

    /// The plural of its kind.
    #[must_use]
    pub const fn plural(&self) -> &'static str {
        match self {
            Self::Secret(_) => "secrets",
            Self::ConfigMap(_) => "configmaps",
        }
    }

    /// What to apply so that it may be read, for a condition.
    fn forbidden(&self, who: &str) -> String {
        let ObjectName { namespace, name } = self.name();
        let role = format!("usher-{}-{name}", self.plural());
        let subject = match who.strip_prefix("system:serviceaccount:") {
            Some(account) => format!("--serviceaccount={account}"),
            None => format!("--user={}", if who.is_empty() { "USHER" } else { who }),
        };
        format!(
            "{self} may not be read. Permit it with: kubectl -n {namespace} create role {role} \
             --verb=get,list,watch --resource={} --resource-name={name} && kubectl -n {namespace} create rolebinding \
             {role} --role={role} {subject}",
            self.plural()
        )
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Secret(_) => "Secret",
            Self::ConfigMap(_) => "ConfigMap",
        };
        write!(f, "{kind} {}", self.name())
    }
}

/// Memory of what a namespace may do on a server, so that the same answer is the same value.
#[derive(Default)]
pub(super) struct Coverages {
    of: Option<Arc<ServerMeaning>>,
    known: BTreeMap<Arc<str>, Coverage>,
}

impl Coverages {
    /// Forgets what belongs to another meaning of the server.
    pub fn begin(&mut self, meaning: &Arc<ServerMeaning>) {
        if !self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, meaning)) {
            *self = Self { of: Some(Arc::clone(meaning)), known: BTreeMap::new() };
        }
    }

    /// What a namespace may do. `covering` are the entries that cover it.
    pub fn get(&mut self, namespace: &Arc<str>, covering: (Vec<usize>, bool)) -> Coverage {
        let (rules, maybe_more) = covering;
        if rules.is_empty() && !maybe_more {
            self.known.remove(namespace);
            return Coverage::Nothing;
        }
        if let Some(known @ Coverage::Granted { rules: before, possible, .. }) = self.known.get(namespace)
            && *before == rules
            && possible.is_some() == maybe_more
        {
            return known.clone();
        }
        let Some(meaning) = &self.of else { return Coverage::Nothing };
        let grants = meaning.access.grants(&rules);
        let possible = maybe_more.then(|| meaning.access.possible_grants(&rules));
        let coverage = Coverage::Granted { rules, grants, possible };
        self.known.insert(Arc::clone(namespace), coverage.clone());
        coverage
    }
}
