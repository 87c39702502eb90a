//! The operator's engine, which may crash.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle};
use usher::{
    engine::{Catalog, Clock, Engine, Event, Reports, Routes, Server, ServerView},
    livekit::webhook::Verifier,
    metrics::Metrics,
    policy::{Member, ObjectName, PolicySet, Reach, TransferSet},
};

use crate::{declared::Objects, witness::Witness};

pub const RESYNC: Duration = Duration::from_secs(30);

/// One life of the engine.
pub struct Operator {
    service: Arc<Witness>,
    catalog: watch::Sender<Option<Arc<Catalog<Witness>>>>,
    routes: Routes,
    pub reports: watch::Receiver<Reports>,
    pub metrics: Arc<Metrics>,
    task: JoinHandle<()>,
    /// The engine would end without it.
    _stop: watch::Sender<bool>,
}

fn server() -> ObjectName {
    ObjectName::new("m", "main")
}

impl Operator {
    /// Starts one that has not seen any objects yet.
    pub fn start(service: Witness, clock: Clock) -> Self {
        let (catalog, catalogs) = watch::channel(None);
        let (reporting, reports) = watch::channel(Reports::new());
        let (stop, stopped) = watch::channel(false);
        let (routes, metrics) = (Routes::default(), Arc::new(Metrics::new()));
        let engine = Engine::new(catalogs, reporting, routes.clone(), Arc::clone(&metrics)).with_clock(clock);
        let task = tokio::spawn(engine.run(stopped));
        Self { service: Arc::new(service), catalog, routes, reports, metrics, task, _stop: stop }
    }

    /// Shows it the objects as they are now.
    pub fn show(&self, objects: &Objects) {
        let policies =
            objects.policies.iter().map(|policy| Member { policy: Arc::clone(&policy.compiled), reach: Reach::Home });
        let view = ServerView {
            server: server(),
            service: Arc::clone(&self.service),
            policies: Arc::new(PolicySet::new(policies.collect(), Vec::new())),
            transfers: Arc::new(TransferSet::new(objects.transfers(), Vec::new())),
            resync_interval: RESYNC,
            limits: objects.limits,
            suspended: objects.suspended,
            resync_request: 0,
        };
        let servers =
            HashMap::from([(server(), Server { view: Arc::new(view), verifier: Arc::new(Verifier::new([])) })]);
        self.catalog.send_replace(Some(Arc::new(Catalog { servers })));
    }

    /// Hands a webhook over; false where there is nobody yet who takes it.
    pub fn hear(&self, event: Event) -> bool {
        self.routes.find(&server()).is_some_and(|route| route.hand_over(event).is_ok())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
    }
}
