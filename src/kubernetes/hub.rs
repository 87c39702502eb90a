//! Where watches, catalog and status meet: the index behind a lock, and who is told when it changes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
};

use k8s_openapi::ByteString;
use tokio::sync::Notify;

use super::{
    decoded::Decoded,
    index::{Index, Scope, Source, Tables},
};

/// The index, shared by the tasks of this room.
///
/// A std mutex and not tokio's: it is held for microseconds, at a rebuild for milliseconds, and never across an await.
#[derive(Debug)]
pub(super) struct Hub {
    index: Mutex<Index>,
    /// The catalog may have changed.
    pub changed: Notify,
    /// A status may have to be written: an object was seen, or the verdicts are new.
    pub look: Notify,
    /// A finalizer may have to be put on or taken off, for the same reasons.
    pub tend: Notify,
}

/// A task has panicked with the index in its hands, so that nobody knows what is in it.
#[derive(Debug, thiserror::Error)]
#[error("the index of objects was left half-changed by a panic")]
pub struct Poisoned;

impl Hub {
    pub fn new(index: Index) -> Self {
        Self { index: Mutex::new(index), changed: Notify::new(), look: Notify::new(), tend: Notify::new() }
    }

    /// The index. Where a task has panicked with it, this panics as well: nothing is done on what is not known.
    #[allow(clippy::panic, reason = "the supervisor turns it into the end of the process")]
    pub fn lock(&self) -> MutexGuard<'_, Index> {
        match self.index.lock() {
            Ok(index) => index,
            Err(_) => panic!("{Poisoned}"),
        }
    }

    /// Whether a task has panicked with the index in its hands.
    pub fn is_poisoned(&self) -> bool {
        self.index.is_poisoned()
    }

    /// Changes the index and tells whom it concerns.
    pub fn change(&self, change: impl FnOnce(&mut Index) -> bool) {
        if change(&mut self.lock()) {
            self.changed.notify_one();
        }
    }

    /// The same where a status is concerned too, whether or not anything else is.
    fn see(&self, change: impl FnOnce(&mut Index) -> bool) {
        self.change(change);
        self.look_again();
    }

    /// Tells that objects or what is said of them may have changed.
    pub fn look_again(&self) {
        self.look.notify_one();
        self.tend.notify_one();
    }
}

/// What a watch does with what it sees.
pub(super) trait Sink<T>: Send {
    /// The whole list.
    fn reset(&self, objects: Vec<T>);
    /// One object, new or changed.
    fn apply(&self, object: T);
    /// One object that is no more.
    fn delete(&self, object: T);
    /// Nothing may be seen, says the API server; who we are, by its words.
    fn forbidden(&self, who: &str);
}

/// Takes in objects of one of our kinds.
pub(super) struct Objects<'a> {
    pub hub: &'a Hub,
    pub scope: Scope,
}

impl<K: Tables> Sink<Decoded<K>> for Objects<'_> {
    fn reset(&self, objects: Vec<Decoded<K>>) {
        self.hub.see(|index| index.reset(&self.scope, objects));
    }

    fn apply(&self, object: Decoded<K>) {
        self.hub.see(|index| index.apply(object));
    }

    fn delete(&self, object: Decoded<K>) {
        let name = super::index::name_of(&object);
        self.hub.see(|index| index.delete::<K>(&name));
    }

    fn forbidden(&self, _: &str) {}
}

/// An object that holds data by key.
pub(crate) trait Data: kube::Resource {
    /// What it holds.
    fn into_data(self) -> BTreeMap<String, ByteString>;
}

impl Data for k8s_openapi::api::core::v1::Secret {
    fn into_data(self) -> BTreeMap<String, ByteString> {
        self.data.unwrap_or_default()
    }
}

impl Data for k8s_openapi::api::core::v1::ConfigMap {
    fn into_data(self) -> BTreeMap<String, ByteString> {
        let texts = self.data.unwrap_or_default().into_iter().map(|(key, text)| (key, ByteString(text.into_bytes())));
        texts.chain(self.binary_data.unwrap_or_default()).collect()
    }
}

/// Takes in one Secret or ConfigMap.
pub(super) struct OneSource<'a> {
    pub hub: &'a Hub,
    pub source: Source,
}

impl<K: Data> Sink<K> for OneSource<'_> {
    fn reset(&self, objects: Vec<K>) {
        // The list is of one name.
        let data = objects.into_iter().next().map(K::into_data);
        self.hub.change(|index| index.set_source(&self.source, data));
    }

    fn apply(&self, object: K) {
        self.hub.change(|index| index.set_source(&self.source, Some(object.into_data())));
    }

    fn delete(&self, _: K) {
        self.hub.change(|index| index.set_source(&self.source, None));
    }

    fn forbidden(&self, who: &str) {
        self.hub.change(|index| index.forbid_source(&self.source, who));
    }
}

/// Takes in the labels of namespaces.
pub(super) struct Labels<'a> {
    pub hub: &'a Hub,
}

impl<K: kube::ResourceExt> Sink<K> for Labels<'_> {
    fn reset(&self, objects: Vec<K>) {
        let labels: HashMap<_, _> = objects.iter().map(|object| (object.name_any(), object.labels().clone())).collect();
        self.hub.change(|index| index.reset_namespaces(labels));
    }

    fn apply(&self, object: K) {
        self.hub.change(|index| index.apply_namespace(&object.name_any(), object.labels().clone()));
    }

    fn delete(&self, object: K) {
        self.hub.change(|index| index.delete_namespace(&object.name_any()));
    }

    fn forbidden(&self, who: &str) {
        self.hub.change(|index| index.forbid_namespaces(who));
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, panic::AssertUnwindSafe};

    use super::*;

    #[test]
    fn a_panic_in_the_middle_of_a_change_is_the_end() {
        let hub = Hub::new(Index::new(vec![Scope::Cluster], NonZeroU32::MIN, None));
        let change = AssertUnwindSafe(|| hub.change(|_| panic!("as if by a bug")));
        std::panic::catch_unwind(change).unwrap_err();
        assert!(hub.is_poisoned());
        std::panic::catch_unwind(AssertUnwindSafe(|| drop(hub.lock()))).unwrap_err();
    }
}
