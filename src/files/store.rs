//! What an API server would make of manifests: objects with uid and generation, which the index takes.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::read::Set;
use crate::{
    api::{FORWARD_FINALIZER, LiveKitServer, ParticipantForward, ParticipantMove, RoomPolicy},
    engine::{Catalog, Reports},
    kubernetes::{
        decoded::Decoded,
        finalizer,
        index::{Index, Scope, Source, Tables},
        kind::{Kind, ObjectId},
    },
    livekit::{Client, Credentials},
    metrics::Metrics,
};

/// The objects, and the index that they are in.
pub(super) struct Store {
    pub index: Index,
    objects: BTreeMap<ObjectId, Text>,
    /// Forwards that are no more and whose copies are to be ended first, as a finalizer would have it.
    ending: BTreeMap<ObjectId, (Text, Instant)>,
    /// Counts the changes, as etcd does.
    revision: u64,
}

/// An object as JSON in a text: as a tree it takes ten times as much memory.
struct Text(Box<str>);

impl Text {
    fn of(object: &Value) -> Self {
        Self(object.to_string().into())
    }

    /// The object; null if the text were no JSON, which it is.
    fn object(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl Store {
    /// Nothing yet. Servers without credentials take those that are given here.
    pub fn new(replicas: NonZeroU32, metrics: Arc<Metrics>, credentials: Option<Credentials>) -> Self {
        let index = Index::new(vec![Scope::Cluster], replicas, Some(metrics)).with_credentials(credentials);
        Self { index, objects: BTreeMap::new(), ending: BTreeMap::new(), revision: 0 }
    }

    /// Takes what the files say now in the place of all that they said before.
    pub fn take(&mut self, set: Set) {
        self.revision += 1;
        let mut before = std::mem::take(&mut self.objects);
        for (id, object) in set.objects {
            let known = before.remove(&id).map(|known| known.object());
            let object = self.stored(&id, object, known);
            self.ending.remove(&id);
            self.objects.insert(id, Text::of(&object));
        }
        for (id, gone) in before {
            let mut object = gone.object();
            if object["metadata"]["finalizers"] != json!([]) {
                object["metadata"]["deletionTimestamp"] = json!(jiff::Timestamp::now());
                object["metadata"]["resourceVersion"] = self.revision.to_string().into();
                self.ending.insert(id, (Text::of(&object), Instant::now()));
            }
        }
        self.fill();
        let mut namespaces = set.namespaces;
        for id in self.objects.keys() {
            namespaces.entry(id.name.namespace.to_string()).or_default();
        }
        for (name, labels) in &mut namespaces {
            labels.insert("kubernetes.io/metadata.name".to_owned(), name.clone());
        }
        self.index.reset_namespaces(namespaces);
        let wanted = self.index.wanted();
        for source in &wanted.sources {
            let data = match source {
                Source::Secret(name) => set.secrets.get(name),
                Source::ConfigMap(name) => set.config_maps.get(name),
            };
            self.index.set_source(source, data.cloned());
        }
        self.index.forget_unwanted(&wanted);
    }

    /// The catalog of all this.
    pub fn build(&mut self) -> Arc<Catalog<Client>> {
        self.index.build()
    }

    /// Lets go of deleted forwards that are done with, and tells whether there was one.
    pub fn settle(&mut self, reports: &Reports) -> bool {
        let before = self.ending.len();
        let index = &self.index;
        let forwards: HashMap<_, _> = index.forwards().collect();
        self.ending.retain(|id, (_, since)| {
            forwards.get(&id.name).is_some_and(|entry| !finalizer::is_over(entry, reports, since.elapsed()))
        });
        if self.ending.len() == before {
            return false;
        }
        self.fill();
        true
    }

    /// When to look again though nothing has happened.
    pub fn next_settling(&self) -> Option<Duration> {
        (!self.ending.is_empty()).then_some(Duration::from_secs(1))
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// An object with what the API server would give it. Another server is another object: to refuse that, as a cluster
    /// does, would make two edits out of one here.
    fn stored(&self, id: &ObjectId, mut object: Value, before: Option<Value>) -> Value {
        let before = before.filter(|before| before["spec"]["serverRef"] == object["spec"]["serverRef"]);
        let fresh = || format!("{id} {}", self.revision);
        let uid = before.as_ref().and_then(|before| before["metadata"]["uid"].as_str().map(str::to_owned));
        let generation = match &before {
            Some(before) => {
                let generation = before["metadata"]["generation"].as_i64().unwrap_or_default();
                generation + i64::from(before["spec"] != object["spec"])
            }
            None => 1,
        };
        let stops = id.kind == Kind::Forward && object["spec"]["deletionPolicy"] != "Retain";
        let metadata = &mut object["metadata"];
        metadata["finalizers"] = if stops { json!([FORWARD_FINALIZER]) } else { json!([]) };
        metadata["namespace"] = (*id.name.namespace).into();
        metadata["uid"] = uid.unwrap_or_else(fresh).into();
        metadata["generation"] = generation.into();
        metadata["resourceVersion"] = self.revision.to_string().into();
        object
    }

    fn fill(&mut self) {
        fill::<LiveKitServer>(&mut self.index, &self.objects, &self.ending);
        fill::<RoomPolicy>(&mut self.index, &self.objects, &self.ending);
        fill::<ParticipantForward>(&mut self.index, &self.objects, &self.ending);
        fill::<ParticipantMove>(&mut self.index, &self.objects, &self.ending);
    }
}

/// Puts all objects of a kind into the index.
fn fill<K: Tables>(
    index: &mut Index,
    objects: &BTreeMap<ObjectId, Text>,
    ending: &BTreeMap<ObjectId, (Text, Instant)>,
) {
    let ending = ending.iter().map(|(id, (object, _))| (id, object));
    let mine = objects.iter().chain(ending).filter(|(id, _)| id.kind == K::KIND);
    // A metadata that does not even decode has not passed the checks.
    let objects: Vec<Decoded<K>> = mine.filter_map(|(_, text)| serde_json::from_str(&text.0).ok()).collect();
    index.reset(&Scope::Cluster, objects);
}
