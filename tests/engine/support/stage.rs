//! An engine on a small LiveKit, by a clock that goes only when everybody waits.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};
use usher::{
    engine::{
        Audience, Catalog, Clock, Deed, Engine, Event, Leadership, Limits, PolicyReport, Reports, Route, Routes,
        Server, ServerReport, ServerView, TransferReport, What,
    },
    livekit::webhook::Verifier,
    metrics::Metrics,
    policy::{
        Member, ObjectName, Participant, Policy, PolicySet, Reach, Track, Transfer, TransferId, TransferMember,
        TransferSet,
    },
};

use usher_testkit::metric_in;

use super::{LiveKit, policy};

/// When every test begins.
pub const START: &str = "2026-06-01T12:00:00Z";

/// What the server's view is made of; change it, then [`Stage::show`] it.
pub struct View {
    pub livekit: Arc<LiveKit>,
    pub policies: Vec<Arc<Policy>>,
    pub transfers: Vec<TransferMember>,
    /// What is remembered of forwards as they once were.
    pub remembered: Vec<Arc<Transfer>>,
    pub resync_interval: Duration,
    pub limits: Limits,
    pub suspended: bool,
    pub resync_request: u64,
}

pub struct Stage {
    pub livekit: Arc<LiveKit>,
    pub view: View,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub reports: watch::Receiver<Reports>,
    /// Everything that was done, until it is taken.
    pub deeds: mpsc::Receiver<Deed>,
    set: Arc<PolicySet>,
    transfers: Arc<TransferSet>,
    catalog: watch::Sender<Option<Arc<Catalog<LiveKit>>>>,
    routes: Routes,
    stop: watch::Sender<bool>,
    engine: JoinHandle<()>,
}

pub fn server() -> ObjectName {
    ObjectName::new("livekit", "main")
}

impl Stage {
    /// An engine at a server with one policy `livekit/rules` for every room that begins with `hall`. `rules` is YAML.
    /// It has made its first look.
    pub async fn with(rules: &str) -> Self {
        let stage = Self::at(LiveKit::default(), rules).await;
        assert_eq!(stage.livekit.said(), ["rooms"]);
        stage
    }

    /// The same at a server where something is going on.
    pub async fn at(livekit: LiveKit, rules: &str) -> Self {
        Self::seen(livekit, rules, |_| {}).await
    }

    /// An engine under the rules that nobody may publish, with these forwards and moves, which has made its first look.
    pub async fn bringing(livekit: LiveKit, transfers: impl IntoIterator<Item = TransferMember>) -> Self {
        Self::seen(livekit, super::QUIET, |view| view.transfers = transfers.into_iter().collect()).await
    }

    /// The same by another view.
    pub async fn seen(livekit: LiveKit, rules: &str, change: impl FnOnce(&mut View)) -> Self {
        Self::led(Arc::new(livekit), rules, Leadership::alone(), change).await
    }

    /// The same in one of several replicas.
    pub async fn led(
        livekit: Arc<LiveKit>,
        rules: &str,
        leadership: Leadership,
        change: impl FnOnce(&mut View),
    ) -> Self {
        fastrand::seed(7);
        let mut view = View {
            livekit: Arc::clone(&livekit),
            policies: vec![policy("rules", rules)],
            transfers: Vec::new(),
            remembered: Vec::new(),
            resync_interval: Duration::from_secs(30),
            limits: Limits { rate: None, max_in_flight: 32 },
            suspended: false,
            resync_request: 0,
        };
        change(&mut view);
        let (catalog, catalogs) = watch::channel(None);
        let (reporting, reports) = watch::channel(Reports::new());
        let (stop, stopped) = watch::channel(false);
        let (routes, metrics) = (Routes::default(), Arc::new(Metrics::new()));
        let clock = Clock::starting_at(START.parse::<Timestamp>().unwrap());
        let engine = Engine::new(catalogs, reporting, routes.clone(), Arc::clone(&metrics));
        let (telling, deeds) = mpsc::channel(1024);
        let engine = engine.with_clock(clock).led_by(leadership).telling(Audience { deeds: telling, of_changes: true });
        let engine = tokio::spawn(engine.run(stopped));
        let (set, transfers) = (Arc::default(), Arc::default());
        let mut stage =
            Self { livekit, view, clock, metrics, reports, deeds, set, transfers, catalog, routes, stop, engine };
        stage.set_policies();
        stage.set_transfers();
        stage.show();
        stage.rest().await;
        stage
    }

    fn set_policies(&mut self) {
        let member = |policy: &Arc<Policy>| Member { policy: Arc::clone(policy), reach: Reach::Home };
        self.set = Arc::new(PolicySet::new(self.view.policies.iter().map(member).collect(), Vec::new()));
    }

    fn set_transfers(&mut self) {
        let set = TransferSet::new(self.view.transfers.clone(), Vec::new());
        self.transfers = Arc::new(set.remembering(self.view.remembered.clone()));
    }

    /// Shows the view to the engine.
    pub fn show(&self) {
        let View { livekit, resync_interval, limits, suspended, resync_request, .. } = &self.view;
        let view = ServerView {
            server: server(),
            service: Arc::clone(livekit),
            policies: Arc::clone(&self.set),
            transfers: Arc::clone(&self.transfers),
            resync_interval: *resync_interval,
            limits: *limits,
            suspended: *suspended,
            resync_request: *resync_request,
        };
        let verifier = Arc::new(Verifier::new([]));
        let servers = HashMap::from([(server(), Server { view: Arc::new(view), verifier })]);
        self.catalog.send_replace(Some(Arc::new(Catalog { servers })));
    }

    /// Shows a catalog without the server.
    pub fn show_nothing(&self) {
        self.catalog.send_replace(Some(Arc::new(Catalog { servers: HashMap::new() })));
    }

    /// Puts other policies in the place of those that are there.
    pub async fn govern(&mut self, policies: impl IntoIterator<Item = Arc<Policy>>) {
        self.view.policies = policies.into_iter().collect();
        self.set_policies();
        self.show();
        self.rest().await;
    }

    /// Puts other rules in the place of those that are there.
    pub async fn rule(&mut self, rules: &str) {
        self.govern([policy("rules", rules)]).await;
    }

    /// Puts other forwards and moves in the place of those that are there.
    pub async fn bring(&mut self, transfers: impl IntoIterator<Item = TransferMember>) {
        self.view.transfers = transfers.into_iter().collect();
        self.set_transfers();
        self.show();
        self.rest().await;
    }

    /// The last report on a forward or move, when it is as wanted.
    pub async fn tells_of(&mut self, id: &TransferId, wanted: impl Fn(&TransferReport) -> bool) -> TransferReport {
        let report = self.report(|report| report.transfers.get(id).is_some_and(&wanted)).await;
        report.transfers[id].clone()
    }

    /// Waits until there is nothing left to do now.
    pub async fn rest(&self) {
        self.pass(Duration::from_millis(1)).await;
    }

    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    pub async fn pass_secs(&self, seconds: u64) {
        self.pass(Duration::from_secs(seconds)).await;
    }

    pub fn hear(&self, room: &str, what: What) {
        self.hear_late(room, what, Duration::ZERO);
    }

    /// A webhook of something that was so long ago.
    pub fn hear_late(&self, room: &str, what: What, ago: Duration) {
        let created_at = Timestamp::from_second(self.clock.now().checked_sub(ago).unwrap().as_second()).unwrap();
        let event = Event { room: room.into(), what, created_at, received: Instant::now() };
        self.route().hand_over(event).unwrap();
    }

    /// Where the server's webhooks go.
    pub fn route(&self) -> Route {
        self.routes.find(&server()).unwrap()
    }

    pub fn hear_joined(&self, room: &str, participant: &Participant) {
        self.hear(room, What::Joined { participant: Box::new(participant.clone()), whole: true });
    }

    pub fn hear_left(&self, room: &str, participant: &Participant) {
        self.hear(room, What::Left { identity: participant.identity.to_string(), sid: participant.sid.to_string() });
    }

    pub fn hear_published(&self, room: &str, participant: &Participant, track: &Track) {
        let (identity, sid) = (participant.identity.to_string(), participant.sid.to_string());
        self.hear(room, What::TrackPublished { identity, sid, track: track.clone() });
    }

    /// Somebody joins a room, with all webhooks.
    pub async fn join(&self, room: &str, mut participant: Participant) -> Participant {
        if self.livekit.find(room, &participant.identity).is_none() {
            self.hear(room, What::RoomStarted);
        }
        participant.joined_at = self.clock.now();
        self.livekit.add(room, participant.clone());
        self.hear_joined(room, &participant);
        self.rest().await;
        participant
    }

    /// Somebody publishes, with the webhook.
    pub async fn publish(&self, room: &str, identity: &str, track: Track) {
        self.livekit.change(room, identity, |participant| participant.tracks.push(track.clone()));
        self.hear_published(room, &self.livekit.see(room, identity), &track);
        self.rest().await;
    }

    /// The last report, when it is as wanted.
    pub async fn report(&mut self, wanted: impl Fn(&ServerReport) -> bool) -> Arc<ServerReport> {
        let wait = self.reports.wait_for(|reports| reports.get(&server()).is_some_and(|report| wanted(report)));
        if let Ok(reports) = tokio::time::timeout(Duration::from_secs(100), wait).await {
            return Arc::clone(&reports.unwrap()[&server()]);
        }
        panic!("no such report: {:#?}", self.reports.borrow().get(&server()));
    }

    /// The last report on the policy `rules`, when it is as wanted.
    pub async fn tells(&mut self, wanted: impl Fn(&PolicyReport) -> bool) -> PolicyReport {
        let name = ObjectName::new("livekit", "rules");
        let report = self.report(|report| report.policies.get(&name).is_some_and(&wanted)).await;
        report.policies[&name].clone()
    }

    pub fn latest(&self) -> Arc<ServerReport> {
        Arc::clone(&self.reports.borrow()[&server()])
    }

    /// A metric's value, by its name and labels as they are written; zero where there is none.
    pub fn metric(&self, series: &str) -> f64 {
        metric_in(&self.metrics.encode().unwrap(), series).unwrap_or_default()
    }

    /// Stops the engine and answers how long that took.
    pub async fn stop(self) -> Duration {
        let begun = Instant::now();
        self.stop.send_replace(true);
        self.engine.await.unwrap();
        begun.elapsed()
    }
}
