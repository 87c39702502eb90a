//! Manifests -> catalog, reports -> status, without Kubernetes: from files and folders, re-read when they change.
//!
//! ```text
//! files ──read, check──> Set ──> Store(Index) ──build──> Catalog ──> engine
//!             └─ mistakes ─┐          └──── statuses ────────┐          │
//!                          └──────────────> Told <───────────┴── Reports
//! ```
//!
//! The index is that of [`crate::kubernetes`]: what manifests mean is the same. All files count together: where one is
//! wrong, what all of them said before stays in force.

mod check;
mod mistake;
mod node;
mod read;
mod schema;
mod store;
mod tell;

use std::{num::NonZeroU32, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, interval, sleep_until},
};

pub use check::{Checker, Unusable};
pub use mistake::{Mistake, Mistakes};
pub use tell::{Teller, Told};

use crate::{
    engine::{Reports, stopped},
    kubernetes::{CatalogSender, Readiness},
    livekit::Credentials,
    metrics::Metrics,
};
use read::{Stamp, find, read};
use store::Store;
use tell::Statuses;

/// Between two looks at the files. An edit is taken when they have been the same for two looks: an editor may be in the
/// middle of writing. (Notices of the kernel are not the same everywhere, and not for every file system.)
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// What to read, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// How many replicas share the request budget of a server.
    pub replicas: NonZeroU32,
    /// The keys of servers without `credentials`.
    pub credentials: Option<Credentials>,
}

/// What [`Files::run`] works with.
#[derive(Debug)]
pub struct Wires {
    /// Takes the catalog.
    pub catalog: CatalogSender,
    /// What the engine says.
    pub reports: watch::Receiver<Reports>,
    /// Whether to stop.
    pub stop: watch::Receiver<bool>,
    /// Told when the catalog is published.
    pub readiness: Readiness,
    /// What is told.
    pub told: Teller,
}

/// Why files cannot be begun with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something is wrong with them.
    #[error(transparent)]
    Wrong(#[from] Mistakes),
    /// Something is wrong with us.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

/// Manifests that have been read and found good.
pub struct Files {
    paths: Vec<PathBuf>,
    checker: Arc<Checker>,
    store: Store,
    /// What the files were when they were last read, good or not; none where a path was not there.
    read: Option<Vec<Stamp>>,
}

impl Files {
    /// Reads the manifests.
    ///
    /// # Errors
    /// Something is wrong with them: there is nothing yet that could stay in force.
    pub fn open(options: Options, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let Options { paths, replicas, credentials } = options;
        let checker = Arc::new(Checker::new()?);
        let stamps = find(&paths)?;
        let set = read(&stamps, &checker)?;
        let mut store = Store::new(replicas, metrics, credentials);
        store.take(set);
        Ok(Self { paths, checker, store, read: Some(stamps) })
    }

    /// Publishes what they say, and what they say later, until it is stopped.
    pub async fn run(mut self, wires: Wires) {
        let Wires { catalog, mut reports, mut stop, readiness, told } = wires;
        let publish = |store: &mut Store| drop(catalog.send_replace(Some(store.build())));
        publish(&mut self.store);
        readiness.set();
        let _ = told.send(Told::Loaded { objects: self.store.len() }).await;
        let mut statuses = Statuses::default();
        let mut seen = self.read.clone();
        let mut looks = interval(LOOK);
        let mut later = Some(Instant::now());
        loop {
            tokio::select! {
                () = stopped(&mut stop) => return,
                _ = looks.tick() => {
                    let now = self.stamps().await;
                    let settled = now == seen;
                    seen = now;
                    if settled && seen != self.read && self.reread(&seen, &told).await {
                        publish(&mut self.store);
                    } else if later.is_none_or(|later| Instant::now() < later) {
                        continue;
                    }
                }
                Ok(()) = reports.changed() => {}
                () = sleep_until(later.unwrap_or_else(Instant::now)), if later.is_some() => {}
            }
            let reports = reports.borrow_and_update().clone();
            if self.store.settle(&reports) {
                publish(&mut self.store);
            }
            let (news, next) = statuses.look(&mut self.store, &reports);
            later = next.into_iter().chain(self.store.next_settling().map(|wait| Instant::now() + wait)).min();
            for news in news {
                let _ = told.send(news).await;
            }
        }
    }

    /// What the files are now; none where a path is not there.
    async fn stamps(&self) -> Option<Vec<Stamp>> {
        let paths = self.paths.clone();
        tokio::task::spawn_blocking(move || find(&paths).ok()).await.ok().flatten()
    }

    /// Reads the files anew, and tells whether what they say is in force.
    async fn reread(&mut self, stamps: &Option<Vec<Stamp>>, told: &Teller) -> bool {
        let (paths, checker) = (self.paths.clone(), Arc::clone(&self.checker));
        self.read.clone_from(stamps);
        let reading = tokio::task::spawn_blocking(move || read(&find(&paths)?, &checker)).await;
        match reading {
            Ok(Ok(set)) => {
                self.store.take(set);
                tracing::info!(objects = self.store.len(), "the manifests have changed");
                let _ = told.send(Told::Loaded { objects: self.store.len() }).await;
                true
            }
            Ok(Err(Mistakes(mistakes))) => {
                for mistake in &mistakes {
                    tracing::error!("{mistake}; what the manifests said before stays in force");
                }
                let _ = told.send(Told::Broken { mistakes }).await;
                false
            }
            Err(error) => {
                tracing::error!(%error, "the manifests could not be read; what they said before stays in force");
                false
            }
        }
    }
}
