//! When a status is written: conditions at once, counts now and then, nothing where nothing differs.

use std::time::Duration;

use tokio::time::Instant;

use super::{Desired, Difference, Status};
use crate::api::{Reason, condition::READY};

/// Between two writes of an object for the sake of counts.
const COUNTS: Duration = Duration::from_secs(30);
/// Conditions take the counts along that are known at that moment, often the first ones. So soon after, and once only,
/// better ones are written without waiting for [`COUNTS`].
const FIRST_COUNTS: Duration = Duration::from_secs(2);
/// Between two writes of an object at all: fifty changes in a second end in a few writes.
const WRITES: Duration = Duration::from_millis(500);
/// For so long nothing is said of a first look that is under way: mostly it is over before. Whoever waits is not
/// misled, for observedGeneration is not that of the object yet.
const FIRST_LOOK: Duration = Duration::from_millis(500);
/// For so long after the operator has started, a condition that an earlier one wrote about the same generation is left
/// standing while the first look is under way: a restart of the operator is nothing that an object should tell of.
const RESTART: Duration = Duration::from_secs(15);
/// Pauses after a write that failed: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What is remembered of an object between writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// A write is queued or under way.
    pub busy: bool,
    written_at: Option<Instant>,
    /// The last write for the sake of counts, and whether the next one is.
    counted_at: Option<Instant>,
    counts: bool,
    progressing_since: Option<Instant>,
    failures: u32,
    not_before: Option<Instant>,
}

/// Whether to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// No.
    Nothing,
    /// Yes.
    Now,
    /// Look again at this moment.
    At(Instant),
}

impl Memory {
    /// Whether to write, when the API server has `present`.
    pub fn decide(&mut self, present: &Status, desired: &Desired, now: Instant) -> Decision {
        if desired.reason != Reason::Progressing {
            self.progressing_since = None;
        }
        let spaced = self.written_at.map(|at| at + WRITES);
        let difference = present.difference(&desired.status);
        self.counts = difference == Difference::Counts;
        let due = match difference {
            Difference::None => return Decision::Nothing,
            Difference::Counts => {
                self.written_at.map(|at| at + FIRST_COUNTS).max(self.counted_at.map(|at| at + COUNTS))
            }
            // Copies may be made already: should the operator end now, only this write would tell of them.
            Difference::Conditions if desired.status.remembers_more_than(present) => spaced,
            Difference::Conditions if desired.reason == Reason::Progressing => {
                let since = *self.progressing_since.get_or_insert(now);
                spaced.max(Some(since + if was_ready(present, &desired.status) { RESTART } else { FIRST_LOOK }))
            }
            Difference::Conditions => spaced,
        };
        match due.max(self.not_before) {
            Some(due) if due > now => Decision::At(due),
            _ => Decision::Now,
        }
    }

    /// Notes that it has been written.
    pub fn written(&mut self, now: Instant) {
        let counted_at = if self.counts { Some(now) } else { self.counted_at };
        let progressing_since = self.progressing_since;
        *self = Self { written_at: Some(now), counted_at, progressing_since, ..Self::default() };
    }

    /// Notes that it could not be written.
    pub fn failed(&mut self, now: Instant) {
        let (first, longest) = RETRY;
        let pause = first.saturating_mul(1 << self.failures.min(8)).min(longest);
        self.failures += 1;
        self.busy = false;
        self.not_before = Some(now + pause.mul_f64(0.75 + fastrand::f64() / 2.0));
    }
}

/// Whether the present status says Ready of the same generation.
fn was_ready(present: &Status, desired: &Status) -> bool {
    let ready = present.conditions().iter().find(|condition| condition.type_ == READY);
    present.observed().0 == desired.observed().0 && ready.is_some_and(|ready| ready.status == "True")
}
