//! What is told of manifests and of what comes of them.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use tokio::{sync::mpsc, time::Instant};

use super::{mistake::Mistake, store::Store};
use crate::{
    engine::Reports,
    kubernetes::{
        kind::ObjectId,
        status::{Decision, Memory, Status, desired_of},
    },
};

/// What is told, each time something is new.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Told {
    /// What the files say now is in force.
    Loaded {
        /// How many objects that are.
        objects: usize,
    },
    /// Something is wrong with the files; what they said before stays in force.
    Broken {
        /// All that is wrong.
        mistakes: Vec<Mistake>,
    },
    /// The status of an object is another one.
    Status {
        /// Its kind.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Which version of its spec; 1 at first.
        generation: i64,
        /// The status, as it would be in a cluster.
        status: Box<Status>,
    },
    /// An object is no more.
    Gone {
        /// Its kind.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// Where it goes. What nobody takes in time waits, so that nothing is lost; when nobody is there any more, it is.
pub type Teller = mpsc::Sender<Told>;

/// Keeps account of the status of objects: conditions at once, counts now and then, as in a cluster.
#[derive(Default)]
pub(super) struct Statuses(HashMap<ObjectId, Memory>);

impl Statuses {
    /// What is to be told of statuses now, and when to look again.
    pub fn look(&mut self, store: &mut Store, reports: &Reports) -> (Vec<Told>, Option<Instant>) {
        let (now, wall) = (Instant::now(), Timestamp::now());
        let mut next: Option<Instant> = None;
        let mut due = Vec::new();
        for (id, standing) in store.index.standings() {
            if standing.head().deleted.is_some() {
                continue;
            }
            let desired = desired_of(&store.index, reports, &id, &standing, wall);
            let memory = self.0.entry(id.clone()).or_default();
            match memory.decide(&standing.status(), &desired, now) {
                Decision::Nothing => {}
                Decision::At(at) => next = Some(next.map_or(at, |next| next.min(at))),
                Decision::Now => {
                    memory.written(now);
                    let head = standing.head();
                    due.push((id, head.uid.clone(), head.resource_version.clone(), head.generation, desired.status));
                }
            }
        }
        let gone = |id: &ObjectId| store.index.standing(id).is_none_or(|standing| standing.head().deleted.is_some());
        let gone: Vec<ObjectId> = self.0.keys().filter(|id| gone(id)).cloned().collect();
        let told = due.into_iter().map(|(id, uid, version, generation, status)| {
            store.index.written(&id, &uid, version, status.clone());
            Told::Status {
                kind: id.kind.name(),
                namespace: id.name.namespace.to_string(),
                name: id.name.name.to_string(),
                generation,
                status: Box::new(status),
            }
        });
        let mut told: Vec<_> = told.collect();
        for id in gone {
            self.0.remove(&id);
            let (kind, namespace, name) = (id.kind.name(), id.name.namespace.to_string(), id.name.name.to_string());
            told.push(Told::Gone { kind, namespace, name });
        }
        (told, next)
    }
}
