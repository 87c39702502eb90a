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
    api::{FORWARD_FINALIZER, PolicyStatus, Reason},
    engine::{Leadership, Reports},
    policy::ObjectName,
};

/// A deleted forward is kept for so long at most; a write is to be made before the minute of the contract is over.
const LONGEST: Duration = Duration::from_secs(50);
/// And for so long where its server has been deleted too, or it may do nothing there any more: nobody could end anything,
/// unless that is put right at once.
const HELPLESS: Duration = Duration::from_secs(5);
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
        Some(kept_for) if kept_for >= longest(entry) => Need::TakeOff,
        Some(_) => Need::Wait,
    }
}

/// Whether a forward that was deleted so long ago is to be kept no longer.
pub(crate) fn is_over(entry: &Entry<Subject, PolicyStatus>, reports: &Reports, kept_for: Duration) -> bool {
    need(entry, is_retired(entry, reports), Some(kept_for)) == Need::TakeOff
}

/// How long a deleted forward is kept at most.
fn longest(entry: &Entry<Subject, PolicyStatus>) -> Duration {
    match entry.verdict.reason() {
        Some(Reason::ServerNotFound | Reason::NotPermitted) => HELPLESS,
        _ => LONGEST,
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
                Need::Wait => later(now + longest(entry).saturating_sub(kept_for.unwrap_or_default())),
                Need::PutOn | Need::TakeOff => match self.busy.get(name) {
                    Some(None) => {}
                    Some(Some(until)) if *until > now => later(*until),
                    _ if self.writes.len() >= AT_ONCE => later(now + RETRY),
                    _ => {
                        self.busy.insert(name.clone(), None);
                        if kept_for.is_some_and(|kept_for| kept_for >= longest(entry)) {
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

/// Replaces the finalizers of a forward; a conflict where it has changed since this version.
pub(super) async fn set_finalizers(
    client: Client,
    name: &ObjectName,
    version: &str,
    finalizers: &[String],
) -> kube::Result<()> {
    let api: Api<DynamicObject> = Api::namespaced_with(client, &name.namespace, &Kind::Forward.resource());
    let patch = json!({"metadata": {"resourceVersion": version, "finalizers": finalizers}});
    let params = PatchParams { field_manager: Some(super::MANAGER.to_owned()), ..PatchParams::default() };
    api.patch_metadata(&name.name, &params, &Patch::Merge(&patch)).await.map(drop)
}

/// The same in the background of [`tend`].
async fn write(client: Client, name: ObjectName, version: String, finalizers: Vec<String>) -> ObjectName {
    match timeout(WRITE_WITHIN, set_finalizers(client, &name, &version, &finalizers)).await {
        Ok(Ok(())) => {}
        // Changed or gone meanwhile, as the watch tells.
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => {}
        Ok(Err(error)) => tracing::warn!(forward = %name, %error, "cannot write the finalizer; trying again"),
        Err(_) => tracing::warn!(forward = %name, "cannot write the finalizer: no answer; trying again"),
    }
    name
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        api::{LiveKitServer, ParticipantForward},
        kubernetes::{decoded::Decoded, index::Scope},
    };

    const SECOND: Duration = Duration::from_secs(1);

    /// What a forward with this spec and these finalizers needs.
    fn needs(change: impl FnOnce(&mut Value), finalizers: &[&str], retired: bool, kept_for: Option<Duration>) -> Need {
        let mut index = Index::new(vec![Scope::Cluster], NonZeroU32::MIN, None);
        let server: Decoded<LiveKitServer> = serde_json::from_value(json!({
            "metadata": {"namespace": "a", "name": "main", "uid": "s", "generation": 1, "resourceVersion": "1"},
            "spec": {"url": "ws://livekit:7880"},
        }))
        .unwrap();
        index.apply(server);
        let mut forward = json!({
            "metadata": {
                "namespace": "a", "name": "f", "uid": "f", "generation": 1, "resourceVersion": "1",
                "finalizers": finalizers,
            },
            "spec": {
                "serverRef": {"name": "main"}, "source": {"rooms": [{"exact": "x"}]}, "destinationRooms": ["y"],
            },
        });
        change(&mut forward["spec"]);
        index.apply::<ParticipantForward>(serde_json::from_value(forward).unwrap());
        index.build();
        let mut entry = index.forwards().next().unwrap().1;
        let acting;
        if entry.verdict.reason() == Some(Reason::SecretNotFound) && kept_for.is_none() {
            // As with a Secret, which is of no interest here.
            acting = Entry {
                head: entry.head.clone(),
                status: entry.status.clone(),
                meaning: entry.meaning.clone(),
                meant: entry.meant,
                flaw: None,
                verdict: Verdict::Acts { notes: vec![] },
                request: crate::kubernetes::index::Request::None,
            };
            entry = &acting;
        }
        need(entry, retired, kept_for)
    }

    const OURS: &[&str] = &["else/where", FORWARD_FINALIZER];

    #[test]
    fn it_is_put_on_what_is_to_stop_its_copies_and_acts() {
        assert_eq!(needs(|_| {}, &[], false, None), Need::PutOn);
        assert_eq!(needs(|_| {}, &["else/where"], false, None), Need::PutOn);
        assert_eq!(needs(|_| {}, OURS, false, None), Need::Nothing);
        for (field, value) in [("deletionPolicy", json!("Retain")), ("mode", json!("Audit")), ("suspend", json!(true))]
        {
            assert_eq!(needs(|spec| spec[field] = value.clone(), &[], false, None), Need::Nothing, "{field}");
        }
        assert_eq!(needs(|spec| spec["serverRef"]["name"] = json!("none"), &[], false, None), Need::Nothing);
    }

    #[test]
    fn it_is_taken_off_what_is_to_leave_its_copies() {
        assert_eq!(needs(|spec| spec["deletionPolicy"] = json!("Retain"), OURS, false, None), Need::TakeOff);
        assert_eq!(needs(|spec| spec["suspend"] = json!(true), OURS, false, None), Need::Nothing);
    }

    #[test]
    fn a_deleted_forward_waits_for_its_copies_and_no_longer_than_a_minute() {
        for (after, retired, expected) in [
            (0, false, Need::Wait),
            (0, true, Need::TakeOff),
            (49, false, Need::Wait),
            (50, false, Need::TakeOff),
            (5000, false, Need::TakeOff),
        ] {
            assert_eq!(needs(|_| {}, OURS, retired, Some(after * SECOND)), expected, "{after} {retired}");
        }
        assert_eq!(needs(|_| {}, &["else/where"], true, Some(SECOND)), Need::Nothing);
        // What was never understood, what may stay, and what nobody could end.
        assert_eq!(needs(|spec| spec["destinationRooms"] = json!(["x"]), OURS, false, Some(SECOND)), Need::TakeOff);
        assert_eq!(needs(|spec| spec["deletionPolicy"] = json!("Retain"), OURS, false, Some(SECOND)), Need::TakeOff);
        let no_server = |after| needs(|spec| spec["serverRef"]["name"] = json!("none"), OURS, false, Some(after));
        assert_eq!((no_server(SECOND), no_server(5 * SECOND)), (Need::Wait, Need::TakeOff));
    }
}
