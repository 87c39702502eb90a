//! From objects to the catalog and to verdicts.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    Index, Kind, Known, Namespaces, ServerMeaning, Subject,
    access::{Coverage, join},
    server::{Link, setup},
    subject::{Compiled, referred},
    table::{Entry, Request},
    verdict::Verdict,
    workshop::{Parts, Workshop},
};
use crate::{
    api::{PolicyStatus, Reason},
    engine::Catalog,
    livekit::Client,
    policy::{Member, ObjectName, TransferMember, Unknown},
};

/// What a server is for the objects that refer to it.
struct Host {
    meaning: Arc<ServerMeaning>,
    /// Why nothing is done on it, or something is wrong with it nevertheless.
    verdict: Verdict,
    /// It has a client, and nobody else owns its place.
    works: bool,
}

pub(super) fn build(index: &mut Index) -> Arc<Catalog<Client>> {
    let hosts = hosts(index);
    let mut parts: BTreeMap<ObjectName, Parts> = BTreeMap::new();
    let Index { servers, policies, forwards, moves, namespaces, workshop, .. } = index;
    for bench in workshop.benches.values_mut() {
        bench.acting = 0;
    }
    for (kind, table) in [(Kind::Policy, policies), (Kind::Forward, forwards), (Kind::Move, moves)] {
        for (name, entry) in &mut table.entries {
            let mut look = Look { kind, name, hosts: &hosts, namespaces, workshop, parts: &mut parts };
            entry.verdict = look.at(entry);
        }
    }
    for (name, entry) in &mut servers.entries {
        let host = hosts.get(name);
        if let Some(host) = host {
            entry.verdict = host.verdict.clone();
        }
        let awaited = host.is_some_and(|host| host.works && !host.meaning.suspend);
        let settled = entry.verdict.reason() != Some(Reason::Progressing);
        let handled = entry.status.last_handled_reconcile_at.as_deref();
        let number = workshop.request(&mut entry.request, &entry.head, handled, (awaited, settled));
        let part = parts.entry(name.clone()).or_default();
        part.request = part.request.max(number);
    }
    let working = hosts.iter().filter(|(_, host)| host.works).map(|(name, host)| (name, &*host.meaning));
    workshop.catalog(working, parts)
}

/// Looks at every server, earlier names first: they own what two of them want.
fn hosts(index: &mut Index) -> BTreeMap<ObjectName, Host> {
    let Index { servers, sources, workshop, namespaces, credentials, .. } = index;
    workshop.benches.retain(|name, _| servers.entries.contains_key(name));
    let mut owners: HashMap<(String, u16, String), ObjectName> = HashMap::new();
    let mut hosts = BTreeMap::new();
    for (name, entry) in &mut servers.entries {
        let invalid = entry.invalid();
        let Some(meaning) = entry.meaning.clone() else {
            entry.verdict = invalid.unwrap_or_else(|| entry.verdict.clone());
            continue;
        };
        let bench = workshop.benches.entry(name.clone()).or_default();
        let setup =
            setup(name, &meaning, credentials.as_ref(), |source| sources.get(source).cloned().unwrap_or_default());
        let linked = setup.and_then(|(setup, said)| {
            if let Some(owner) = owners.get(&setup.identity()) {
                let message = format!(
                    "LiveKitServer {owner} has the same host, port and API key, and comes first: remove one of the two."
                );
                return Err(Verdict::held(Reason::Conflicted, message));
            }
            owners.insert(setup.identity(), name.clone());
            Ok((Link::renew(bench.link.take(), setup, name, workshop.metrics.as_ref())?, said))
        });
        let suspended = || Verdict::held(Reason::Suspended, "spec.suspend is true: nothing is done on this server.");
        let (works, verdict) = match linked {
            Ok((link, said)) => {
                bench.link = Some(link);
                let suspended = (meaning.suspend).then(suspended);
                (true, suspended.or(said).unwrap_or_else(|| Verdict::Acts { notes: notes(&meaning, namespaces) }))
            }
            Err(verdict) => {
                bench.link = None;
                (false, if meaning.suspend { suspended() } else { verdict })
            }
        };
        let verdict = invalid.unwrap_or(verdict);
        hosts.insert(name.clone(), Host { meaning, verdict, works });
    }
    hosts
}

/// What a server's own condition says of entries that cannot be honoured.
fn notes(meaning: &ServerMeaning, namespaces: &Namespaces) -> Vec<String> {
    let selecting = || join(meaning.access.selecting());
    let why = match &namespaces.state {
        _ if meaning.access.selecting().next().is_none() => return Vec::new(),
        Known::Never => "this Usher is installed for some namespaces and may not read labels: use names".to_owned(),
        Known::Forbidden(who) => format!("{who:?} may not list namespaces: permit it, or use names"),
        Known::Yes | Known::NotYet => return Vec::new(),
    };
    vec![format!("Access entries {} select by labels, which grants nothing: {why}.", selecting())]
}

/// A look at one object that refers to a server.
struct Look<'a> {
    kind: Kind,
    name: &'a ObjectName,
    hosts: &'a BTreeMap<ObjectName, Host>,
    namespaces: &'a Namespaces,
    workshop: &'a mut Workshop,
    parts: &'a mut BTreeMap<ObjectName, Parts>,
}

impl Look<'_> {
    fn at(&mut self, entry: &mut Entry<Subject, PolicyStatus>) -> Verdict {
        let Some(meaning) = entry.meaning.clone() else {
            self.note_unknown(entry);
            entry.request = Request::Moot;
            return entry.invalid().unwrap_or_else(|| entry.verdict.clone());
        };
        let (verdict, number) = self.at_meaning(entry, &meaning);
        let parts = self.parts.entry(meaning.server.clone()).or_default();
        parts.request = parts.request.max(number);
        entry.invalid().unwrap_or(verdict)
    }

    /// Looks at what stands: the verdict on it, and the resync that is asked for.
    fn at_meaning(&mut self, entry: &mut Entry<Subject, PolicyStatus>, meaning: &Arc<Subject>) -> (Verdict, u64) {
        let suspend = meaning.suspend || entry.outline().is_some_and(|outline| outline.suspend);
        let host = self.hosts.get(&meaning.server);
        let coverage = host.map_or(Coverage::Nothing, |host| self.coverage(&meaning.server, host));
        let permitted = self.judge(meaning, host, &coverage);
        self.join_transfer(entry, meaning, &coverage, permitted.is_ok() && !suspend, permitted.is_ok());
        let judged = if suspend {
            Err(Verdict::held(Reason::Suspended, "spec.suspend is true: nothing is done."))
        } else {
            permitted
        };
        let acts = host.is_some_and(|host| host.works && !host.meaning.suspend) && judged.is_ok();
        let waits = matches!(&judged, Err(verdict) if verdict.reason() == Some(Reason::Progressing));
        let handled = entry.status.last_handled_reconcile_at.as_deref();
        let number = self.workshop.request(&mut entry.request, &entry.head, handled, (acts, !waits));
        if !suspend {
            self.join(meaning, &coverage, judged.is_ok());
        }
        let verdict = match (judged, host) {
            (Err(verdict), _) => verdict,
            (Ok(notes), Some(host)) => of_server(&meaning.server, host).unwrap_or(Verdict::Acts { notes }),
            (Ok(notes), None) => Verdict::Acts { notes },
        };
        (verdict, number)
    }

    /// What an object may do on its server; the notes for its message.
    fn judge(&self, meaning: &Subject, host: Option<&Host>, coverage: &Coverage) -> Result<Vec<String>, Verdict> {
        let server = &meaning.server;
        let Some(host) = host else {
            let or = match self.namespaces.state {
                Known::Never => ", or is in a namespace that this Usher is not installed for",
                _ => "",
            };
            let message = format!("LiveKitServer {server} does not exist, or was never valid{or}.");
            return Err(Verdict::held_elsewhere(Reason::ServerNotFound, message));
        };
        let denied = |message: String| Verdict::held_elsewhere(Reason::NotPermitted, message);
        match coverage {
            Coverage::Home => Ok(Vec::new()),
            Coverage::Granted { rules, possible: Some(_), .. } if rules.is_empty() => {
                Err(Verdict::held_elsewhere(Reason::Progressing, "The labels of namespaces have not been read yet."))
            }
            Coverage::Nothing => Err(denied(format!(
                "No access entry of LiveKitServer {server} covers namespace {}.",
                self.name.namespace
            ))),
            Coverage::Granted { rules, .. } => {
                let access = &host.meaning.access;
                let refused = access.refused(rules, &meaning.destinations);
                if !refused.is_empty() {
                    let rooms = join(refused.into_iter());
                    return Err(denied(format!(
                        "Access of LiveKitServer {server} does not grant destination {rooms}."
                    )));
                }
                if self.kind != Kind::Policy && !access.may_reach(rules, &meaning.claims) {
                    return Err(denied(format!("Access of LiveKitServer {server} grants none of the source rooms.")));
                }
                Ok(access.limits(rules, &meaning.claims, meaning.priority))
            }
        }
    }

    /// Puts a policy where it acts, and to those that are not known where it may.
    fn join(&mut self, meaning: &Arc<Subject>, coverage: &Coverage, permitted: bool) {
        if !self.hosts.contains_key(&meaning.server) {
            return;
        }
        if permitted && let Some(bench) = self.workshop.benches.get_mut(&meaning.server) {
            bench.acting += 1;
        }
        let Compiled::Policy(policy) = &meaning.compiled else { return };
        let parts = self.parts.entry(meaning.server.clone()).or_default();
        if let Some(reach) = coverage.reach() {
            parts.members.push(Member { policy: Arc::clone(policy), reach });
        }
        if let Some(reach) = coverage.possible() {
            parts.unknown.push(Unknown { name: policy.name.clone(), priority: Some(policy.priority), reach });
        }
    }

    /// Puts a forward or move where it acts. One that is to end its copies when it is deleted acts once its finalizer is
    /// on, and while it is being deleted ends them, suspended or not.
    fn join_transfer(
        &mut self,
        entry: &Entry<Subject, PolicyStatus>,
        meaning: &Subject,
        coverage: &Coverage,
        acts: bool,
        permitted: bool,
    ) {
        let head = &entry.head;
        let (transfer, ending, joins) = match &meaning.compiled {
            Compiled::Policy(_) => return,
            Compiled::Move(transfer) => (transfer, false, acts),
            Compiled::Forward(transfer, _) if head.deleted.is_some() => {
                (transfer, true, permitted && meaning.compiled.stops() && head.is_ours_to_end())
            }
            Compiled::Forward(transfer, _) => {
                let waits = meaning.compiled.stops() && transfer.acts() && !head.is_ours_to_end();
                (transfer, false, acts && !waits)
            }
        };
        if !joins || !self.hosts.contains_key(&meaning.server) {
            return;
        }
        if let Some(reach) = coverage.reach() {
            let parts = self.parts.entry(meaning.server.clone()).or_default();
            // Where its namespace may do nothing any more, nothing is done.
            let is_left = |room: &&String| !transfer.leads_to(room) && reach.covers(room);
            let rooms = entry.status.destination_rooms.iter().filter(is_left);
            let left: Vec<Arc<str>> = rooms.map(|room| room.as_str().into()).collect();
            if !left.is_empty() {
                parts.former.push(Arc::new(transfer.leading_to(left)));
            }
            parts.transfers.push(TransferMember { transfer: Arc::clone(transfer), reach, ending });
        }
    }

    /// Notes an object that nobody understands and nobody ever did: on its server, or where even that cannot be told, on
    /// every server. Whatever a forward or move says, it keeps no participant in a room that a policy removes it from.
    fn note_unknown(&mut self, entry: &Entry<Subject, PolicyStatus>) {
        let Some(outline) = entry.outline().filter(|outline| !outline.suspend) else { return };
        let server = outline.server.as_ref().map(|reference| referred(self.name, reference));
        let hosts = self.hosts;
        let concerned = hosts.iter().filter(|(name, _)| server.as_ref().is_none_or(|server| server == *name));
        for (server, host) in concerned {
            let coverage = self.coverage(server, host);
            let Some(reach) = coverage.possible().or(coverage.reach()) else { continue };
            let is_policy = self.kind == Kind::Policy;
            let priority = if is_policy { outline.priority } else { Some(0) };
            let unknown = Unknown { name: self.name.clone(), priority, reach };
            let parts = self.parts.entry(server.clone()).or_default();
            if is_policy { &mut parts.unknown } else { &mut parts.unknown_transfers }.push(unknown);
        }
    }

    fn coverage(&mut self, server: &ObjectName, host: &Host) -> Coverage {
        if server.namespace == self.name.namespace {
            return Coverage::Home;
        }
        let covering = host.meaning.access.covering(&self.name.namespace, self.namespaces);
        let bench = self.workshop.benches.entry(server.clone()).or_default();
        bench.coverages.begin(&host.meaning);
        bench.coverages.get(&self.name.namespace, covering)
    }
}

/// What a server's verdict is for an object on it, if anything. One that works although something is wrong with it
/// (invalid, and its last valid generation stands; forbidden, and what the Secret last held counts) does not concern
/// those on it.
fn of_server(server: &ObjectName, host: &Host) -> Option<Verdict> {
    if host.meaning.suspend {
        return Some(Verdict::held(Reason::Suspended, format!("LiveKitServer {server} is suspended.")));
    }
    match &host.verdict {
        Verdict::Held(hold) if !host.works => {
            Some(Verdict::held_elsewhere(hold.reason, format!("LiveKitServer {server}: {}", hold.message)))
        }
        Verdict::Held(_) | Verdict::Acts { .. } => None,
    }
}

impl Index {
    /// How many objects may act on a server.
    #[must_use]
    pub fn acting(&self, server: &ObjectName) -> u32 {
        self.workshop.benches.get(server).map_or(0, |bench| bench.acting)
    }
}
