//! The objects of the cluster as plain values, and what they come to: no IO, no clock, no order of arrival.
//!
//! Objects are pushed in as they are watched; [`Index::build`] makes the catalog that the engine works from, and a
//! verdict on each object. The pattern is linkerd's (policy-controller/k8s/index): a test pushes objects and compares
//! values. What has not changed keeps its address: a policy whose generation is the same, a client whose address,
//! keys and CA are the same, the view of a server of which nothing has changed, the catalog of which nothing has.

mod access;
mod build;
mod keys;
mod server;
mod subject;
mod table;
#[cfg(test)]
mod tests;
mod verdict;
mod workshop;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    sync::Arc,
};

use k8s_openapi::ByteString;

pub use access::{Known, Namespaces};
pub use server::{Content, ServerMeaning, Source};
pub use subject::{Compiled, Subject};
pub use table::{Entry, Head, Meaning, Request, Table, name_of};
pub use verdict::Verdict;
use workshop::Workshop;

use super::{
    decoded::Decoded,
    kind::{Governing, Kind, ObjectId},
    status::Status,
};
use crate::{
    api::{LiveKitServerStatus, PolicyStatus},
    engine::Catalog,
    livekit::{Client, Credentials},
    metrics::Metrics,
    policy::ObjectName,
};

/// The namespaces that one watch is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All of them.
    Cluster,
    /// This one.
    Namespace(Arc<str>),
}

impl Scope {
    /// Whether an object is in it.
    #[must_use]
    pub fn holds(&self, name: &ObjectName) -> bool {
        match self {
            Self::Cluster => true,
            Self::Namespace(namespace) => *namespace == name.namespace,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("all namespaces"),
            Self::Namespace(namespace) => write!(f, "namespace {namespace}"),
        }
    }
}

/// Everything that is known of the cluster.
pub struct Index {
    /// Initial lists that are not complete.
    missing: HashSet<(Kind, Scope)>,
    servers: Table<ServerMeaning, LiveKitServerStatus>,
    policies: Table<Subject, PolicyStatus>,
    forwards: Table<Subject, PolicyStatus>,
    moves: Table<Subject, PolicyStatus>,
    sources: HashMap<Source, Content>,
    namespaces: Namespaces,
    /// The keys of servers that name no Secret; none in a cluster.
    credentials: Option<Credentials>,
    workshop: Workshop,
}

/// What must be watched beside our own kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Secrets and ConfigMaps that a LiveKitServer names.
    pub sources: BTreeSet<Source>,
    /// Labels of namespaces: an `access` selects by them.
    pub namespaces: bool,
}

/// What can be told of the status of an object.
pub enum Standing<'a> {
    /// Of a LiveKitServer.
    Server(&'a Entry<ServerMeaning, LiveKitServerStatus>),
    /// Of an object that governs rooms.
    Subject(&'a Entry<Subject, PolicyStatus>),
}

impl Standing<'_> {
    /// Its metadata.
    #[must_use]
    pub fn head(&self) -> &Head {
        match self {
            Self::Server(entry) => &entry.head,
            Self::Subject(entry) => &entry.head,
        }
    }

    /// Its status, as the API server has it.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Server(entry) => Status::Server(entry.status.clone()),
            Self::Subject(entry) => Status::Subject(entry.status.clone()),
        }
    }
}

/// Gives the table of a kind.
pub trait Tables: Governing {
    /// The table of this kind.
    fn table(index: &mut Index) -> &mut Table<Self::Meaning, Self::Status>;
}

macro_rules! tables {
    ($($object:ident: $table:ident,)+) => {
        $(impl Tables for crate::api::$object {
            fn table(index: &mut Index) -> &mut Table<Self::Meaning, Self::Status> {
                &mut index.$table
            }
        })+
    };
}

tables! {
    LiveKitServer: servers,
    RoomPolicy: policies,
    ParticipantForward: forwards,
    ParticipantMove: moves,
}

impl Index {
    /// An index of nothing, for these scopes. Clients that it makes are counted in `metrics`.
    #[must_use]
    pub fn new(scopes: Vec<Scope>, replicas: std::num::NonZeroU32, metrics: Option<Arc<Metrics>>) -> Self {
        let missing = Kind::ALL.into_iter().flat_map(|kind| scopes.iter().map(move |scope| (kind, scope.clone())));
        let mut namespaces = Namespaces::default();
        if scopes != [Scope::Cluster] {
            namespaces.state = Known::Never;
        }
        Self {
            missing: missing.collect(),
            servers: Table::default(),
            policies: Table::default(),
            forwards: Table::default(),
            moves: Table::default(),
            sources: HashMap::new(),
            namespaces,
            credentials: None,
            workshop: Workshop::new(replicas, metrics),
        }
    }

    /// The same index, in which servers that name no Secret have these keys.
    #[must_use]
    pub fn with_credentials(self, credentials: Option<Credentials>) -> Self {
        Self { credentials, ..self }
    }

    /// Takes an object in, and tells whether anything but its status has changed.
    pub fn apply<K: Tables>(&mut self, object: Decoded<K>) -> bool {
        K::table(self).apply(object)
    }

    /// Takes out an object, and tells whether it was there.
    pub fn delete<K: Tables>(&mut self, name: &ObjectName) -> bool {
        K::table(self).entries.remove(name).is_some()
    }

    /// Replaces the objects of a kind in a scope, and tells whether anything but a status has changed.
    pub fn reset<K: Tables>(&mut self, scope: &Scope, objects: Vec<Decoded<K>>) -> bool {
        let first = self.missing.remove(&(K::KIND, scope.clone()));
        K::table(self).reset(scope, objects) || first
    }

    /// Takes in what a Secret or ConfigMap holds, `None` where it does not exist.
    pub fn set_source(&mut self, source: &Source, data: Option<BTreeMap<String, ByteString>>) -> bool {
        let content = self.sources.entry(source.clone()).or_default();
        if content.state == Known::Yes && content.data.as_deref() == data.as_ref() {
            return false;
        }
        *content = Content { state: Known::Yes, data: data.map(Arc::new) };
        true
    }

    /// Takes in that a Secret or ConfigMap may not be read by us, who are `who`.
    pub fn forbid_source(&mut self, source: &Source, who: &str) -> bool {
        let content = self.sources.entry(source.clone()).or_default();
        let state = Known::Forbidden(who.to_owned());
        let changed = content.state != state;
        content.state = state;
        changed
    }

    /// Takes in the labels of a namespace.
    pub fn apply_namespace(&mut self, name: &str, labels: BTreeMap<String, String>) -> bool {
        let before = self.namespaces.labels.insert(name.to_owned(), labels);
        before.as_ref() != self.namespaces.labels.get(name)
    }

    /// Takes out a namespace.
    pub fn delete_namespace(&mut self, name: &str) -> bool {
        self.namespaces.labels.remove(name).is_some()
    }

    /// Replaces all namespaces.
    pub fn reset_namespaces(&mut self, labels: HashMap<String, BTreeMap<String, String>>) -> bool {
        let changed = self.namespaces.state != Known::Yes || self.namespaces.labels != labels;
        self.namespaces = Namespaces { labels, state: Known::Yes };
        changed
    }

    /// Takes in that namespaces may not be read by us, who are `who`.
    pub fn forbid_namespaces(&mut self, who: &str) -> bool {
        let state = Known::Forbidden(who.to_owned());
        let changed = self.namespaces.state != state;
        self.namespaces.state = state;
        changed
    }

    /// What must be watched beside our own kinds.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::default();
        for (name, entry) in &self.servers.entries {
            let Some(meaning) = &entry.meaning else { continue };
            let there = |other: &str| ObjectName::new(&name.namespace, other);
            wanted.sources.extend(meaning.credentials.iter().map(|it| Source::Secret(there(&it.secret_ref.name))));
            wanted.sources.extend(meaning.ca.iter().map(|it| Source::ConfigMap(there(&it.name))));
            wanted.namespaces |= meaning.access.selecting().next().is_some();
        }
        wanted.namespaces &= self.namespaces.state != Known::Never;
        wanted
    }

    /// Forgets what is not wanted any more, so that it is read anew when it is wanted again.
    pub fn forget_unwanted(&mut self, wanted: &Wanted) {
        self.sources.retain(|source, _| wanted.sources.contains(source));
        if !wanted.namespaces && self.namespaces.state != Known::Never {
            self.namespaces = Namespaces::default();
        }
    }

    /// Forgets a Secret or ConfigMap, or where `None` the labels of namespaces: they are about to be read anew.
    pub fn forget(&mut self, source: Option<&Source>) {
        match source {
            Some(source) => drop(self.sources.remove(source)),
            None => self.namespaces = Namespaces::default(),
        }
    }

    /// Whether the initial lists of our kinds are complete.
    #[must_use]
    pub fn kinds_are_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Whether all that is wanted has been read, or is known to be forbidden.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let read = |source: &Source| self.sources.get(source).is_some_and(|content| content.state != Known::NotYet);
        let wanted = self.wanted();
        self.kinds_are_complete()
            && wanted.sources.iter().all(read)
            && (!wanted.namespaces || self.namespaces.state != Known::NotYet)
    }

    /// Every object, by kind and name.
    pub fn standings(&self) -> impl Iterator<Item = (ObjectId, Standing<'_>)> {
        let servers = self.servers.entries.iter();
        let servers = servers.map(|(name, entry)| (Kind::Server, name, Standing::Server(entry)));
        let subjects = [(Kind::Policy, &self.policies), (Kind::Forward, &self.forwards), (Kind::Move, &self.moves)];
        let subjects = subjects.into_iter().flat_map(|(kind, table)| {
            table.entries.iter().map(move |(name, entry)| (kind, name, Standing::Subject(entry)))
        });
        servers.chain(subjects).map(|(kind, name, standing)| (ObjectId { kind, name: name.clone() }, standing))
    }

    /// Every ParticipantForward.
    pub fn forwards(&self) -> impl Iterator<Item = (&ObjectName, &Entry<Subject, PolicyStatus>)> {
        self.forwards.entries.iter()
    }

    /// One object.
    #[must_use]
    pub fn standing(&self, id: &ObjectId) -> Option<Standing<'_>> {
        match id.kind {
            Kind::Server => self.servers.entries.get(&id.name).map(Standing::Server),
            kind => self.subjects(kind).entries.get(&id.name).map(Standing::Subject),
        }
    }

    /// Takes in that a status has been written, without waiting for the watch to tell. `uid` is of the object that it
    /// was written to, `version` what the object has become.
    pub fn written(&mut self, id: &ObjectId, uid: &str, version: String, status: Status) {
        fn put<M, S>(entry: Option<&mut Entry<M, S>>, uid: &str, version: String, status: S) {
            let Some(entry) = entry.filter(|entry| *entry.head.uid == *uid) else { return };
            if !table::is_older(&version, &entry.head.resource_version) {
                entry.head.resource_version = version;
                entry.status = status;
            }
        }
        match status {
            Status::Server(status) => put(self.servers.entries.get_mut(&id.name), uid, version, status),
            Status::Subject(status) => {
                put(self.subjects_mut(id.kind).entries.get_mut(&id.name), uid, version, status);
            }
        }
    }

    /// Builds the catalog and the verdicts. It is the same value as before where nothing in it has changed.
    pub fn build(&mut self) -> Arc<Catalog<Client>> {
        build::build(self)
    }

    fn subjects(&self, kind: Kind) -> &Table<Subject, PolicyStatus> {
        match kind {
            Kind::Forward => &self.forwards,
            Kind::Move => &self.moves,
            Kind::Policy | Kind::Server => &self.policies,
        }
    }

    fn subjects_mut(&mut self, kind: Kind) -> &mut Table<Subject, PolicyStatus> {
        match kind {
            Kind::Forward => &mut self.forwards,
            Kind::Move => &mut self.moves,
            Kind::Policy | Kind::Server => &mut self.policies,
        }
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("missing", &self.missing).finish_non_exhaustive()
    }
}
