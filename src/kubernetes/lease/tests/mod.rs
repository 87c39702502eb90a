//! Candidates for a Lease in memory, in a time that only goes when everybody waits.

mod troubles;
mod turns;

use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    store::{Failure, Store},
    *,
};
use crate::engine::{Leadership, Role};

/// What an API server keeps of one Lease.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    lease: Option<Lease>,
    version: u64,
    /// When each write was.
    writes: Vec<Instant>,
}

/// How the server treats one candidate.
#[derive(Clone, Copy)]
enum Mood {
    Well,
    Fails,
    Hangs,
    /// It writes at once and answers after this.
    Slow(Duration),
}

#[derive(Clone)]
struct Way {
    server: Server,
    mood: watch::Receiver<Mood>,
}

struct Member {
    identity: &'static str,
    leadership: Leadership,
    mood: watch::Sender<Mood>,
    changed: Arc<Notify>,
    metrics: Arc<Metrics>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap()
    }

    fn spec(&self) -> LeaseSpec {
        self.kept().lease.clone().unwrap().spec.unwrap()
    }

    fn holder(&self) -> String {
        self.spec().holder_identity.unwrap_or_default()
    }

    fn last_write(&self) -> Instant {
        *self.kept().writes.last().unwrap()
    }

    /// Somebody who is no candidate writes.
    fn meddle(&self, change: impl FnOnce(&mut Lease)) {
        let mut kept = self.kept();
        kept.version += 1;
        let version = kept.version.to_string();
        let lease = kept.lease.get_or_insert_default();
        lease.metadata.resource_version = Some(version);
        change(lease);
    }

    /// A Lease of somebody who is no more, renewed at a time of a clock that differs from ours.
    fn held_by_ghost(renewed: Timestamp) -> Self {
        let server = Self::default();
        server.meddle(|lease| lease.spec = record::first("usher", "ghost", renewed).spec);
        server
    }

    fn join(&self, identity: &'static str) -> Member {
        let (mood, moods) = watch::channel(Mood::Well);
        let (stop, stopped) = watch::channel(false);
        let (sender, leadership) = Leadership::elected();
        let candidacy = Candidacy { namespace: "live".into(), name: "usher".into(), identity: identity.into() };
        let (changed, metrics) = (Arc::new(Notify::new()), Arc::new(Metrics::new()));
        let way = Way { server: self.clone(), mood: moods };
        let elector = Elector::new(&candidacy, way, sender, Arc::clone(&changed), Arc::clone(&metrics));
        let task = tokio::spawn(elector.run(stopped));
        Member { identity, leadership, mood, changed, metrics, stop, task }
    }
}

impl Way {
    async fn go(&self) -> Result<Duration, Failure> {
        let mood = *self.mood.borrow();
        match mood {
            Mood::Well => Ok(Duration::from_millis(5)),
            Mood::Slow(answer) => Ok(answer),
            Mood::Fails => Err(Failure::Timeout),
            Mood::Hangs => std::future::pending().await,
        }
    }
}

impl Store for Way {
    async fn get(&self) -> Result<Option<Lease>, Failure> {
        sleep(self.go().await?).await;
        Ok(self.server.kept().lease.clone())
    }

    async fn put(&self, mut lease: Lease) -> Result<Lease, Failure> {
        let answer = self.go().await?;
        {
            let mut kept = self.server.kept();
            let version = kept.lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
            if version != lease.metadata.resource_version {
                return Err(Failure::Outdated);
            }
            kept.version += 1;
            kept.writes.push(Instant::now());
            lease.metadata.resource_version = Some(kept.version.to_string());
            kept.lease = Some(lease.clone());
        }
        sleep(answer).await;
        Ok(lease)
    }
}

impl Member {
    fn leads(&self) -> bool {
        self.leadership.role() == Role::Holder
    }

    async fn stop(self) -> Duration {
        let begun = Instant::now();
        self.stop.send_replace(true);
        self.task.await.unwrap();
        assert_eq!(self.leadership.role(), Role::Follower);
        begun.elapsed()
    }
}

/// Waits until one of them leads, and sees to it that never two do. How long it took.
async fn until_led(members: &[&Member]) -> (Duration, &'static str) {
    let begun = Instant::now();
    loop {
        if let Some(leader) = leader(members) {
            return (begun.elapsed(), leader);
        }
        assert!(begun.elapsed() < Duration::from_secs(100), "nobody leads");
        pass(100).await;
    }
}

/// Lets time pass and sees to it that never two lead.
async fn watch_for(seconds: u64, members: &[&Member]) {
    for _ in 0..seconds * 10 {
        leader(members);
        pass(100).await;
    }
}

fn leader(members: &[&Member]) -> Option<&'static str> {
    let leaders: Vec<_> = members.iter().filter(|member| member.leads()).map(|member| member.identity).collect();
    assert!(leaders.len() <= 1, "{leaders:?}");
    leaders.first().copied()
}

async fn pass(milliseconds: u64) {
    sleep(Duration::from_millis(milliseconds)).await;
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
