//! A LiveKit-compatible server in memory, for demos, tests and scale.
//!
//! What it knows is a model ([`Simulator`]) that may be used in this process: participants join, publish and leave by
//! calling its methods, which act at once. Over HTTP ([`Running`]) it is LiveKit's RoomService as the open-source
//! server answers it, or LiveKit Cloud ([`Edition`]), with webhooks. [`Script`]s bring participants that behave by
//! themselves; [`Fault`]s go wrong on demand. There is no media, no signalling, and nothing beyond the RoomService.
//!
//! Time is tokio's, so that it stops where a test pauses it, and chance comes from one seed.
//!
//! How far it is like LiveKit is what `tests/conformance` checks, against the real server.

// What goes wrong in a test ends it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod clock;
mod direct;
mod faults;
mod http;
mod model;
mod options;
mod outlet;
mod perform;
mod playing;
mod running;
mod scenario;
mod script;
mod service;
mod webhooks;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use livekit_protocol::{DisconnectReason, ParticipantInfo, Room, WebhookEvent};
use tokio::sync::mpsc;

pub use clock::Moment;
pub use direct::Direct;
pub use faults::{Effect, Fault, WebhookFaults};
pub use model::{Change, Join, JoinError, Missing, Publication};
pub use options::{Cloud, Edition, Limits, Options};
pub use perform::{Performed, Served};
pub use playing::Playing;
pub use running::Running;
pub use scenario::{FaultFile, RoleFile, Scenario, ScenarioError, ScriptFile, Spans, WebhookFaultsFile};
pub use script::{Habits, Play, Role, Script};
pub use service::{Answer, Call, Caller, Claims, Method, NotAdmitted, Refusal};
pub use webhooks::{WebhookCounts, WebhookOptions};

use clock::Clock;
use faults::Faults;
use http::Keys;
use model::Model;
use outlet::Outlet;
use webhooks::Deliveries;

/// A simulated server. Clones are the same server.
///
/// Its methods are what participants do; they need no token and no network and take effect at once. What the
/// RoomService does goes by [`Self::perform`], where the faults are.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    clock: Clock,
    keys: Keys,
    /// Never held across an await, and nobody waits long for it: a std mutex.
    model: Mutex<Model>,
    faults: Mutex<(Faults, fastrand::Rng)>,
    outlet: Outlet,
    audience: perform::Audience,
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rooms, participants) = self.counts();
        let mut shown = f.debug_struct("Simulator");
        shown.field("rooms", &rooms).field("participants", &participants).finish_non_exhaustive()
    }
}

impl Simulator {
    /// An empty server. Nothing runs by itself: see [`Running`] for one that does.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let clock = Clock::starting_at(options.start);
        let mut model = Model::new(&options);
        let deliveries = match options.keys.first() {
            Some(key) if !options.webhook_urls.is_empty() => {
                model.listen();
                Deliveries::new(&options.webhook_urls, key.clone(), options.webhooks, clock)
            }
            _ => None,
        };
        let shared = Shared {
            clock,
            keys: Keys::new(&options.keys),
            model: Mutex::new(model),
            faults: Mutex::new((Faults::default(), fastrand::Rng::with_seed(options.seed))),
            outlet: Outlet::new(deliveries, options.seed),
            audience: perform::Audience::default(),
            options,
        };
        Self { shared: Arc::new(shared) }
    }

    /// How it behaves.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// What time it is here.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.shared.clock.now()
    }

    /// How many rooms there are, and how many participants in them.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        self.act(|model, _| model.counts())
    }

    // What participants do.

    /// Somebody joins and is connected at once. Who has the identity in this room already is thrown out. The answer is
    /// the sid of the session.
    ///
    /// # Errors
    /// The room is full, or the token that this stands for was revoked.
    pub fn join(&self, join: Join) -> Result<String, JoinError> {
        self.act(|model, now| {
            let (room, identity) = (join.room.clone(), join.identity.clone());
            let sid = model.join(join, now)?;
            // It joined in this very moment.
            let _ = model.activate(&room, &identity, now);
            Ok(sid)
        })
    }

    /// Somebody begins to connect and is listed as joining, until [`Self::connect`], or for a minute.
    ///
    /// # Errors
    /// As [`Self::join`].
    pub fn begin_to_join(&self, join: Join) -> Result<String, JoinError> {
        self.act(|model, now| model.join(join, now))
    }

    /// Somebody is connected.
    ///
    /// # Errors
    /// It is not there.
    pub fn connect(&self, room: &str, identity: &str) -> Result<(), Missing> {
        self.act(|model, now| model.activate(room, identity, now))
    }

    /// What a token says about who joins with it.
    ///
    /// # Errors
    /// The text with which LiveKit refuses the token.
    pub fn admit(&self, token: &str) -> Result<Join, String> {
        let claims = self.keys().verify(token, self.now())?;
        claims.into_join().map_err(|error| error.to_string())
    }

    /// Somebody goes, for this reason.
    ///
    /// # Errors
    /// It is not there.
    pub fn leave(&self, room: &str, identity: &str, reason: DisconnectReason) -> Result<(), Missing> {
        self.act(|model, now| model.leave(room, identity, reason, now))
    }

    /// What the token says that the server last sent somebody: with it, it comes back as it is now.
    ///
    /// # Errors
    /// It is not there.
    pub fn refreshed(&self, room: &str, identity: &str) -> Result<Join, Missing> {
        self.act(|model, now| model.claims(room, identity, now))
    }

    /// Somebody publishes a track; its sid, or none when that is not allowed.
    ///
    /// # Errors
    /// It is not there.
    pub fn publish(&self, room: &str, identity: &str, publication: &Publication) -> Result<Option<String>, Missing> {
        self.act(|model, now| model.publish(room, identity, publication, now))
    }

    /// Somebody unpublishes a track; whether there was one.
    ///
    /// # Errors
    /// It is not there.
    pub fn unpublish(&self, room: &str, identity: &str, track: &str) -> Result<bool, Missing> {
        self.act(|model, now| model.unpublish(room, identity, track, now))
    }

    /// Somebody mutes or unmutes itself, which nothing forbids and no webhook tells; whether there was such a track.
    ///
    /// # Errors
    /// It is not there.
    pub fn mute(&self, room: &str, identity: &str, track: &str, muted: bool) -> Result<bool, Missing> {
        self.act(|model, now| model.mute(room, identity, track, muted, now).map(|track| track.is_some()))
    }

    /// Somebody changes its own name, metadata and attributes; false when it may not.
    ///
    /// # Errors
    /// It is not there.
    pub fn change(&self, room: &str, identity: &str, change: &Change) -> Result<bool, Missing> {
        self.act(|model, _| model.change_self(room, identity, change))
    }

    /// The sid of somebody's session.
    #[must_use]
    pub fn session(&self, room: &str, identity: &str) -> Option<String> {
        self.act(|model, _| model.session(room, identity))
    }

    /// Where somebody was moved to from this room, and the sid it has there. It is told once.
    fn take_move(&self, room: &str, identity: &str) -> Option<(String, String)> {
        self.act(|model, _| model.take_move(room, identity))
    }

    // What is seen.

    /// All rooms.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room> {
        self.act(|model, _| model.rooms(&[]))
    }

    /// Everybody in a room, sorted by identity.
    #[must_use]
    pub fn participants(&self, room: &str) -> Vec<ParticipantInfo> {
        self.act(|model, _| model.list(room)).unwrap_or_default()
    }

    /// One participant.
    #[must_use]
    pub fn participant(&self, room: &str, identity: &str) -> Option<ParticipantInfo> {
        self.act(|model, _| model.get(room, identity)).ok()
    }

    /// The events from now on, of which as many wait as `depth` says; further ones are lost. They are those that
    /// webhooks tell, with the same faults.
    #[must_use]
    pub fn listen(&self, depth: usize) -> mpsc::Receiver<Arc<WebhookEvent>> {
        self.lock().listen();
        self.shared.outlet.listen(depth)
    }

    /// What became of the webhooks so far.
    #[must_use]
    pub fn webhook_counts(&self) -> WebhookCounts {
        self.shared.outlet.deliveries().map(Deliveries::counts).unwrap_or_default()
    }

    // What goes wrong.

    /// Something goes wrong from now on.
    pub fn add_fault(&self, fault: Fault) {
        self.faults().0.add(fault);
    }

    /// Webhooks go wrong like this from now on.
    pub fn set_webhook_faults(&self, faults: WebhookFaults) {
        self.shared.outlet.set_faults(faults);
    }

    /// All goes well from now on.
    pub fn heal(&self) {
        self.faults().0.heal();
        self.set_webhook_faults(WebhookFaults::default());
    }

    /// Lets happen what happens by itself, such as the end of empty rooms, as long as this future is polled. Without
    /// it, it happens at the next call.
    pub async fn keep_time(&self) {
        loop {
            let next = self.act(|model, now| model.next_deadline().map(|at| at.since(now)));
            let wait = next.unwrap_or(Duration::MAX).clamp(Duration::from_millis(10), Duration::from_secs(1));
            tokio::time::sleep(wait).await;
        }
    }

    /// Does something to the model in one go, and tells what came of it.
    fn act<T>(&self, act: impl FnOnce(&mut Model, Moment) -> T) -> T {
        let mut model = self.lock();
        let now = self.now();
        model.advance(now);
        let result = act(&mut model, now);
        // Still under the lock, so that events go out in the order in which things happened.
        for event in model.take_events() {
            self.shared.outlet.send(event);
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Model> {
        self.shared.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, (Faults, fastrand::Rng)> {
        self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self) -> &Keys {
        &self.shared.keys
    }
}
