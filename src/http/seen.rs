//! Webhooks that have come before.

use std::{
    collections::{HashSet, VecDeque, hash_map::RandomState},
    hash::BuildHasher,
    sync::{Mutex, PoisonError},
};

use crate::policy::ObjectName;

/// LiveKit repeats a webhook within a minute or not at all; so many good ones do not come in that time.
const REMEMBERED: usize = 16_384;

/// The last webhooks that were handed over, by their ids.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hasher: RandomState,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    ids: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Seen {
    /// What stands for a webhook; `None` for one without an id.
    pub(super) fn mark(&self, server: &ObjectName, id: &str) -> Option<Mark> {
        (!id.is_empty()).then(|| Mark(self.hasher.hash_one((server, id))))
    }

    /// Whether it has been handed over.
    pub(super) fn has(&self, mark: Mark) -> bool {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).ids.contains(&mark.0)
    }

    /// Notes that it has been handed over.
    pub(super) fn note(&self, mark: Mark) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.ids.insert(mark.0) {
            last.order.push_back(mark.0);
        }
        if last.order.len() > REMEMBERED
            && let Some(oldest) = last.order.pop_front()
        {
            last.ids.remove(&oldest);
        }
    }
}

/// Stands for a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_last_ones_of_each_server() {
        let seen = Seen::default();
        let (a, b) = (ObjectName::new("x", "a"), ObjectName::new("x", "b"));
        let first = seen.mark(&a, "EV_0").unwrap();
        assert!(!seen.has(first));
        seen.note(first);
        seen.note(first);
        assert!(seen.has(first));
        assert!(!seen.has(seen.mark(&b, "EV_0").unwrap()));
        for number in 1..=REMEMBERED {
            seen.note(seen.mark(&a, &format!("EV_{number}")).unwrap());
        }
        assert!(!seen.has(first), "bounded");
        assert!(seen.has(seen.mark(&a, "EV_1").unwrap()));
        assert_eq!(seen.mark(&a, ""), None);
    }
}
