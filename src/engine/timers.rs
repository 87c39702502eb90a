//! What is to be done at which moment.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Below this many, void timers are not worth a search.
const FEW: usize = 1024;

/// Things to do, each at a moment.
///
/// A heap gives nothing back from its middle. So whoever sets a timer notes its moment beside what the timer is for;
/// a timer that is not the noted one is void, does nothing when it rings, and is thrown out when void ones crowd.
#[derive(Debug)]
pub(super) struct Timers<At, What> {
    heap: BinaryHeap<Reverse<(At, What)>>,
    crowd: usize,
}

impl<At: Ord, What: Ord> Default for Timers<At, What> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), crowd: FEW }
    }
}

impl<At: Copy + Ord, What: Ord> Timers<At, What> {
    pub(super) fn set(&mut self, at: At, what: What) {
        self.heap.push(Reverse((at, what)));
    }

    /// The next moment.
    pub(super) fn next(&self) -> Option<At> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out one whose moment has come.
    pub(super) fn due(&mut self, now: At) -> Option<(At, What)> {
        if self.next()? <= now { self.heap.pop().map(|Reverse(timer)| timer) } else { None }
    }

    /// Whether there are twice as many as at the last search for void ones, so that searching costs each timer little.
    pub(super) fn is_crowded(&self) -> bool {
        self.heap.len() > self.crowd
    }

    pub(super) fn retain(&mut self, is_valid: impl Fn(At, &What) -> bool) {
        self.heap.retain(|Reverse((at, what))| is_valid(*at, what));
        self.crowd = FEW.max(2 * self.heap.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_order() {
        let mut timers = Timers::default();
        for at in [3, 1, 2] {
            timers.set(at, at * 10);
        }
        assert_eq!((timers.next(), timers.due(0)), (Some(1), None));
        assert_eq!((timers.due(2), timers.due(2), timers.due(2)), (Some((1, 10)), Some((2, 20)), None));
    }

    #[test]
    fn void_timers_do_not_gather() {
        let mut timers = Timers::default();
        for at in 0..100_000 {
            timers.set(at, 0);
            if timers.is_crowded() {
                timers.retain(|other, _| other == at);
            }
        }
        assert!(timers.heap.len() <= FEW);
    }
}
