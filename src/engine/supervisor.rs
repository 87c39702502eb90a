//! Starts and stops workers as servers come and go, and leads webhooks to them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{
    sync::{mpsc, watch},
    task::{Id, JoinSet},
};

use super::{
    clock::Clock,
    event::Event,
    leader::Leadership,
    service::RoomService,
    stopped,
    view::{Audience, Catalog, Reports, Server, ServerView},
    worker::{Wires, Worker},
};
use crate::{livekit::webhook::Verifier, metrics::Metrics, policy::ObjectName};

/// Webhooks that may wait for one worker. LiveKit queues 200 for each room and repeats what is answered with 5xx.
const WAITING_EVENTS: usize = 16_384;
/// A worker that ended in a panic begins anew after this time.
const RESTART: Duration = Duration::from_secs(1);

/// Where webhooks go. Read for each one, replaced whole when servers come or go.
#[derive(Clone, Debug, Default)]
pub struct Routes(Arc<ArcSwap<HashMap<ObjectName, Route>>>);

/// Where the webhooks of one server go.
#[derive(Clone, Debug)]
pub struct Route {
    /// Knows the server's keys.
    pub verifier: Arc<Verifier>,
    events: mpsc::Sender<Event>,
}

/// The worker has more waiting than it can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded;

impl Routes {
    /// The route of a server.
    #[must_use]
    pub fn find(&self, server: &ObjectName) -> Option<Route> {
        self.0.load().get(server).cloned()
    }
}

impl Route {
    /// Hands an event over, without waiting.
    ///
    /// # Errors
    /// The worker has more waiting than it can hold, or is just being replaced: LiveKit should send the event again.
    pub fn hand_over(&self, event: Event) -> Result<(), Overloaded> {
        self.events.try_send(event).map_err(|_| Overloaded)
    }
}

/// Runs a worker for each server of the catalog.
pub struct Engine<S> {
    catalog: watch::Receiver<Option<Arc<Catalog<S>>>>,
    reports: watch::Sender<Reports>,
    routes: Routes,
    metrics: Arc<Metrics>,
    clock: Clock,
    audience: Option<Audience>,
    leadership: Leadership,
    workers: HashMap<ObjectName, Handle<S>>,
    tasks: JoinSet<()>,
}

struct Handle<S> {
    view: watch::Sender<Arc<ServerView<S>>>,
    verifier: Arc<Verifier>,
    events: mpsc::Sender<Event>,
    stop: watch::Sender<bool>,
    task: Id,
}

impl<S: RoomService> Engine<S> {
    /// An engine that has not begun.
    #[must_use]
    pub fn new(
        catalog: watch::Receiver<Option<Arc<Catalog<S>>>>,
        reports: watch::Sender<Reports>,
        routes: Routes,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            catalog,
            reports,
            routes,
            metrics,
            clock: Clock::system(),
            audience: None,
            leadership: Leadership::alone(),
            workers: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// The same engine by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The same engine, which tells of what it does to participants, each time.
    #[must_use]
    pub fn telling(self, audience: Audience) -> Self {
        Self { audience: Some(audience), ..self }
    }

    /// The same engine, which is one of several of which one leads.
    #[must_use]
    pub fn led_by(self, leadership: Leadership) -> Self {
        Self { leadership, ..self }
    }

    /// Works until it is stopped, and then until every worker has finished what is under way.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        // What came before now is no change to whoever subscribed after it.
        self.take_catalog();
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                changed = self.catalog.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.take_catalog();
                }
                Some(ended) = self.tasks.join_next() => {
                    if let Err(error) = ended {
                        self.panicked(error.id());
                    }
                }
            }
        }
        // The routes stay: a webhook that finds nobody at their end is answered so that LiveKit sends it again, maybe to
        // who comes after us. Of a server that nobody knows it would not.
        self.workers.clear();
        while self.tasks.join_next().await.is_some() {}
    }

    /// Replaces a worker that has ended in a panic.
    fn panicked(&mut self, task: Id) {
        self.metrics.panics.inc();
        // One of a server that is no more is not missed.
        let Some(server) = self.workers.iter().find(|(_, worker)| worker.task == task).map(|(name, _)| name.clone())
        else {
            return;
        };
        tracing::error!(%server, "the worker of the server has panicked; it begins anew");
        self.workers.remove(&server);
        let Some(catalog) = self.catalog.borrow().clone() else { return };
        if let Some(view) = catalog.servers.get(&server) {
            self.start(&server, view, RESTART);
            self.lead_webhooks();
        }
    }

    fn take_catalog(&mut self) {
        let Some(catalog) = self.catalog.borrow_and_update().clone() else { return };
        self.metrics.catalog_changed(self.clock.now());
        let gone: Vec<_> = self.workers.keys().filter(|name| !catalog.servers.contains_key(name)).cloned().collect();
        for name in gone {
            self.workers.remove(&name);
            self.reports.send_modify(|reports| drop(reports.remove(&name)));
            self.metrics.forget(&name);
        }
        for (name, server) in &catalog.servers {
            match self.workers.get_mut(name) {
                Some(worker) => {
                    worker.verifier = Arc::clone(&server.verifier);
                    worker.view.send_if_modified(|view| {
                        let differs = !Arc::ptr_eq(view, &server.view);
                        *view = Arc::clone(&server.view);
                        differs
                    });
                }
                None => self.start(name, server, Duration::ZERO),
            }
        }
        self.lead_webhooks();
    }

    fn lead_webhooks(&self) {
        let routes = self.workers.iter().map(|(name, worker)| {
            let route = Route { verifier: Arc::clone(&worker.verifier), events: worker.events.clone() };
            (name.clone(), route)
        });
        self.routes.0.store(Arc::new(routes.collect()));
    }

    /// Starts a worker that begins after a while; until then webhooks wait for it.
    fn start(&mut self, name: &ObjectName, server: &Server<S>, after: Duration) {
        let (view, views) = watch::channel(Arc::clone(&server.view));
        let (events, received) = mpsc::channel(WAITING_EVENTS);
        let (stop, stopped) = watch::channel(false);
        let wires = Wires {
            view: views,
            events: received,
            reports: self.reports.clone(),
            stop: stopped,
            metrics: Arc::clone(&self.metrics),
            clock: self.clock,
            audience: self.audience.clone(),
            leadership: self.leadership.clone(),
        };
        let task = self.tasks.spawn(async move {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            Worker::run(wires).await;
        });
        let verifier = Arc::clone(&server.verifier);
        self.workers.insert(name.clone(), Handle { view, verifier, events, stop, task: task.id() });
    }
}

impl<S> Drop for Handle<S> {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
