//! What is kept from one build to the next, so that what has not changed stays the same value.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU32,
    sync::Arc,
};

use super::{
    ServerMeaning,
    server::{Coverages, Link},
    table::{Head, Request},
};
use crate::{
    engine::{Catalog, Limits, Rate, Server, ServerView},
    livekit::Client,
    metrics::Metrics,
    policy::{Member, ObjectName, PolicySet, Reach, Transfer, TransferMember, TransferSet, Unknown},
};

/// All that is kept.
pub(super) struct Workshop {
    replicas: NonZeroU32,
    /// Counts the requests of clients.
    pub metrics: Option<Arc<Metrics>>,
    /// By server.
    pub benches: BTreeMap<ObjectName, Bench>,
    catalog: Arc<Catalog<Client>>,
    /// Rises with each resync that somebody asks for.
    requests: u64,
}

/// What is kept of one server.
#[derive(Default)]
pub(super) struct Bench {
    /// Its client.
    pub link: Option<Link>,
    /// What other namespaces may do on it.
    pub coverages: Coverages,
    /// Objects that may act on it.
    pub acting: u32,
    view: Option<(Parts, Arc<ServerView<Client>>)>,
}

/// What of a server's view comes from the objects on it.
#[derive(Default)]
pub(super) struct Parts {
    /// Policies in force.
    pub members: Vec<Member>,
    /// Policies that nobody understands.
    pub unknown: Vec<Unknown>,
    /// Forwards and moves in force.
    pub transfers: Vec<TransferMember>,
    /// Forwards in force as they once were, by what their status remembers. Only who sees a forward for the first time
    /// looks at it, so that it makes no difference between two views.
    pub former: Vec<Arc<Transfer>>,
    /// Forwards and moves that nobody understands.
    pub unknown_transfers: Vec<Unknown>,
    /// The last resync that one of them asks for.
    pub request: u64,
}

impl Workshop {
    pub fn new(replicas: NonZeroU32, metrics: Option<Arc<Metrics>>) -> Self {
        let catalog = Arc::new(Catalog { servers: HashMap::new() });
        Self { replicas, metrics, benches: BTreeMap::new(), catalog, requests: 0 }
    }

    /// Keeps account of the resync that an object's annotation asks for; its number, or 0.
    ///
    /// `handled` is what the object's status says. `acts`: the engine works on it, so that there is something to do.
    /// `settled`: if it does not, that is more than a matter of time.
    pub fn request(
        &mut self,
        request: &mut Request,
        head: &Head,
        handled: Option<&str>,
        (acts, settled): (bool, bool),
    ) -> u64 {
        let asks = head.requested.as_deref().is_some_and(|requested| handled != Some(requested));
        *request = match request {
            _ if !asks => Request::None,
            Request::Awaited(number) if acts => return *number,
            _ if acts => {
                self.requests += 1;
                Request::Awaited(self.requests)
            }
            // Where nothing is done, there is nothing to do at once. Where that is not yet known, it is waited for.
            _ if settled => Request::Moot,
            _ => Request::None,
        };
        if let Request::Awaited(number) = request { *number } else { 0 }
    }

    /// The catalog of these servers.
    pub fn catalog<'a>(
        &mut self,
        working: impl Iterator<Item = (&'a ObjectName, &'a ServerMeaning)>,
        mut parts: BTreeMap<ObjectName, Parts>,
    ) -> Arc<Catalog<Client>> {
        let before = &self.catalog.servers;
        let mut servers = HashMap::new();
        let mut changed = false;
        for (name, meaning) in working {
            let Some(bench) = self.benches.get_mut(name) else { continue };
            let limits = share(meaning.limits, self.replicas);
            let Some(server) = bench.server(name, meaning, limits, parts.remove(name).unwrap_or_default()) else {
                continue;
            };
            changed |= before.get(name).is_none_or(|before| {
                !Arc::ptr_eq(&before.view, &server.view) || !Arc::ptr_eq(&before.verifier, &server.verifier)
            });
            servers.insert(name.clone(), server);
        }
        if changed || servers.len() != before.len() {
            self.catalog = Arc::new(Catalog { servers });
        }
        Arc::clone(&self.catalog)
    }
}

impl Bench {
    /// The server for the catalog; its view is the one before, where it would be the same.
    fn server(
        &mut self,
        name: &ObjectName,
        meaning: &ServerMeaning,
        limits: Limits,
        parts: Parts,
    ) -> Option<Server<Client>> {
        let link = self.link.as_ref()?;
        let before = self.view.take();
        let kept = before.as_ref().filter(|(before, _)| before.holds_the_same(&parts)).map(|(_, view)| view);
        let policies = match kept {
            Some(view) => Arc::clone(&view.policies),
            None => Arc::new(PolicySet::new(parts.members.clone(), parts.unknown.clone())),
        };
        let known = before.as_ref().filter(|(before, _)| before.brings_the_same(&parts)).map(|(_, view)| view);
        let transfers = match known {
            Some(view) => Arc::clone(&view.transfers),
            None => {
                let unknown = parts.unknown.iter().chain(&parts.unknown_transfers).cloned().collect();
                let set = TransferSet::new(parts.transfers.clone(), unknown);
                Arc::new(set.remembering(parts.former.iter().cloned()))
            }
        };
        let view = ServerView {
            server: name.clone(),
            service: Arc::clone(&link.client),
            policies,
            transfers,
            resync_interval: meaning.resync_interval,
            limits,
            suspended: meaning.suspend,
            // An object that asked and is gone must not make the number fall.
            resync_request: parts.request.max(before.as_ref().map_or(0, |(_, view)| view.resync_request)),
        };
        let same = |before: &&Arc<ServerView<Client>>| {
            Arc::ptr_eq(&before.service, &view.service)
                && Arc::ptr_eq(&before.transfers, &view.transfers)
                && before.resync_interval == view.resync_interval
                && before.limits == view.limits
                && before.suspended == view.suspended
                && before.resync_request == view.resync_request
        };
        let view = match kept.filter(same) {
            Some(before) => Arc::clone(before),
            None => Arc::new(view),
        };
        self.view = Some((parts, Arc::clone(&view)));
        Some(Server { view, verifier: Arc::clone(&link.verifier) })
    }
}

/// What one of several replicas may spend.
fn share(limits: Limits, replicas: NonZeroU32) -> Limits {
    let share = |all: NonZeroU32| NonZeroU32::new(all.get() / replicas).unwrap_or(NonZeroU32::MIN);
    let rate = limits.rate.map(|rate| Rate { per_second: share(rate.per_second), burst: share(rate.burst) });
    Limits { rate, ..limits }
}

impl Parts {
    fn holds_the_same(&self, other: &Self) -> bool {
        let same_member =
            |(a, b): (&Member, &Member)| Arc::ptr_eq(&a.policy, &b.policy) && same_reach(&a.reach, &b.reach);
        self.members.len() == other.members.len()
            && self.members.iter().zip(&other.members).all(same_member)
            && same_unknown(&self.unknown, &other.unknown)
    }

    fn brings_the_same(&self, other: &Self) -> bool {
        let same_member = |(a, b): (&TransferMember, &TransferMember)| {
            Arc::ptr_eq(&a.transfer, &b.transfer) && same_reach(&a.reach, &b.reach) && a.ending == b.ending
        };
        self.transfers.len() == other.transfers.len()
            && self.transfers.iter().zip(&other.transfers).all(same_member)
            && same_unknown(&self.unknown, &other.unknown)
            && same_unknown(&self.unknown_transfers, &other.unknown_transfers)
    }
}

fn same_reach(a: &Reach, b: &Reach) -> bool {
    match (a, b) {
        (Reach::Home, Reach::Home) => true,
        (Reach::Granted(a), Reach::Granted(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}

fn same_unknown(a: &[Unknown], b: &[Unknown]) -> bool {
    let same =
        |(a, b): (&Unknown, &Unknown)| a.name == b.name && a.priority == b.priority && same_reach(&a.reach, &b.reach);
    a.len() == b.len() && a.iter().zip(b).all(same)
}
