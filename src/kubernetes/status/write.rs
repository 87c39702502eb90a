//! Writes status, by server-side apply and only where something differs.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use kube::{
    Api, Client, Resource,
    api::{DynamicObject, Patch, PatchParams},
    runtime::events::Recorder,
};
use serde_json::json;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Desired, Status, desired,
    events::{self, Turn},
    pace::{Decision, Memory},
};
use crate::{
    engine::{Leadership, Reports},
    kubernetes::{
        MANAGER,
        hub::Hub,
        index::{Index, Standing},
        kind::ObjectId,
    },
    metrics::Metrics,
};

/// Writes under way at the same time. Each one is a connection, for the client speaks HTTP/1.1.
const AT_ONCE: usize = 16;
/// For one write.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at everything.
const BETWEEN: Duration = Duration::from_millis(100);

/// What writes status.
pub struct Writer {
    hub: Arc<Hub>,
    client: Client,
    reports: watch::Receiver<Reports>,
    leadership: Leadership,
    published: watch::Receiver<bool>,
    metrics: Arc<Metrics>,
    recorder: Recorder,
    memory: HashMap<ObjectId, Memory>,
    queue: VecDeque<ObjectId>,
    /// When to look again at what was put off.
    later: BTreeSet<(Instant, ObjectId)>,
    writes: JoinSet<Done>,
}

/// One write.
struct Job {
    id: ObjectId,
    uid: Arc<str>,
    status: Status,
    turn: Option<Turn>,
}

/// How it ended.
struct Done {
    id: ObjectId,
    uid: Arc<str>,
    result: Result<(String, Status), Failure>,
}

/// Why a status could not be written.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Refused(#[from] kube::Error),
    #[error("no answer within {WRITE_WITHIN:?}")]
    Timeout,
}

impl Writer {
    /// A writer that has not begun. It writes nothing before `published` says that everything has been listed, and
    /// nothing while another replica does.
    pub(in crate::kubernetes) fn new(
        hub: Arc<Hub>,
        client: Client,
        reports: watch::Receiver<Reports>,
        leadership: Leadership,
        published: watch::Receiver<bool>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let recorder = Recorder::new(client.clone(), MANAGER.into());
        Self {
            hub,
            client,
            reports,
            leadership,
            published,
            metrics,
            recorder,
            memory: HashMap::new(),
            queue: VecDeque::new(),
            later: BTreeSet::new(),
            writes: JoinSet::new(),
        }
    }

    /// Writes for ever.
    pub async fn run(mut self) {
        if self.published.wait_for(|published| *published).await.is_err() {
            return;
        }
        let hub = Arc::clone(&self.hub);
        let mut next_look = Instant::now();
        let mut look = true;
        loop {
            if look && next_look <= Instant::now() {
                self.look_at_all();
                (look, next_look) = (false, Instant::now() + BETWEEN);
            }
            self.dispatch();
            let due = self.later.first().map(|(due, _)| *due);
            tokio::select! {
                () = hub.look.notified() => look = true,
                () = changed(&mut self.reports) => look = true,
                () = self.leadership.changed() => look = true,
                Some(done) = self.writes.join_next() => self.take(done),
                () = sleep_until(next_look), if look => {}
                () = sleep_until(due.unwrap_or(next_look)), if due.is_some() => self.look_at_due(),
            }
        }
    }

    /// Looks at every object and queues those that are to be written.
    fn look_at_all(&mut self) {
        self.later.clear();
        if !self.leadership.role().leads() {
            // Another replica writes: what is known of its writes comes by the watch.
            self.memory.retain(|_, memory| memory.busy);
            return;
        }
        let reports = self.reports.borrow_and_update().clone();
        let hub = Arc::clone(&self.hub);
        let index = hub.lock();
        let now = (Instant::now(), Timestamp::now());
        for (id, standing) in index.standings() {
            self.consider(&index, &reports, id, &standing, now);
        }
        if self.memory.len() > 2 * index.standings().count() + 64 {
            self.memory.retain(|id, memory| memory.busy || index.standing(id).is_some());
        }
    }

    /// Looks at those that were put off and whose time has come.
    fn look_at_due(&mut self) {
        let reports = self.reports.borrow().clone();
        let hub = Arc::clone(&self.hub);
        let index = hub.lock();
        let now = (Instant::now(), Timestamp::now());
        while self.later.first().is_some_and(|(due, _)| *due <= now.0) {
            let Some((_, id)) = self.later.pop_first() else { break };
            if let Some(standing) = index.standing(&id) {
                self.consider(&index, &reports, id, &standing, now);
            }
        }
    }

    fn consider(
        &mut self,
        index: &Index,
        reports: &Reports,
        id: ObjectId,
        standing: &Standing<'_>,
        (now, at): (Instant, Timestamp),
    ) {
        let memory = self.memory.entry(id.clone()).or_default();
        if memory.busy {
            return;
        }
        let desired = desired_of(index, reports, &id, standing, at);
        match memory.decide(&standing.status(), &desired, now) {
            Decision::Nothing => {}
            Decision::Now => {
                memory.busy = true;
                self.queue.push_back(id);
            }
            Decision::At(due) => drop(self.later.insert((due, id))),
        }
    }

    /// Begins writes as long as not too many are under way.
    fn dispatch(&mut self) {
        if self.queue.is_empty() || self.writes.len() >= AT_ONCE {
            return;
        }
        if !self.leadership.role().leads() {
            for id in self.queue.drain(..) {
                self.memory.remove(&id);
            }
            return;
        }
        let reports = self.reports.borrow().clone();
        let hub = Arc::clone(&self.hub);
        let index = hub.lock();
        while self.writes.len() < AT_ONCE
            && let Some(id) = self.queue.pop_front()
        {
            // Computed anew: much may have happened while it was queued.
            let Some(standing) = index.standing(&id) else {
                self.memory.remove(&id);
                continue;
            };
            let desired = desired_of(&index, &reports, &id, &standing, Timestamp::now());
            let present = standing.status();
            tracing::debug!(object = %id, reason = %desired.reason, difference = ?present.difference(&desired.status), "writing status");
            let turn = events::turn(&present, &desired);
            let job = Job { id, uid: Arc::clone(&standing.head().uid), status: desired.status, turn };
            self.writes.spawn(write(self.client.clone(), self.recorder.clone(), job));
        }
    }

    fn take(&mut self, done: Result<Done, tokio::task::JoinError>) {
        let now = Instant::now();
        let Done { id, uid, result } = match done {
            Ok(done) => done,
            Err(error) => {
                // Which object it was for is not known: it stays unwritten until the next look at everything.
                tracing::error!(%error, "a write of status has panicked");
                self.metrics.panics.inc();
                self.memory.clear();
                self.hub.look.notify_one();
                return;
            }
        };
        let memory = self.memory.entry(id.clone()).or_default();
        match result {
            Ok((version, status)) => {
                memory.written(now);
                self.metrics.status_writes.inc();
                self.hub.lock().written(&id, &uid, version, status);
            }
            Err(Failure::Refused(kube::Error::Api(status))) if status.code == 404 => {
                // Deleted meanwhile; the watch tells.
                memory.failed(now);
            }
            Err(failure) => {
                memory.failed(now);
                tracing::warn!(object = %id, error = %failure, "cannot write status; trying again");
            }
        }
        self.later.insert((now, id));
    }
}

/// Waits for a change; for ever, where nobody is left to make one.
async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending().await
    }
}

/// What the status of an object of the index is to be.
pub(crate) fn desired_of(
    index: &Index,
    reports: &Reports,
    id: &ObjectId,
    standing: &Standing<'_>,
    now: Timestamp,
) -> Desired {
    let server = match standing {
        Standing::Server(_) => Some(&id.name),
        Standing::Subject(entry) => entry.meaning.as_ref().map(|meaning| &meaning.server),
    };
    let report = server.and_then(|server| reports.get(server)).map(|report| &**report);
    desired(id, standing, report, index.acting(&id.name), now)
}

/// Writes one status, and tells of the turn that it makes.
async fn write(client: Client, recorder: Recorder, job: Job) -> Done {
    let Job { id, uid, status, turn } = job;
    let resource = id.kind.resource();
    let api: Api<DynamicObject> = Api::namespaced_with(client, &id.name.namespace, &resource);
    // The uid makes it a conflict where the object has been deleted and made anew.
    let patch = json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": &*id.name.name, "uid": &*uid},
        "status": &status,
    });
    let params = PatchParams::apply(MANAGER).force();
    let written = timeout(WRITE_WITHIN, api.patch_status(&id.name.name, &params, &Patch::Apply(&patch))).await;
    let result = match written {
        Ok(Ok(object)) => {
            if let Some(turn) = turn {
                events::tell(&recorder, turn, &object.object_ref(&resource)).await;
            }
            Ok((object.metadata.resource_version.unwrap_or_default(), status))
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(Failure::Timeout),
    };
    Done { id, uid, result }
}
