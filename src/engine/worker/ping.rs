//! Whether a server from which nothing has come for a while still answers, and still takes our key.
//!
//! Where few rooms are in session, resync asks so seldom that a server could be gone for half a minute before anything
//! said so. So whoever resyncs asks the cheapest of questions, when nothing else has been answered for a few seconds.
//! One that is busy is never asked.
//!
//! Who does not resync asks it seldom: only so that the next join finds a connection.

use std::time::Duration;

use tokio::time::Instant;

use super::{Worker, wake::Timer};
use crate::{
    engine::{act::Ticket, service::RoomService},
    livekit::pool,
};

/// So long nothing need come from a server: what is wrong with it must be told within five seconds.
const SILENCE: Duration = Duration::from_secs(3);
/// The question takes at most one in so many of the requests that are allowed.
const SHARE: u32 = 10;
/// The pause before it is asked for the first time by who does not resync, and again after a failure that may have been
/// one broken connection.
const DOUBT: Duration = Duration::from_millis(250);

/// The question that is asked into the silence.
#[derive(Debug)]
pub(super) struct Silence {
    /// Since when there is one, unless something has been answered since.
    since: Instant,
    /// When to ask; any other timer is void.
    due: Instant,
    /// The question that is under way.
    asked: Option<Ticket>,
}

impl Silence {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, due: now, asked: None }
    }

    pub(super) fn pinged(&mut self, ticket: Ticket) {
        self.asked = Some(ticket);
    }

    pub(super) fn is_due(&self, at: Instant) -> bool {
        self.due == at
    }
}

impl<S: RoomService> Worker<S> {
    /// Listens anew from now on.
    pub(super) fn ping_later(&mut self) {
        self.silence = Silence::new(Instant::now());
        self.listen();
    }

    /// Sets when to ask, unless something is answered before.
    fn listen(&mut self) {
        self.silence.due = self.silent_at();
        self.set_timer(self.silence.due, Timer::Ping);
    }

    /// When the silence has lasted long enough.
    fn silent_at(&self) -> Instant {
        if self.pulse.is_doubtful() {
            return self.silence.since + DOUBT;
        }
        let allowed = self.view.limits.rate.map_or(f64::INFINITY, |rate| f64::from(rate.per_second.get()));
        let answered_at = self.pulse.answered_at();
        let pause = match (self.role.leads(), answered_at) {
            (true, _) => SILENCE,
            (false, Some(_)) => pool::IDLE / 2,
            (false, None) => DOUBT,
        };
        let pause = pause.max(Duration::from_secs_f64(f64::from(SHARE) / allowed));
        self.silence.since.max(answered_at.unwrap_or(self.silence.since)) + pause
    }

    /// Whether to ask now.
    pub(super) fn is_to_be_pinged(&mut self) -> bool {
        if self.silence.asked.is_some() {
            return false;
        }
        let is_silent = self.silent_at() <= Instant::now();
        if !is_silent {
            self.listen();
        }
        is_silent
    }

    /// Takes in that the question has ended; what came of it the pulse knows.
    pub(super) fn pong(&mut self, ticket: Ticket) {
        if self.silence.asked.take_if(|asked| *asked == ticket).is_some() {
            self.silence.since = Instant::now();
            self.listen();
        }
    }
}
