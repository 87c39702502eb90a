//! What the operator counts. No identity and no room name is ever a label: they are personal, and without bound.

use std::{
    fmt::{self, Write},
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use crate::{
    livekit::{Method, Observation},
    policy::ObjectName,
};

/// Upper ends of the buckets for spans of a request and of an enforcement, in seconds.
const SPANS: [f64; 14] = [0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];

/// All metrics. Cheap to share; written to from everywhere.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<MethodLabels, Histogram, fn() -> Histogram>,
    time_to_enforce: Family<NoticedLabels, Histogram, fn() -> Histogram>,
    webhooks: Family<WebhookLabels, Counter>,
    webhooks_rejected: Family<ReasonLabels, Counter>,
    last_resync: Family<ServerLabels, Gauge<f64, AtomicU64>>,
    /// By method, in the order of [`Method::ALL`], for who has no scraper.
    made: [AtomicU64; Method::ALL.len()],
    /// Panics that were caught: each one is a bug.
    pub panics: Counter,
    /// Writes of status.
    pub status_writes: Counter,
    /// Whether this replica leads: 1 or 0.
    pub leader: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    server: Server,
    method: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NoticedLabels {
    noticed: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookLabels {
    server: Server,
    event: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabels {
    server: Server,
}

/// A LiveKitServer as a label, `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Server(ObjectName);

impl EncodeLabelValue for Server {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        write!(encoder, "{}", self.0)
    }
}

/// The events that LiveKit sends (livekit_webhook.proto); others are counted as `other`, so that labels stay bounded.
const EVENTS: [&str; 14] = [
    "room_started",
    "room_finished",
    "participant_joined",
    "participant_left",
    "participant_connection_aborted",
    "track_published",
    "track_unpublished",
    "egress_started",
    "egress_updated",
    "egress_ended",
    "ingress_started",
    "ingress_ended",
    "agent_job_started",
    "agent_job_ended",
];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let spans: fn() -> Histogram = || Histogram::new(SPANS);
        let mut metrics = Self {
            registry: Registry::with_prefix("usher"),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(spans),
            time_to_enforce: Family::new_with_constructor(spans),
            webhooks: Family::default(),
            webhooks_rejected: Family::default(),
            last_resync: Family::default(),
            made: Default::default(),
            panics: Counter::default(),
            status_writes: Counter::default(),
            leader: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version that runs", build);
        registry.register("livekit_requests", "Requests to LiveKit by outcome", self.requests.clone());
        registry.register_with_unit(
            "livekit_request",
            "How long requests to LiveKit took",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        registry.register_with_unit(
            "time_to_enforce",
            "From noticing that a participant is not as declared to LiveKit's word that it is, by how it was noticed",
            Unit::Seconds,
            self.time_to_enforce.clone(),
        );
        registry.register("webhooks_received", "Webhooks that LiveKit signed, by event", self.webhooks.clone());
        registry.register("webhooks_rejected", "Requests that were no good webhooks", self.webhooks_rejected.clone());
        registry.register_with_unit(
            "last_successful_resync_timestamp",
            "When every governed room had last been listed",
            Unit::Seconds,
            self.last_resync.clone(),
        );
        registry.register("panics", "Panics that were caught; each one is a bug", self.panics.clone());
        registry.register("status_writes", "Writes of an object's status", self.status_writes.clone());
        registry.register("leader", "1 at the replica that resyncs and writes status", self.leader.clone());
    }

    /// In the text format of OpenMetrics, which Prometheus reads.
    ///
    /// # Errors
    /// None that is known: writing to a string does not fail.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Counts a request to LiveKit.
    pub fn request(&self, server: &ObjectName, call: &Observation) {
        let method = call.method.as_str();
        let labels = RequestLabels { server: Server(server.clone()), method, code: call.code };
        self.requests.get_or_create(&labels).inc();
        if let Some(made) = Method::ALL.iter().position(|one| *one == call.method).and_then(|at| self.made.get(at)) {
            made.fetch_add(1, Ordering::Relaxed);
        }
        self.request_seconds.get_or_create(&MethodLabels { method }).observe(call.duration.as_secs_f64());
    }

    /// How many requests have been made to all servers, by method.
    pub fn requests_made(&self) -> impl Iterator<Item = (Method, u64)> {
        Method::ALL.into_iter().zip(self.made.iter().map(|made| made.load(Ordering::Relaxed)))
    }

    /// Counts requests of one server, for a client's observer.
    pub fn requests_of(self: &Arc<Self>, server: ObjectName) -> impl Fn(&Observation) + Send + Sync + use<> {
        let metrics = Arc::clone(self);
        move |call| metrics.request(&server, call)
    }

    /// Counts a participant that has been brought to what is declared.
    pub fn enforced(&self, noticed: &'static str, after: Duration) {
        self.time_to_enforce.get_or_create(&NoticedLabels { noticed }).observe(after.as_secs_f64());
    }

    /// Counts a verified webhook.
    pub fn webhook(&self, server: &ObjectName, event: &str) {
        let event = EVENTS.into_iter().find(|known| *known == event).unwrap_or("other");
        self.webhooks.get_or_create(&WebhookLabels { server: Server(server.clone()), event }).inc();
    }

    /// Counts a request that was no good webhook.
    pub fn webhook_rejected(&self, reason: &'static str) {
        self.webhooks_rejected.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Notes when every governed room had last been listed.
    pub fn resynced(&self, server: &ObjectName, at: jiff::Timestamp) {
        let labels = ServerLabels { server: Server(server.clone()) };
        self.last_resync.get_or_create(&labels).set(at.as_duration().as_secs_f64());
    }

    /// Forgets a server that is no more.
    pub fn forget(&self, server: &ObjectName) {
        self.last_resync.remove(&ServerLabels { server: Server(server.clone()) });
    }
}
