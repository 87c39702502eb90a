//! Watches -> catalog, reports -> status.
//!
//! ```text
//! watch (one for each kind and scope) ─┐
//! watch (Secrets, CA, namespaces) ─────┼─> Hub(Index) ──build──> Catalog ──> engine
//!                                      │        └─ verdicts ─┐                 │
//!                                      └──────── status ─────┴─> Writer <── Reports
//! ```
//!
//! The `index` holds plain values and does no IO; `watch` fills it; `publish` rebuilds the catalog when it has changed;
//! `status` compares what the objects say with what is so, and writes what differs. This room knows
//! [`crate::api`] and the values of [`crate::engine`]; of LiveKit only what a client is made of.
//!
//! [`crate::files`] works with the same `index` and `status`, by doors that are open to this crate alone.
//!
//! What is known stays: a watch that fails takes nothing out of the index, and nothing is published before all initial
//! lists are complete.

pub(crate) mod cleanup;
pub(crate) mod decoded;
pub(crate) mod finalizer;
pub(crate) mod hub;
pub(crate) mod index;
pub(crate) mod kind;
pub mod lease;
mod publish;
pub(crate) mod status;
mod supervise;
mod watch;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use kube::{Api, Client, Config, runtime::watcher};
use tokio::{
    sync::{mpsc, watch::Receiver},
    task::JoinSet,
};

pub use self::publish::CatalogSender;
use self::{
    decoded::Decoded,
    hub::{Hub, Objects},
    index::{Index, Scope, Tables},
    status::Writer,
    supervise::supervised,
};
use crate::{
    api::{LiveKitServer, ParticipantForward, ParticipantMove, RoomPolicy},
    engine::{Deed, Leadership, Reports},
    metrics::Metrics,
};

/// Who writes our status, by the name of server-side apply, and who reports Events.
pub const MANAGER: &str = "usher";

/// What to watch.
#[derive(Clone, Debug)]
pub struct Options {
    /// These namespaces alone, without any right beyond them; empty for all namespaces.
    pub namespaces: Vec<String>,
    /// How many replicas share the request budget of a server.
    pub replicas: NonZeroU32,
}

impl Default for Options {
    fn default() -> Self {
        Self { namespaces: Vec::new(), replicas: NonZeroU32::MIN }
    }
}

/// Whether all initial lists are complete and the catalog is published; once true, it stays true.
#[derive(Clone, Debug)]
pub struct Readiness(tokio::sync::watch::Sender<bool>);

impl Readiness {
    /// Not ready yet.
    #[must_use]
    pub fn new() -> Self {
        Self(tokio::sync::watch::Sender::new(false))
    }

    /// Whether it is.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.0.borrow()
    }

    /// It is.
    pub(crate) fn set(&self) {
        self.0.send_if_modified(|ready| !std::mem::replace(ready, true));
    }

    /// Tells when it is.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<bool> {
        self.0.subscribe()
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

/// Why this room cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A task has panicked in the middle of a change of what is known. To go on could mean to act on half of it, so the
    /// process should end and begin anew.
    #[error(transparent)]
    Poisoned(#[from] hub::Poisoned),
}

/// A client of the API server that cannot wait for ever: since kube 4.0 the usual one has no timeout for answers.
///
/// # Errors
/// The configuration does not suit, for example its certificates.
pub fn client(mut config: Config) -> kube::Result<Client> {
    // The longest silence on a connection that is well is that of a watch without events.
    config.read_timeout = Some(watch::WATCH_FOR + Duration::from_secs(15));
    config.reset_reader_on_write = true;
    // Each task here has its own way to try again.
    config.default_retry = false;
    Client::try_from(config)
}

/// What [`run`] works with.
#[derive(Debug)]
pub struct Wires {
    /// Where the catalog goes.
    pub catalog: CatalogSender,
    /// What the engine says.
    pub reports: Receiver<Reports>,
    /// What the engine does to participants.
    pub deeds: mpsc::Receiver<Deed>,
    /// Whether this replica writes status.
    pub leadership: Leadership,
    /// Whether to stop.
    pub stop: Receiver<bool>,
    /// Told when all initial lists are complete.
    pub readiness: Readiness,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Watches and writes until it is stopped.
///
/// Every task is supervised: one that panics is counted, logged and begun anew, and lists everything again.
///
/// # Errors
/// A panic in the middle of a change of what is known: see [`Error::Poisoned`].
pub async fn run(options: Options, client: Client, wires: Wires) -> Result<(), Error> {
    let Wires { catalog, reports, deeds, leadership, mut stop, readiness, metrics } = wires;
    let scopes = if options.namespaces.is_empty() {
        vec![Scope::Cluster]
    } else {
        let mut namespaces = options.namespaces;
        namespaces.sort();
        namespaces.dedup();
        namespaces.iter().map(|namespace| Scope::Namespace(namespace.as_str().into())).collect()
    };
    let index = Index::new(scopes.clone(), options.replicas, Some(Arc::clone(&metrics)));
    let hub = Arc::new(Hub::new(index));

    // They end with this function, whichever way it ends.
    let mut tasks = JoinSet::new();
    let start = Start { hub: &hub, client: &client, metrics: &metrics };
    for scope in &scopes {
        start.watch::<LiveKitServer>(&mut tasks, scope);
        start.watch::<RoomPolicy>(&mut tasks, scope);
        start.watch::<ParticipantForward>(&mut tasks, scope);
        start.watch::<ParticipantMove>(&mut tasks, scope);
    }
    start.task(&mut tasks, "catalog", {
        let (hub, client, metrics, ready) = (hub.clone(), client.clone(), metrics.clone(), readiness.0.clone());
        move || publish::publish(hub.clone(), client.clone(), catalog.clone(), ready.clone(), metrics.clone())
    });
    tasks.spawn(status::tell_deeds(hub.clone(), client.clone(), deeds));
    start.task(&mut tasks, "finalizers", {
        let (hub, client) = (hub.clone(), client.clone());
        let (reports, leadership, published) = (reports.clone(), leadership.clone(), readiness.subscribe());
        move || {
            let (reports, leadership, published) = (reports.clone(), leadership.clone(), published.clone());
            finalizer::tend(hub.clone(), client.clone(), reports, leadership, published)
        }
    });
    start.task(&mut tasks, "status", {
        let (hub, client, metrics) = (hub.clone(), client.clone(), metrics.clone());
        let published = readiness.subscribe();
        move || {
            let (reports, leadership, published) = (reports.clone(), leadership.clone(), published.clone());
            Writer::new(hub.clone(), client.clone(), reports, leadership, published, metrics.clone()).run()
        }
    });
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            Some(_) = tasks.join_next() => {}
        }
        if hub.is_poisoned() {
            return Err(hub::Poisoned.into());
        }
    }
}

/// Starts tasks.
struct Start<'a> {
    hub: &'a Arc<Hub>,
    client: &'a Client,
    metrics: &'a Arc<Metrics>,
}

impl Start<'_> {
    fn watch<K: Tables>(&self, tasks: &mut JoinSet<()>, scope: &Scope) {
        let (hub, client, scope) = (Arc::clone(self.hub), self.client.clone(), scope.clone());
        let what = format!("{} in {scope}", K::KIND);
        self.task(tasks, &what.clone(), move || {
            let (hub, client, scope, what) = (hub.clone(), client.clone(), scope.clone(), what.clone());
            async move {
                let api: Api<Decoded<K>> = match &scope {
                    Scope::Cluster => Api::all(client),
                    Scope::Namespace(namespace) => Api::namespaced(client, namespace),
                };
                watch::watch(api, watcher::Config::default(), Objects { hub: &hub, scope }, &what).await;
            }
        });
    }

    fn task<F>(&self, tasks: &mut JoinSet<()>, what: &str, task: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let (what, metrics) = (what.to_owned(), Arc::clone(self.metrics));
        tasks.spawn(async move { supervised(&what, &metrics, task).await });
    }
}
