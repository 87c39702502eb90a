//! Candidates for a Lease in memory, in a time that only goes when everybody waits.

use std::sync::{Mutex, MutexGuard};

use jiff::{Timestamp, ToSpan};
use k8s_openapi::{api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{store::Failure, store::Store, *};
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

#[tokio::test(start_paused = true)]
async fn the_first_makes_the_lease_and_renews_it() {
    let server = Server::default();
    let a = server.join("a");
    pass(20).await;
    let b = server.join("b");
    watch_for(60, &[&a, &b]).await;
    assert!(a.leads());
    assert_eq!((a.metrics.leader.get(), b.metrics.leader.get()), (1, 0));
    let spec = server.spec();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("a"), Some(0)));
    assert_eq!(spec.lease_duration_seconds, Some(15));
    assert!(spec.renew_time.unwrap() > spec.acquire_time.unwrap());
    let writes = server.kept().writes.len();
    assert!((29..=31).contains(&writes), "{writes} writes in a minute");
}

#[tokio::test(start_paused = true)]
async fn who_is_killed_is_followed_when_the_lease_has_run_out_and_not_before() {
    let server = Server::default();
    let a = server.join("a");
    pass(20).await;
    let b = server.join("b");
    pass(30_000).await;
    a.task.abort();
    let last = server.last_write();
    until_led(&[&b]).await;
    let took = seconds(last.elapsed());
    assert!((15.0..15.0 + 4.5).contains(&took), "{took}");
    assert_eq!((server.holder().as_str(), server.spec().lease_transitions), ("b", Some(1)));
    assert!(server.spec().acquire_time >= server.spec().renew_time);
}

#[tokio::test(start_paused = true)]
async fn clocks_that_differ_do_no_harm() {
    for renewed in [Timestamp::now() - 24.hours(), Timestamp::now() + 24.hours()] {
        let server = Server::held_by_ghost(renewed);
        let a = server.join("a");
        let (took, _) = until_led(&[&a]).await;
        assert!((15.0..20.0).contains(&seconds(took)), "{took:?} with {renewed}");
    }
    // A living holder whose clock is a day behind or ahead, or stands almost still.
    let server = Server::held_by_ghost(Timestamp::now());
    let a = server.join("a");
    for round in 0..30 {
        server.meddle(|lease| {
            let spec = lease.spec.as_mut().unwrap();
            spec.renew_time =
                Some(MicroTime("2020-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + round.microseconds()));
        });
        pass(2_000).await;
        assert!(!a.leads());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_record_of_the_holder_does_not_prolong_its_lease() {
    let server = Server::held_by_ghost(Timestamp::now());
    let a = server.join("a");
    for round in 0..10 {
        server.meddle(|lease| {
            lease.metadata.annotations = Some([("seen".to_owned(), round.to_string())].into());
        });
        pass(2_000).await;
    }
    assert!(a.leads());
    let annotations = server.kept().lease.clone().unwrap().metadata.annotations.unwrap();
    assert_eq!(annotations["seen"], "9", "what others wrote stays");
}

#[tokio::test(start_paused = true)]
async fn of_many_who_see_it_run_out_one_gets_it() {
    let server = Server::held_by_ghost(Timestamp::now());
    let members: Vec<_> = ["a", "b", "c", "d", "e"].map(|identity| server.join(identity)).into();
    let members: Vec<_> = members.iter().collect();
    pass(14_990).await;
    // All at once.
    for _ in 0..10 {
        members.iter().for_each(|member| member.changed.notify_one());
        pass(10).await;
        leader(&members);
    }
    until_led(&members).await;
    watch_for(30, &members).await;
    assert_eq!(server.spec().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_cannot_renew_leads_for_ten_seconds_and_takes_the_lease_again_when_it_can() {
    for mood in [Mood::Fails, Mood::Hangs] {
        let server = Server::default();
        let a = server.join("a");
        pass(5_000).await;
        let last = server.last_write();
        a.mood.send_replace(mood);
        while a.leads() {
            pass(10).await;
        }
        pass(10).await;
        assert_eq!(a.metrics.leader.get(), 0);
        let led = seconds(last.elapsed());
        assert!((9.98..=10.04).contains(&led), "{led}");
        a.mood.send_replace(Mood::Well);
        until_led(&[&a]).await;
        assert_eq!(server.spec().lease_transitions, Some(0), "nobody else had it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_trouble_is_no_turn() {
    let server = Server::default();
    let a = server.join("a");
    let b = server.join("b");
    let (_, first) = until_led(&[&a, &b]).await;
    for member in [&a, &b] {
        member.mood.send_replace(Mood::Fails);
    }
    watch_for(7, &[&a, &b]).await;
    for member in [&a, &b] {
        member.mood.send_replace(Mood::Well);
    }
    for _ in 0..300 {
        assert_eq!(leader(&[&a, &b]), Some(first));
        pass(100).await;
    }
}

#[tokio::test(start_paused = true)]
async fn never_two_lead_whatever_happens_to_whom() {
    fastrand::seed(3);
    let server = Server::default();
    let members = ["a", "b", "c"].map(|identity| server.join(identity));
    let members: Vec<_> = members.iter().collect();
    let mut led = std::collections::BTreeSet::new();
    for _ in 0..2_000 {
        let mood = match fastrand::u8(..8) {
            0 => Mood::Fails,
            1 => Mood::Hangs,
            2 => Mood::Slow(Duration::from_millis(fastrand::u64(..6_000))),
            _ => Mood::Well,
        };
        members[fastrand::usize(..3)].mood.send_replace(mood);
        watch_for(fastrand::u64(..8), &members).await;
        led.extend(leader(&members));
    }
    assert_eq!(led.len(), 3, "the test lets each of them lead at some time");
}

#[tokio::test(start_paused = true)]
async fn a_stolen_lease_is_noticed_at_the_next_try() {
    let server = Server::default();
    let a = server.join("a");
    until_led(&[&a]).await;
    server.meddle(|lease| lease.spec.as_mut().unwrap().holder_identity = Some("thief".into()));
    pass(2_050).await;
    assert_eq!((a.leads(), a.metrics.leader.get()), (false, 0));
    assert_eq!(server.holder(), "thief");
    until_led(&[&a]).await;
    assert_eq!(server.spec().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_label_on_the_lease_or_its_deletion_is_no_turn() {
    let server = Server::default();
    let a = server.join("a");
    until_led(&[&a]).await;
    for round in 0..20 {
        match round % 4 {
            0 => server.kept().lease = None,
            2 => server.meddle(|lease| lease.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into())),
            _ => {}
        }
        watch_for(3, &[&a]).await;
        assert!(a.leads());
    }
}

#[tokio::test(start_paused = true)]
async fn who_ends_gives_the_lease_back_and_another_takes_it_at_once() {
    let server = Server::default();
    let a = server.join("a");
    pass(20).await;
    let b = server.join("b");
    pass(10_000).await;
    let took = a.stop().await;
    assert!(seconds(took) < 0.1, "{took:?}");
    let spec = server.spec();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_duration_seconds), (Some(""), Some(1)));
    // As the watch does.
    b.changed.notify_one();
    pass(20).await;
    assert!(b.leads());
    assert_eq!(server.spec().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn without_the_watch_a_lease_that_is_given_back_is_taken_at_the_next_look() {
    let server = Server::default();
    let a = server.join("a");
    pass(20).await;
    let b = server.join("b");
    pass(10_000).await;
    a.stop().await;
    let (took, _) = until_led(&[&b]).await;
    assert!(seconds(took) <= 4.5, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_ends_leaves_the_lease_alone() {
    let server = Server::default();
    let a = server.join("a");
    pass(20).await;
    let b = server.join("b");
    pass(10_000).await;
    b.stop().await;
    assert_eq!(server.holder(), "a");
    watch_for(10, &[&a]).await;
    assert!(a.leads());
}

#[tokio::test(start_paused = true)]
async fn an_end_in_the_middle_of_a_write_gives_the_lease_back_as_well() {
    let server = Server::default();
    let a = server.join("a");
    a.mood.send_replace(Mood::Slow(Duration::from_millis(500)));
    pass(700).await;
    assert_eq!((server.holder().as_str(), a.leads()), ("a", false), "it does not know yet");
    a.stop().await;
    assert_eq!(server.holder(), "");
}

#[tokio::test(start_paused = true)]
async fn an_end_without_an_api_server_takes_three_seconds() {
    let server = Server::default();
    let a = server.join("a");
    until_led(&[&a]).await;
    a.mood.send_replace(Mood::Hangs);
    assert_eq!(a.stop().await.as_secs(), 3);
    assert_eq!(server.holder(), "a");
}

#[tokio::test(start_paused = true)]
async fn who_is_told_of_each_change_takes_the_lease_as_soon_as_it_runs_out() {
    let server = Server::default();
    let a = server.join("a");
    pass(20).await;
    let b = server.join("b");
    for _ in 0..1_000 {
        b.changed.notify_one();
        pass(20).await;
    }
    a.task.abort();
    let last = server.last_write();
    until_led(&[&b]).await;
    let took = seconds(last.elapsed());
    assert!((15.0..15.2).contains(&took), "{took}");
}
