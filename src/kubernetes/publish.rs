//! Rebuilds the catalog when objects have changed, and watches what the objects name.

use std::{collections::HashMap, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::{Api, Client, core::PartialObjectMeta, runtime::watcher};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    hub::{Hub, Labels, OneSource},
    index::{Source, Wanted},
    supervise::supervised,
    watch::watch as watch_kind,
};
use crate::{engine, livekit, metrics::Metrics};

/// The catalog as the engine takes it; `None` until everything has been listed.
pub type CatalogSender = watch::Sender<Option<Arc<engine::Catalog<livekit::Client>>>>;

/// After the first change, what comes right behind it (a List that is applied) is taken along.
const SETTLE: Duration = Duration::from_millis(5);
/// Between two rebuilds. A thousand objects that are applied in five seconds make fifty of them, not a thousand.
const BETWEEN: Duration = Duration::from_millis(100);
/// Secrets and namespaces that have not been read within this time after the rest are not waited for: their servers
/// stay idle, and what labels would decide holds back removals.
const PATIENCE: Duration = Duration::from_secs(10);

/// Publishes for ever.
pub(super) async fn publish(
    hub: Arc<Hub>,
    client: Client,
    catalog: CatalogSender,
    ready: watch::Sender<bool>,
    metrics: Arc<Metrics>,
) {
    let mut watches = Watches { hub: Arc::clone(&hub), client, metrics, running: HashMap::new() };
    let mut complete_by: Option<Instant> = None;
    let mut begun = *ready.borrow();
    let mut next_build = Instant::now();
    // Where this begins anew after a panic, what had changed then may not have been built.
    hub.changed.notify_one();
    loop {
        let patience = complete_by.filter(|_| !begun);
        tokio::select! {
            () = hub.changed.notified() => sleep_until((Instant::now() + SETTLE).max(next_build)).await,
            () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => {}
        }
        let started = Instant::now();
        let wanted = hub.lock().wanted();
        watches.adjust(&wanted);
        hub.lock().forget_unwanted(&wanted);

        let built = {
            let mut index = hub.lock();
            if !begun && index.kinds_are_complete() {
                let by = *complete_by.get_or_insert(started + PATIENCE);
                begun = index.is_complete() || by <= started;
            }
            begun.then(|| index.build())
        };
        next_build = Instant::now() + BETWEEN;
        let Some(built) = built else { continue };
        tracing::debug!(servers = built.servers.len(), took = ?started.elapsed(), "catalog built");
        catalog.send_if_modified(|current| {
            let same = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &built));
            if !same {
                *current = Some(Arc::clone(&built));
            }
            !same
        });
        ready.send_if_modified(|ready| !std::mem::replace(ready, true));
        hub.look_again();
    }
}

/// The watches of what objects name. They end with this.
struct Watches {
    hub: Arc<Hub>,
    client: Client,
    metrics: Arc<Metrics>,
    running: HashMap<What, Running>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum What {
    Source(Source),
    Namespaces,
}

impl What {
    fn source(&self) -> Option<&Source> {
        match self {
            Self::Source(source) => Some(source),
            Self::Namespaces => None,
        }
    }
}

struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watches {
    /// Begins and ends watches so that exactly what is wanted is watched.
    fn adjust(&mut self, wanted: &Wanted) {
        let sources = wanted.sources.iter().cloned().map(What::Source);
        let wanted: Vec<What> = sources.chain(wanted.namespaces.then_some(What::Namespaces)).collect();
        self.running.retain(|what, _| wanted.contains(what));
        for what in wanted {
            if !self.running.contains_key(&what) {
                // A watch that was ended may have told one last thing since.
                self.hub.lock().forget(what.source());
                let running = Running(self.begin(what.clone()));
                self.running.insert(what, running);
            }
        }
    }

    fn begin(&self, what: What) -> JoinHandle<()> {
        let (hub, client, metrics) = (Arc::clone(&self.hub), self.client.clone(), Arc::clone(&self.metrics));
        tokio::spawn(async move {
            match what {
                What::Namespaces => {
                    let watched = || {
                        let api: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
                        let hub = Arc::clone(&hub);
                        async move { watch_kind(api, watcher::Config::default(), Labels { hub: &hub }, "namespaces").await }
                    };
                    supervised("namespaces", &metrics, watched).await;
                }
                What::Source(source) => {
                    let shown = source.to_string();
                    supervised(&shown, &metrics, || watch_source(Arc::clone(&hub), client.clone(), source.clone()))
                        .await;
                }
            }
        })
    }
}

/// Watches one Secret or ConfigMap by its name, so that no right to any other one is needed: RBAC grants list and
/// watch by `resourceNames` where the field selector names the object
/// (kubernetes.io/docs/reference/access-authn-authz/rbac, "Referring to resources").
async fn watch_source(hub: Arc<Hub>, client: Client, source: Source) {
    let name = source.name();
    let config = watcher::Config::default().fields(&format!("metadata.name={}", name.name));
    let shown = source.to_string();
    let sink = OneSource { hub: &hub, source: source.clone() };
    match &source {
        Source::Secret(name) => {
            watch_kind(Api::<Secret>::namespaced(client, &name.namespace), config, sink, &shown).await;
        }
        Source::ConfigMap(name) => {
            watch_kind(Api::<ConfigMap>::namespaced(client, &name.namespace), config, sink, &shown).await;
        }
    }
}
