//! What is counted of a worker's work.

use tokio::time::Instant;

use super::queue::{Queue, Turn, Urgency};
use crate::metrics::ServerMetrics;

/// Counts the work of one worker.
#[derive(Debug)]
pub(super) struct Meter {
    metrics: ServerMetrics,
    /// Whether work of an urgency waits for the request budget.
    held: [bool; Urgency::ALL.len()],
}

impl Meter {
    pub(super) fn new(metrics: ServerMetrics) -> Self {
        Self { metrics, held: Default::default() }
    }

    /// A request has been sent.
    pub(super) fn sent(&self, turn: &Turn, now: Instant) {
        let waited = now.saturating_duration_since(turn.since);
        self.metrics.queue_wait[turn.urgency as usize].observe(waited.as_secs_f64());
    }

    /// Somebody was found to be otherwise than declared.
    pub(super) fn drifted(&self) {
        self.metrics.drift.inc();
    }

    /// How often a governed room is listed.
    pub(super) fn resyncs_every(&self, interval: std::time::Duration) {
        self.metrics.resync_interval.set(interval.as_secs_f64());
    }

    /// Takes note of what waits, of which the budget lets only what is at least so urgent go on.
    pub(super) fn held_back(&mut self, queue: &Queue, least: Option<Urgency>) {
        for urgency in Urgency::ALL {
            let is_held = least.is_none_or(|least| urgency > least) && queue.depth(urgency) > 0;
            if is_held && !self.held[urgency as usize] {
                self.metrics.budget_waits[urgency as usize].inc();
            }
            self.held[urgency as usize] = is_held;
        }
    }

    /// Takes note of how much waits, for whatever reason.
    pub(super) fn waiting(&self, queue: &Queue) {
        for urgency in Urgency::ALL {
            self.metrics.depth[urgency as usize].set(i64::try_from(queue.depth(urgency)).unwrap_or(i64::MAX));
        }
    }
}
