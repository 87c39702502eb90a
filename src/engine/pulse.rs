//! Whether a server answers, and when to ask it again if not.

use std::time::Duration;

use tokio::time::Instant;

use super::view::Health;
use crate::livekit::{Class, Error};

/// So many failures in a row, with no success of anything between them, mean that the server is away.
const STRIKES: u32 = 2;
/// Pauses between probes of a server that is away: the first and the longest.
const AWAY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// Pauses between probes with a key that the server does not take.
const UNAUTHORIZED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Pauses where the server wants fewer requests and does not say for how long.
const LIMITED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Tracks a server's health by the results of requests.
#[derive(Debug)]
pub(super) struct Pulse {
    health: Health,
    strikes: u32,
    pause: Duration,
    probe_at: Option<Instant>,
}

/// What may be sent to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Everything.
    All,
    /// One request, to see whether it answers.
    Probe,
    /// Nothing before this moment.
    Nothing(Instant),
}

impl Default for Pulse {
    fn default() -> Self {
        Self { health: Health::Unknown, strikes: 0, pause: Duration::ZERO, probe_at: None }
    }
}

impl Pulse {
    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    pub(super) fn admits(&self, now: Instant) -> Admission {
        match self.probe_at {
            None => Admission::All,
            Some(at) if at <= now => Admission::Probe,
            Some(at) => Admission::Nothing(at),
        }
    }

    /// Takes in a success; whether the server was away before.
    pub(super) fn answered(&mut self) -> bool {
        let returned = self.probe_at.is_some();
        *self = Self { health: Health::Good, ..Self::default() };
        returned
    }

    /// Takes in that a webhook came: a server that speaks is worth a question.
    pub(super) fn heard(&mut self, now: Instant) {
        if matches!(self.health, Health::Unreachable(_)) && self.probe_at.is_some_and(|at| at > now) {
            self.probe_at = Some(now);
        }
    }

    /// Takes in a failure. One that is about the request and not about the server proves that it answers.
    pub(super) fn failed(&mut self, error: &Error, now: Instant) {
        let message = || error.to_string();
        match error.class() {
            Class::Unauthorized => self.suspend(Health::Unauthorized(message()), UNAUTHORIZED, None, now),
            Class::Transient { retry_after } if error.status() == Some(429) => {
                self.suspend(Health::RateLimited(message()), LIMITED, retry_after, now);
            }
            Class::Transient { retry_after } if is_about_server(error) => {
                self.strikes += 1;
                if self.strikes >= STRIKES || matches!(error, Error::Timeout(_)) {
                    self.suspend(Health::Unreachable(message()), AWAY, retry_after, now);
                }
            }
            Class::Gone | Class::Transient { .. } | Class::Refused | Class::Unsupported(_) => {
                self.answered();
            }
        }
    }

    /// Takes in that the simplest of questions was not understood: whoever answers there is no LiveKit.
    pub(super) fn strange(&mut self, error: &Error, now: Instant) {
        self.suspend(Health::Unreachable(error.to_string()), AWAY, None, now);
    }

    fn suspend(&mut self, health: Health, pauses: (Duration, Duration), asked: Option<Duration>, now: Instant) {
        // Requests that were under way together fail together: one pause for all of them.
        if self.probe_at.is_some_and(|at| at > now)
            && std::mem::discriminant(&self.health) == std::mem::discriminant(&health)
        {
            return;
        }
        let (first, longest) = pauses;
        self.pause = if std::mem::discriminant(&self.health) == std::mem::discriminant(&health) {
            (self.pause * 2).clamp(first, longest)
        } else {
            first
        };
        self.probe_at = Some(now + asked.unwrap_or(self.pause));
        self.health = health;
    }
}

/// Whether an error says that nobody answers, rather than that one room or participant makes trouble.
fn is_about_server(error: &Error) -> bool {
    matches!(
        error,
        Error::Timeout(_) | Error::Dns | Error::Connect(_) | Error::Tls(_) | Error::Cut(_) | Error::Status { .. }
    )
}
