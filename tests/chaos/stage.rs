//! The simulated server, the operator at it, and the people who join.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use livekit_protocol::WebhookEvent;
use tokio::{sync::mpsc, time::Instant};
use usher::{
    engine::{Clock, Event},
    simulator::{Cloud, Edition, Join, Options, Simulator},
};

use crate::{
    declared::Objects,
    ledger::{Ledger, Who},
    operator::Operator,
    weather::Weather,
    witness::{Shared, Witness},
};

/// When every schedule begins.
const START: &str = "2026-06-01T12:00:00Z";
/// Webhooks that may wait for whoever brings them.
const WAITING_WEBHOOKS: usize = 1 << 15;
/// LiveKit keeps a webhook for so long.
const WEBHOOK_AGE: Duration = Duration::from_secs(30);

pub struct Stage {
    pub shared: Arc<Shared>,
    pub operator: Arc<Mutex<Option<Operator>>>,
    pub objects: Objects,
    clock: Clock,
    began: Instant,
    options: Options,
    /// The tokens that people came with first.
    pub tokens: BTreeMap<Who, Join>,
    /// Since when the operator knows of every version of the forwards that there was.
    pub forgot: bool,
}

impl Stage {
    /// A server with nobody on it and an operator that knows of no objects yet.
    pub fn new(seed: u64, draw: impl FnOnce(jiff::Timestamp) -> Objects, with_story: bool) -> Self {
        let start: jiff::Timestamp = START.parse().expect("a moment");
        let clock = Clock::starting_at(start);
        let options = Options {
            edition: Edition::Cloud(Cloud { announces_copies: seed.is_multiple_of(2) }),
            delay_factor: 0.1,
            seed,
            start: Some(SystemTime::from(start)),
            departure_timeout: Duration::from_secs(5),
            ..Options::default()
        };
        let simulator = Simulator::new(options.clone());
        let shared = Arc::new(Shared {
            ledger: Mutex::new(Ledger::new(clock, with_story)),
            weather: Mutex::new(Weather::new(seed)),
            simulator: Mutex::new(simulator),
        });
        let objects = draw(start);
        let operator = Arc::default();
        let began = Instant::now();
        let mut stage =
            Self { shared, operator, objects, clock, began, options, tokens: BTreeMap::new(), forgot: false };
        stage.listen();
        stage.start_operator();
        stage
    }

    pub fn say(&self, what: impl FnOnce() -> String) {
        self.shared.ledger().say(what);
    }

    pub fn simulator(&self) -> Simulator {
        self.shared.simulator()
    }

    /// Starts the operator, or another one in its place.
    pub fn start_operator(&mut self) {
        *self.operator.lock().unwrap() = None;
        self.shared.ledger().begin_life();
        let witness = Witness::new(Arc::clone(&self.shared));
        *self.operator.lock().unwrap() = Some(Operator::start(witness, self.clock));
        self.forgot = true;
    }

    /// Shows the operator the objects as they are now.
    pub fn show(&self) {
        self.shared.ledger().show(Arc::new(self.objects.clone()));
        if let Some(operator) = &*self.operator.lock().unwrap() {
            operator.show(&self.objects);
        }
    }

    /// Everybody's session ends without a word, and the server comes back without its memory after a while.
    pub fn crash_server(&mut self, pause: Duration) {
        let life = {
            let mut weather = self.shared.weather();
            weather.crash(pause);
            weather.life
        };
        let start = self.options.start.map(|start| start + self.began.elapsed());
        let options = Options { seed: self.options.seed.wrapping_add(life << 32), start, ..self.options.clone() };
        *self.shared.simulator.lock().unwrap() = Simulator::new(options);
        self.listen();
    }

    /// Brings the webhooks of this life of the server to whichever operator is there.
    fn listen(&self) {
        let webhooks = self.simulator().listen(WAITING_WEBHOOKS);
        let post = Post { shared: Arc::clone(&self.shared), operator: Arc::clone(&self.operator) };
        tokio::spawn(post.bring(webhooks));
    }
}

/// Brings webhooks, as often as it takes.
#[derive(Clone)]
struct Post {
    shared: Arc<Shared>,
    operator: Arc<Mutex<Option<Operator>>>,
}

impl Post {
    async fn bring(self, mut webhooks: mpsc::Receiver<Arc<WebhookEvent>>) {
        while let Some(webhook) = webhooks.recv().await {
            if !self.hand_over(&webhook) {
                tokio::spawn(self.clone().bring_later(webhook));
            }
        }
    }

    async fn bring_later(self, webhook: Arc<WebhookEvent>) {
        let mut pause = Duration::from_secs(1);
        while pause < WEBHOOK_AGE {
            tokio::time::sleep(pause).await;
            if self.hand_over(&webhook) {
                return;
            }
            pause *= 2;
        }
    }

    /// Whether somebody took it.
    fn hand_over(&self, webhook: &WebhookEvent) -> bool {
        let Some(event) = Event::read(webhook.clone(), Instant::now()) else { return true };
        let operator = self.operator.lock().unwrap();
        let is_heard = operator.as_ref().is_some_and(|operator| operator.hear(event.clone()));
        if is_heard {
            let mut ledger = self.shared.ledger();
            ledger.say(|| {
                let who = webhook.participant.as_ref().map(|who| who.identity.as_str()).unwrap_or_default();
                format!("   webhook {} {}/{who}, made at {}", webhook.event, event.room, event.created_at)
            });
            ledger.hear(&event);
        }
        is_heard
    }
}
