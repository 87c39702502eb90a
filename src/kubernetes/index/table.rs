//! Objects of one kind, each with what it means.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use jiff::Timestamp;
use kube::{Resource, ResourceExt, core::ObjectMeta};
use serde::de::DeserializeOwned;

use super::{Scope, verdict::Verdict};
use crate::{
    api::{FORWARD_FINALIZER, RECONCILE_REQUESTED_AT, Reason, ServerRef},
    kubernetes::{decoded::Decoded, kind::Governing},
    policy::{ObjectName, Problem},
};

/// Problems that are written out; an object can have thousands.
const SHOWN_PROBLEMS: usize = 8;

/// Compiled from a spec.
pub trait Meaning<Spec>: Sized {
    /// Compiles a spec.
    ///
    /// # Errors
    /// Everything that is wrong with it and that the schema could not refuse.
    fn compile(name: &ObjectName, spec: &Spec) -> Result<Self, Vec<Problem>>;
    /// What can be said of a spec whether or not it compiles.
    fn outline(spec: &Spec) -> Outline;
}

/// What tells how far an object reaches, where nothing else about it can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// The server that it refers to.
    pub server: Option<ServerRef>,
    /// Its priority.
    pub priority: Option<i32>,
    /// Whether it is suspended.
    pub suspend: bool,
}

/// What is in an object's metadata for us.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Tells it from an earlier object of the same name.
    pub uid: Arc<str>,
    /// Rises with each change of the spec.
    pub generation: i64,
    /// Rises with each change of anything.
    pub resource_version: String,
    /// The value of the annotation that asks for a resync.
    pub requested: Option<Arc<str>>,
    /// When somebody deleted it, if it is only its finalizers that keep it.
    pub deleted: Option<Timestamp>,
    /// Who is to do something before it is gone.
    pub finalizers: Vec<String>,
}

/// A resync that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Nobody asks, or what was asked for is done.
    None,
    /// The engine has to do it: it is done when its report comes to this number.
    Awaited(u64),
    /// There is nothing that a resync could be of, so that it is as good as done.
    Moot,
}

/// An object.
#[derive(Debug)]
pub struct Entry<M, S> {
    /// Its metadata.
    pub head: Head,
    /// Its status, as the API server has it.
    pub status: S,
    /// What stands: the meaning of its last valid generation.
    pub meaning: Option<Arc<M>>,
    /// The generation that [`Self::meaning`] is of.
    pub meant: i64,
    /// Why its present generation is not what stands.
    pub flaw: Option<Flaw>,
    /// What the operator itself says of it.
    pub verdict: Verdict,
    /// The resync that its annotation asks for.
    pub request: Request,
}

/// Why an object's present generation is not what stands.
#[derive(Clone, Debug)]
pub struct Flaw {
    /// All that is wrong with it.
    pub message: String,
    /// What can be told nevertheless.
    pub outline: Outline,
}

/// Objects of one kind.
#[derive(Debug)]
pub struct Table<M, S> {
    /// By name, in order: what comes out of the index must not depend on the order of what went in.
    pub entries: BTreeMap<ObjectName, Entry<M, S>>,
}

impl<M, S> Default for Table<M, S> {
    fn default() -> Self {
        Self { entries: BTreeMap::new() }
    }
}

impl Head {
    fn of(metadata: &ObjectMeta) -> Self {
        let annotation = metadata.annotations.as_ref().and_then(|all| all.get(RECONCILE_REQUESTED_AT));
        Self {
            uid: metadata.uid.as_deref().unwrap_or_default().into(),
            generation: metadata.generation.unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            requested: annotation.filter(|value| !value.is_empty()).map(|value| value.as_str().into()),
            deleted: metadata.deletion_timestamp.as_ref().map(|time| time.0),
            finalizers: metadata.finalizers.clone().unwrap_or_default(),
        }
    }

    /// Whether it stays until we say so.
    #[must_use]
    pub fn is_ours_to_end(&self) -> bool {
        self.finalizers.iter().any(|finalizer| finalizer == FORWARD_FINALIZER)
    }
}

/// Whether a resource version is older than another. They are numbers that rise with each change (KEP-5504, and etcd's
/// revisions before it); from a storage where they are not, every one counts as new.
pub(super) fn is_older(version: &str, than: &str) -> bool {
    matches!((version.parse::<u64>(), than.parse::<u64>()), (Ok(version), Ok(than)) if version < than)
}

/// The name of an object as the API server sends it.
pub fn name_of<K: Resource>(object: &K) -> ObjectName {
    ObjectName::new(&object.namespace().unwrap_or_default(), &object.name_any())
}

impl<M, S> Entry<M, S> {
    /// What can be told of its spec: of the one that stands where `None`.
    pub(super) fn outline(&self) -> Option<&Outline> {
        self.flaw.as_ref().map(|flaw| &flaw.outline)
    }

    /// The verdict on an object whose present generation does not stand.
    pub(super) fn invalid(&self) -> Option<Verdict> {
        let flaw = self.flaw.as_ref()?;
        let stands = match self.meaning {
            Some(_) => format!("; generation {} stays in force", self.meant),
            None => String::new(),
        };
        Some(Verdict::held(Reason::Invalid, format!("{}{stands}", flaw.message)))
    }
}

impl<M, S: Default + DeserializeOwned> Table<M, S> {
    /// Takes an object in, and tells whether anything but its status has changed.
    pub fn apply<K>(&mut self, Decoded(object): Decoded<K>) -> bool
    where
        K: Governing<Meaning = M, Status = S>,
        M: Meaning<K::Spec>,
    {
        let mut object = object;
        let (name, head) = match &object {
            Ok(object) => (name_of(object), Head::of(object.meta())),
            Err(undecodable) => {
                let metadata = &undecodable.metadata;
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                (ObjectName::new(&text(&metadata.namespace), &text(&metadata.name)), Head::of(metadata))
            }
        };
        let status = match &mut object {
            Ok(object) => object.take_status(),
            Err(undecodable) => S::deserialize(&undecodable.status).ok(),
        };
        let status = status.unwrap_or_default();

        let before = self.entries.get_mut(&name).filter(|entry| entry.head.uid == head.uid);
        if let Some(entry) = before {
            if is_older(&head.resource_version, &entry.head.resource_version) {
                return false;
            }
            entry.status = status;
            let requested = entry.head.requested != head.requested;
            if requested {
                entry.request = Request::None;
            }
            let same = entry.head.generation == head.generation;
            let stays = |head: &Head| (head.deleted.is_some(), head.is_ours_to_end());
            let kept = stays(&entry.head) == stays(&head);
            entry.head = head;
            if !same {
                entry.take_in(&name, &object);
            }
            return requested || !same || !kept;
        }
        let mut entry = Entry {
            head,
            status,
            meaning: None,
            meant: 0,
            flaw: None,
            verdict: not_looked_at(),
            request: Request::None,
        };
        entry.take_in(&name, &object);
        self.entries.insert(name, entry);
        true
    }

    /// Replaces all objects of a scope, and tells whether anything but a status has changed.
    pub fn reset<K>(&mut self, scope: &Scope, objects: Vec<Decoded<K>>) -> bool
    where
        K: Governing<Meaning = M, Status = S>,
        M: Meaning<K::Spec>,
    {
        let present: std::collections::HashSet<ObjectName> = objects.iter().map(name_of).collect();
        let before = self.entries.len();
        self.entries.retain(|name, _| !scope.holds(name) || present.contains(name));
        let mut changed = before != self.entries.len();
        for object in objects {
            changed |= self.apply(object);
        }
        changed
    }
}

impl<M, S> Entry<M, S> {
    /// Compiles a generation; where that fails, the last valid one goes on standing.
    fn take_in<K>(&mut self, name: &ObjectName, object: &Result<K, super::super::decoded::Undecodable>)
    where
        K: Governing<Meaning = M>,
        M: Meaning<K::Spec>,
    {
        self.flaw = match object {
            Ok(object) => match M::compile(name, object.spec()) {
                Ok(meaning) => {
                    self.meaning = Some(Arc::new(meaning));
                    self.meant = self.head.generation;
                    None
                }
                Err(problems) => Some(Flaw { message: list(&problems), outline: M::outline(object.spec()) }),
            },
            Err(undecodable) => Some(Flaw {
                message: format!("cannot be read by this version of Usher: {}", undecodable.error),
                outline: Outline {
                    server: undecodable.server_ref.clone(),
                    priority: undecodable.priority,
                    suspend: undecodable.suspend,
                },
            }),
        };
        // What was true of the generation before is not true of this one, also in the moment until the next build.
        self.verdict = self.invalid().unwrap_or_else(not_looked_at);
    }
}

fn not_looked_at() -> Verdict {
    Verdict::held(Reason::Progressing, "It has not been looked at yet.")
}

fn list(problems: &[Problem]) -> String {
    let mut text = String::new();
    for (index, problem) in problems.iter().take(SHOWN_PROBLEMS).enumerate() {
        let _ = write!(text, "{}{problem}", if index > 0 { "; " } else { "" });
    }
    match problems.len().checked_sub(SHOWN_PROBLEMS) {
        None | Some(0) => {}
        Some(more) => {
            let _ = write!(text, "; and {more} more");
        }
    }
    text
}
