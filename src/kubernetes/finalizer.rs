//! The finalizer of ParticipantForwards: it keeps one that is deleted until its copies are gone, and no longer than a
//! minute, whatever is unreachable.
//!
//! It is put on before the first copy is made (the engine does not see a forward without it), only where deletionPolicy
//! is Stop. Only the leader writes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::json;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::{
    hub::Hub,
    index::{Compiled, Entry, Index, Subject, Verdict},
    kind::Kind,
};
use crate::{
    api::{FORWARD_FINALIZER, PolicyStatus},
    engine::{Leadership, Reports},
    policy::ObjectName,
};

/// A deleted forward is kept for so long at most; a write is to be made before the minute of the contract is over.
const LONGEST: Duration = Duration::from_secs(50);
/// For one write.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// The pause after a write that failed, and between two looks at everything.
const RETRY: Duration = Duration::from_millis(500);
const BETWEEN: Duration = Duration::from_millis(50);
/// Writes under way at the same time.
const AT_ONCE: usize = 8;

/// What is to be done about the finalizer of a forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    PutOn,
    TakeOff,
    /// To be looked at again when so much time has passed since it was deleted.
    Wait,
}

/// What a forward's finalizer needs. `retired`: the engine says that no copy is left; `kept_for`: how long it has been
/// deleted.
fn need(entry: &Entry<Subject, PolicyStatus>, retired: bool, kept_for: Option<Duration>) -> Need {
    let is_on = entry.head.is_ours_to_end();
    let meaning = entry.meaning.as_ref();
    let stops = meaning.is_some_and(|meaning| meaning.compiled.stops());
    match kept_for {
        None if is_on => {
            // Without a meaning, nobody knows: it stays as it is.
            if meaning.is_some() && !stops { Need::TakeOff } else { Need::Nothing }
        }
        None => {
            let acts = matches!(entry.verdict, Verdict::Acts { .. });
            let enforces = meaning.is_some_and(|meaning| match &meaning.compiled {
                Compiled::Forward(forward, _) => forward.acts(),
                Compiled::Policy(_) | Compiled::Move(_) => false,
            });
            if acts && stops && enforces { Need::PutOn } else { Need::Nothing }
        }
        Some(_) if !is_on => Need::Nothing,
        // What never stood has made nothing, as far as this operator knows; what ends nothing has nothing to wait for.
        Some(_) if !stops || retired => Need::TakeOff,
        Some(kept_for) if kept_for >= LONGEST => Need::TakeOff,
        Some(_) => Need::Wait,
    }
}

/// Puts finalizers on and takes them off, for ever.
pub(super) async fn tend(
    hub: Arc<Hub>,
    client: Client,
    mut reports: watch::Receiver<Reports>,
    mut leadership: Leadership,
    mut published: watch::Receiver<bool>,
) {
    if published.wait_for(|published| *published).await.is_err() {
        return;
    }
    let mut tender = Tender { client, deleted: HashMap::new(), busy: BTreeMap::new(), writes: JoinSet::new() };
    loop {
        let leads = leadership.role().leads();
        let next = {
            let reports = reports.borrow_and_update().clone();
            tender.look(&hub.lock(), &reports, leads)
        };
        let calm = Instant::now() + BETWEEN;
        tokio::select! {
            () = hub.tend.notified() => {}
            Ok(()) = reports.changed() => {}
            () = leadership.changed() => {}
            Some(done) = tender.writes.join_next() => tender.take(done),
            () = sleep_until(next.unwrap_or(calm)), if next.is_some() => {}
        }
        sleep_until(calm).await;
    }
}

struct Tender {
    client: Client,
    /// When each deleted forward was first seen so: the clock of the API server may be another.
    deleted: HashMap<Arc<str>, Instant>,
    /// Not to be written to before this moment; `None` while a write is under way.
    busy: BTreeMap<ObjectName, Option<Instant>>,
    writes: JoinSet<ObjectName>,
}

impl Tender {
    /// Looks at every forward, begins writes, and answers when to look again.
    fn look(&mut self, index: &Index, reports: &Reports, leads: bool) -> Option<Instant> {
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        let mut later = |at: Instant| next = Some(next.map_or(at, |next| next.min(at)));
        let mut deleted = HashMap::new();
        for (name, entry) in index.forwards() {
            let kept_for = entry.head.deleted.map(|at| {
                let seen = *self.deleted.get(&entry.head.uid).unwrap_or(&now);
                deleted.insert(Arc::clone(&entry.head.uid), seen);
                let by_clock = Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default();
                by_clock.max(now - seen)
            });
            if !leads {
                continue;
            }
            let need = need(entry, is_retired(entry, reports), kept_for);
            match need {
                Need::Nothing => drop(self.busy.remove(name)),
                Need::Wait => later(now + LONGEST.saturating_sub(kept_for.unwrap_or_default())),
                Need::PutOn | Need::TakeOff => match self.busy.get(name) {
                    Some(None) => {}
                    Some(Some(until)) if *until > now => later(*until),
                    _ if self.writes.len() >= AT_ONCE => later(now + RETRY),
                    _ => {
                        self.busy.insert(name.clone(), None);
                        if kept_for.is_some_and(|kept_for| kept_for >= LONGEST) {
                            tracing::warn!(forward = %name, "deleted though copies may be left: they could not be ended in time");
                        }
                        let others = entry.head.finalizers.iter().filter(|other| *other != FORWARD_FINALIZER);
                        let mine = (need == Need::PutOn).then(|| FORWARD_FINALIZER.to_owned());
                        let finalizers: Vec<String> = others.cloned().chain(mine).collect();
                        let version = entry.head.resource_version.clone();
                        self.writes.spawn(write(self.client.clone(), name.clone(), version, finalizers));
                    }
                },
            }
        }
        self.deleted = deleted;
        next
    }

    fn take(&mut self, done: Result<ObjectName, tokio::task::JoinError>) {
        match done {
            // After a success the watch tells how it is now; until then it is not written to again.
            Ok(name) => drop(self.busy.insert(name, Some(Instant::now() + RETRY))),
            Err(_) => self.busy.clear(),
        }
    }
}

/// Whether the engine says that no copy of a forward is left.
fn is_retired(entry: &Entry<Subject, PolicyStatus>, reports: &Reports) -> bool {
    let Some(meaning) = &entry.meaning else { return false };
    let Compiled::Forward(forward, _) = &meaning.compiled else { return false };
    let report = reports.get(&meaning.server).and_then(|report| report.transfers.get(&forward.id));
    report.is_some_and(|report| Arc::ptr_eq(&report.transfer, forward) && report.retired)
}

/// Replaces the finalizers of a forward, unless it has changed meanwhile.
async fn write(client: Client, name: ObjectName, version: String, finalizers: Vec<String>) -> ObjectName {
    let api: Api<DynamicObject> = Api::namespaced_with(client, &name.namespace, &Kind::Forward.resource());
    let patch = json!({"metadata": {"resourceVersion": version, "finalizers": finalizers}});
    let params = PatchParams { field_manager: Some(super::MANAGER.to_owned()), ..PatchParams::default() };
    let patched = timeout(WRITE_WITHIN, api.patch_metadata(&name.name, &params, &Patch::Merge(&patch))).await;
    match patched {
        Ok(Ok(_)) => {}
        // Changed or gone meanwhile, as the watch tells.
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => {}
        Ok(Err(error)) => tracing::warn!(forward = %name, %error, "cannot write the finalizer; trying again"),
        Err(_) => tracing::warn!(forward = %name, "cannot write the finalizer: no answer; trying again"),
    }
    name
}
