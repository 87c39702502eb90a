//! What is counted of one server's work.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{
    SPANS,
    labels::{ClassLabels, Server, ServerLabels, UrgencyLabels},
};
use crate::{engine::Urgency, policy::ObjectName};

/// The families of which each server has its series.
#[derive(Debug)]
pub(super) struct Work {
    depth: Family<ClassLabels, Gauge>,
    waits: Family<ClassLabels, Counter>,
    drift: Family<ServerLabels, Counter>,
    resync_interval: Family<ServerLabels, Gauge<f64, AtomicU64>>,
    queue_wait: Family<UrgencyLabels, Histogram, fn() -> Histogram>,
}

/// The series of one server, looked up once.
#[derive(Clone, Debug)]
pub struct ServerMetrics {
    /// Work that waits for its turn, by urgency.
    pub depth: [Gauge; Urgency::ALL.len()],
    /// How often work began to wait for the request budget, by urgency.
    pub budget_waits: [Counter; Urgency::ALL.len()],
    /// How long requests waited for their turn, by urgency.
    pub queue_wait: [Histogram; Urgency::ALL.len()],
    /// Participants whom a listing showed otherwise than declared.
    pub drift: Counter,
    /// How often a governed room is listed, in seconds.
    pub resync_interval: Gauge<f64, AtomicU64>,
}

impl Work {
    pub(super) fn new() -> Self {
        Self {
            depth: Family::default(),
            waits: Family::default(),
            drift: Family::default(),
            resync_interval: Family::default(),
            queue_wait: Family::new_with_constructor(|| Histogram::new(SPANS)),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("queue_depth", "Work that waits for its turn, by urgency", self.depth.clone());
        registry.register_with_unit(
            "queue_wait",
            "How long requests to LiveKit waited for their turn, by urgency",
            Unit::Seconds,
            self.queue_wait.clone(),
        );
        registry.register(
            "budget_waits",
            "How often work began to wait because the server may not be asked more now, by urgency",
            self.waits.clone(),
        );
        registry.register(
            "drift",
            "Participants whom a listing showed otherwise than declared, of which no webhook told",
            self.drift.clone(),
        );
        registry.register_with_unit(
            "resync_interval",
            "How often a governed room is listed: as declared, or as often as the request budget allows",
            Unit::Seconds,
            self.resync_interval.clone(),
        );
    }

    pub(super) fn of(&self, server: &ObjectName) -> ServerMetrics {
        let labels = ServerLabels { server: Server(server.clone()) };
        let of = |urgency| ClassLabels { server: Server(server.clone()), urgency: Urgency::label(urgency) };
        ServerMetrics {
            depth: Urgency::ALL.map(|urgency| self.depth.get_or_create_owned(&of(urgency))),
            budget_waits: Urgency::ALL.map(|urgency| self.waits.get_or_create_owned(&of(urgency))),
            queue_wait: Urgency::ALL
                .map(|urgency| self.queue_wait.get_or_create_owned(&UrgencyLabels { urgency: urgency.label() })),
            drift: self.drift.get_or_create_owned(&labels),
            resync_interval: self.resync_interval.get_or_create_owned(&labels),
        }
    }

    pub(super) fn forget(&self, server: &ObjectName) {
        let labels = ServerLabels { server: Server(server.clone()) };
        for urgency in Urgency::ALL {
            let labels = ClassLabels { server: Server(server.clone()), urgency: urgency.label() };
            self.depth.remove(&labels);
            self.waits.remove(&labels);
        }
        self.drift.remove(&labels);
        self.resync_interval.remove(&labels);
    }
}
