//! The operator without what is in front of it: an engine, where webhooks come in, what is counted.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::lane::Lane;
use crate::{
    engine::{Audience, Catalog, Engine, Leadership, Reports, Routes},
    files::{Teller, Wires},
    http::{self, Guests},
    kubernetes::{CatalogSender, Readiness},
    livekit::Client,
    metrics::Metrics,
};

/// Everything that runs, wherever the manifests come from.
pub(super) struct Operator {
    /// Takes the catalog.
    pub(super) catalog: CatalogSender,
    /// What the engine says.
    pub(super) reports: watch::Receiver<Reports>,
    /// Whether the catalog is published.
    pub(super) readiness: Readiness,
    /// What is counted.
    pub(super) metrics: Arc<Metrics>,
    /// Where webhooks are received.
    pub(super) webhooks: SocketAddr,
    stopping: watch::Sender<bool>,
    catalogs: watch::Receiver<Option<Arc<Catalog<Client>>>>,
    reporting: watch::Sender<Reports>,
    routes: Routes,
    servers: JoinSet<()>,
    lane: Lane,
}

impl Operator {
    /// Listens, first of all, so that whoever asks for health gets an answer while everything else is awaited.
    pub(super) async fn listen(http_addr: SocketAddr, admin_addr: Option<SocketAddr>) -> anyhow::Result<Self> {
        let (stopping, stop) = watch::channel(false);
        let (catalog, catalogs) = watch::channel(None);
        let (reporting, reports) = watch::channel(Reports::new());
        let readiness = Readiness::new();
        let metrics = Arc::new(Metrics::new());
        let routes = Routes::default();
        let mut servers = JoinSet::new();
        let lane = Lane::open().context("cannot start a thread for enforcement")?;
        let listener = lane.handle().spawn(http::listen(http_addr, "--http-addr")).await??;
        let webhooks = listener.local_addr()?;
        if let Some(admin_addr) = admin_addr {
            let listener = http::listen(admin_addr, "--admin-addr").await?;
            let router = http::admin(Arc::clone(&metrics), readiness.subscribe());
            servers.spawn(http::serve(listener, router, Guests::All, stop.clone()));
        }
        let router = http::webhooks(routes.clone(), Arc::clone(&metrics));
        let serve = http::serve(listener, router, Guests::Known(Arc::clone(&metrics)), stop);
        servers.spawn_on(serve, lane.handle());
        metrics.count_tasks_of(lane.handle().clone());
        Ok(Self {
            catalog,
            reports,
            readiness,
            metrics,
            webhooks,
            stopping,
            catalogs,
            reporting,
            routes,
            servers,
            lane,
        })
    }

    /// Starts the engine.
    pub(super) fn start(&self, leadership: Leadership, audience: Audience) -> JoinHandle<()> {
        let (catalogs, reporting) = (self.catalogs.clone(), self.reporting.clone());
        let engine = Engine::new(catalogs, reporting, self.routes.clone(), Arc::clone(&self.metrics));
        self.lane.handle().spawn(engine.telling(audience).led_by(leadership).run(self.stop()))
    }

    /// What manifests in files work with.
    pub(super) fn wires(&self, told: Teller) -> Wires {
        Wires {
            catalog: self.catalog.clone(),
            reports: self.reports.clone(),
            stop: self.stop(),
            readiness: self.readiness.clone(),
            told,
        }
    }

    /// Tells when to stop.
    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Stops everything; what is under way is finished, also by the engine, whose thread ends here.
    pub(super) async fn end(mut self, engine: JoinHandle<()>) {
        self.stopping.send_replace(true);
        while self.servers.join_next().await.is_some() {}
        let _ = engine.await;
    }
}
