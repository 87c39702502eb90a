//! Leader election by a Lease of coordination.k8s.io, as client-go does it (tools/leaderelection), so that `kubectl get
//! lease` shows what people know from other controllers:
//!
//! - The holder renews every 2 s. If it has not succeeded for 10 s, it leads no more and follows; it stays alive.
//! - A follower looks every 2 to 4.4 s and takes a lease that nobody holds, or whose record has not changed for the 15 s
//!   that stand in it. It measures them on its own monotonic clock, from the moment at which it saw the record change
//!   for the last time: the times in the record are for people, and clocks that differ do no harm.
//! - Each write names the resourceVersion it rests on, so that of two candidates one gets a conflict.
//! - Whoever ends gives the lease back with an empty holder and a duration of one second.
//!
//! Beyond client-go, a watch of the Lease hastens a follower's looks, and it looks when the lease runs out: one that is
//! given back is taken at once, and one whose holder has died no later than need be.
//! A lease is no fence: what the last holder has under way may still arrive, and everything that it does may be repeated.
//!
//! The crates that do this for kube compare `renewTime` with the local clock (kube-leader-election, kube-lease-manager,
//! kubert) or are for a kube of old (kube-coordinate).

mod elector;
mod record;
mod store;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, runtime::watcher};
use tokio::sync::{Notify, watch::Receiver};

use self::{
    elector::Elector,
    store::{Changed, Stored},
};
use super::{supervise::supervised, watch::watch};
use crate::{
    engine::{LeadershipSender, stopped},
    metrics::Metrics,
};

/// For so long a holder that is not seen to renew keeps the lease.
const LEASE_DURATION: Duration = Duration::from_secs(15);
/// For so long a holder that cannot renew goes on leading. The difference is for what it has under way then.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Between two tries.
const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// By how many periods more a candidate may wait, so that not all try at once.
const JITTER: f64 = 1.2;
/// For one request: half of the deadline, as kube-scheduler and controller-runtime have it, so that one that hangs is
/// not the last.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// For giving the lease back at the end.
const RELEASE_WITHIN: Duration = Duration::from_secs(3);

/// Which Lease, and who we are to it.
#[derive(Clone, Debug)]
pub struct Candidacy {
    /// The namespace of the Lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who we are: no other process ever has the same.
    pub identity: String,
}

/// An identity for this process: the name of its Pod and something random, for a container that is started again in the
/// same Pod is somebody else.
#[must_use]
pub fn identity() -> String {
    // A container's hostname is the name of its Pod; POD_NAME, from the downward API, is for Pods on the host's network.
    let pod = ["POD_NAME", "HOSTNAME"].into_iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
    let pod = if pod.is_empty() { "usher" } else { &pod };
    format!("{pod}_{:016x}", fastrand::u64(..))
}

/// Takes part in the election until it is stopped, and gives the lease back then.
///
/// It begins when `ready` says that all objects are known: who knows nothing must not lead.
pub async fn elect(
    candidacy: Candidacy,
    client: Client,
    leadership: LeadershipSender,
    mut ready: Receiver<bool>,
    mut stop: Receiver<bool>,
    metrics: Arc<Metrics>,
) {
    tokio::select! {
        () = stopped(&mut stop) => return,
        _ = ready.wait_for(|ready| *ready) => {}
    }
    let api: Api<Lease> = Api::namespaced(client, &candidacy.namespace);
    let changed = Arc::new(Notify::new());
    let config = watcher::Config::default().fields(&format!("metadata.name={}", candidacy.name));
    let what = format!("Lease {}/{}", candidacy.namespace, candidacy.name);
    let watched = supervised(&what, &metrics, || watch(api.clone(), config.clone(), Changed(&changed), &what));
    let elected = supervised("election", &metrics, || {
        let stored = Stored { api: api.clone(), name: candidacy.name.clone() };
        let elector = Elector::new(&candidacy, stored, leadership.clone(), Arc::clone(&changed), Arc::clone(&metrics));
        elector.run(stop.clone())
    });
    tokio::select! {
        () = elected => {}
        () = watched => {}
    }
}
