//! What the operator counts. No identity and no room name is ever a label: they are personal, and without bound.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "what goes wrong in a test ends it"))]

mod labels;
mod server;

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};
use tokio::runtime::Handle;

use self::labels::{MethodLabels, NoticedLabels, ReasonLabels, RequestLabels, Server, ServerLabels, WebhookLabels};
use crate::{
    livekit::{Method, Observation},
    policy::ObjectName,
};

pub use self::server::ServerMetrics;

/// Upper ends of the buckets for spans of a request and of an enforcement, in seconds.
const SPANS: [f64; 14] = [0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];

/// The same for the age of webhooks, which LiveKit stamps in whole seconds and repeats for a minute or two.
const AGES: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0];

/// All metrics. Cheap to share; written to from everywhere.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<MethodLabels, Histogram, fn() -> Histogram>,
    time_to_enforce: Family<NoticedLabels, Histogram, fn() -> Histogram>,
    webhooks: Family<WebhookLabels, Counter>,
    webhooks_rejected: Family<ReasonLabels, Counter>,
    webhook_age: Histogram,
    work: server::Work,
    catalog_generation: Gauge,
    catalog_changed: Gauge<f64, AtomicU64>,
    last_resync: Family<ServerLabels, Gauge<f64, AtomicU64>>,
    /// Set when somebody reads it.
    tasks: Gauge,
    other_runtime: OnceLock<Handle>,
    /// By method, in the order of [`Method::ALL`], for who has no scraper.
    made: [AtomicU64; Method::ALL.len()],
    /// Panics that were caught: each one is a bug.
    pub panics: Counter,
    /// Writes of status.
    pub status_writes: Counter,
    /// Whether this replica leads: 1 or 0.
    pub leader: Gauge,
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
            webhook_age: Histogram::new(AGES),
            work: server::Work::new(),
            catalog_generation: Gauge::default(),
            catalog_changed: Gauge::default(),
            last_resync: Family::default(),
            tasks: Gauge::default(),
            other_runtime: OnceLock::new(),
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
            "webhook_age",
            "How long ago what a webhook tells had happened when it came; LiveKit stamps whole seconds",
            Unit::Seconds,
            self.webhook_age.clone(),
        );
        self.work.register(registry);
        registry.register(
            "catalog_generation",
            "How many times what is to be enforced has been compiled anew",
            self.catalog_generation.clone(),
        );
        registry.register_with_unit(
            "catalog_changed_timestamp",
            "When what is to be enforced was last compiled anew",
            Unit::Seconds,
            self.catalog_changed.clone(),
        );
        registry.register_with_unit(
            "last_successful_resync_timestamp",
            "When every governed room had last been listed",
            Unit::Seconds,
            self.last_resync.clone(),
        );
        registry.register(
            "tasks",
            "Tasks alive in the operator: a few, and one for each connection and each request that is under way",
            self.tasks.clone(),
        );
        registry.register("panics", "Panics that were caught; each one is a bug", self.panics.clone());
        registry.register("status_writes", "Writes of an object's status", self.status_writes.clone());
        registry.register("leader", "1 at the replica that resyncs and writes status", self.leader.clone());
    }

    /// Counts the tasks of another runtime than the one on which this is encoded, too.
    pub fn count_tasks_of(&self, runtime: Handle) {
        let _ = self.other_runtime.set(runtime);
    }

    /// In the text format of OpenMetrics, which Prometheus reads.
    ///
    /// # Errors
    /// None that is known: writing to a string does not fail.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let runtimes = self.other_runtime.get().cloned().into_iter().chain(Handle::try_current());
        let tasks = runtimes.map(|runtime| runtime.metrics().num_alive_tasks()).sum::<usize>();
        self.tasks.set(i64::try_from(tasks).unwrap_or(i64::MAX));
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

    /// Notes how old a webhook was when it came, by the second at which it was made.
    pub fn webhook_age(&self, created_at: i64, now: jiff::Timestamp) {
        let age = now.as_duration().as_secs_f64() - created_at as f64;
        self.webhook_age.observe(age.max(0.0));
    }

    /// What is counted of one server's work.
    #[must_use]
    pub fn server(&self, server: &ObjectName) -> ServerMetrics {
        self.work.of(server)
    }

    /// Notes that what is to be enforced has been compiled anew.
    pub fn catalog_changed(&self, at: jiff::Timestamp) {
        self.catalog_generation.inc();
        self.catalog_changed.set(at.as_duration().as_secs_f64());
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

    /// Forgets when a server's rooms had last been listed: it is another replica that lists them.
    pub fn forget_resync(&self, server: &ObjectName) {
        self.last_resync.remove(&ServerLabels { server: Server(server.clone()) });
    }

    /// Forgets a server that is no more.
    pub fn forget(&self, server: &ObjectName) {
        self.forget_resync(server);
        self.work.forget(server);
    }
}

#[cfg(test)]
mod tests;
