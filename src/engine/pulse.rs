//! Whether a server answers, and when to ask it again if not.

use std::{io, mem::discriminant, time::Duration};

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
/// The same trouble again within this time after it ended goes on where it was, with longer pauses.
const RELAPSE: Duration = Duration::from_secs(60);

/// Tracks a server's health by the results of requests.
#[derive(Debug)]
pub(super) struct Pulse {
    health: Health,
    strikes: u32,
    /// When the last answer came.
    answered_at: Option<Instant>,
    /// The trouble that the server is in.
    trouble: Option<Trouble>,
    /// The trouble before: what, its last pause, and when it ended.
    before: Option<(Health, Duration, Instant)>,
}

/// Why nothing but probes is sent.
#[derive(Debug)]
struct Trouble {
    /// Since when. What was asked before says nothing of whether it has passed.
    since: Instant,
    failed_at: Instant,
    pause: Duration,
    /// The server asked to be left alone until then.
    not_before: Instant,
    probe_at: Instant,
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

/// What a result changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing, or only words.
    None,
    /// From now on it is only probed.
    Down,
    /// It is as before.
    Up,
    /// It was away and is back, maybe without its memory.
    Back,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { health: Health::Unknown, strikes: 0, answered_at: None, trouble: None, before: None }
    }
}

impl Pulse {
    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// When the last answer came.
    pub(super) fn answered_at(&self) -> Option<Instant> {
        self.answered_at
    }

    /// Whether something failed and it is not clear yet whether the server is away.
    pub(super) fn is_doubtful(&self) -> bool {
        self.strikes > 0 && self.trouble.is_none()
    }

    pub(super) fn admits(&self, now: Instant) -> Admission {
        match &self.trouble {
            None => Admission::All,
            Some(trouble) if trouble.probe_at <= now => Admission::Probe,
            Some(trouble) => Admission::Nothing(trouble.probe_at),
        }
    }

    /// Takes in that the server answered what was asked at `begun`.
    pub(super) fn answered(&mut self, begun: Instant, now: Instant) -> Turn {
        self.strikes = 0;
        self.answered_at = Some(now);
        if self.precedes_trouble(begun) {
            return Turn::None;
        }
        let health = std::mem::replace(&mut self.health, Health::Good);
        let Some(trouble) = self.trouble.take() else { return Turn::None };
        let turn = if matches!(health, Health::Unreachable(_)) { Turn::Back } else { Turn::Up };
        self.before = Some((health, trouble.pause, now));
        turn
    }

    /// Whether what was asked at `begun` was under way when the trouble began that the server is in.
    fn precedes_trouble(&self, begun: Instant) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| begun <= trouble.since)
    }

    /// Takes in that a webhook came: a server that speaks is worth a question.
    pub(super) fn heard(&mut self, now: Instant) {
        if matches!(self.health, Health::Unreachable(_))
            && let Some(trouble) = &mut self.trouble
        {
            // Not for every webhook of many: it may be heard and still not be reached.
            let soon = now.max(trouble.failed_at + AWAY.0).max(trouble.not_before);
            trouble.probe_at = trouble.probe_at.min(soon);
        }
    }

    /// Takes in the failure of what was asked at `begun`. One that is about the request and not about the server
    /// proves that it answers.
    pub(super) fn failed(&mut self, error: &Error, begun: Instant, now: Instant) -> Turn {
        let message = || error.to_string();
        match error.class() {
            Class::Unauthorized => self.suspend(Health::Unauthorized(message()), UNAUTHORIZED, None, now),
            Class::Transient { retry_after } if error.status() == Some(429) => {
                self.suspend(Health::RateLimited(message()), LIMITED, retry_after, now)
            }
            // What was under way when the trouble began says no more of it, but for how long it is to last.
            Class::Transient { retry_after } if is_about_server(error) && self.precedes_trouble(begun) => {
                self.leave_alone(retry_after, now);
                Turn::None
            }
            Class::Transient { retry_after } if is_about_server(error) => {
                self.strikes += 1;
                // Who says when to come back need not say it twice.
                let is_told = error.status() == Some(503) && retry_after.is_some();
                if self.strikes >= STRIKES || self.trouble.is_some() || has_waited(error) || is_told {
                    self.suspend(Health::Unreachable(message()), AWAY, retry_after, now)
                } else {
                    Turn::None
                }
            }
            Class::Gone | Class::Transient { .. } | Class::Refused | Class::Unsupported(_) => self.answered(begun, now),
        }
    }

    /// Takes in that the simplest of questions was not understood: whoever answers there is no LiveKit.
    pub(super) fn strange(&mut self, error: &Error, now: Instant) -> Turn {
        self.suspend(Health::Unreachable(error.to_string()), AWAY, None, now)
    }

    /// Takes in for how long a server that is in trouble wants to be left alone.
    fn leave_alone(&mut self, asked: Option<Duration>, now: Instant) {
        if let (Some(trouble), Some(asked)) = (&mut self.trouble, asked) {
            trouble.not_before = trouble.not_before.max(now + asked);
            trouble.probe_at = trouble.probe_at.max(trouble.not_before);
        }
    }

    fn suspend(
        &mut self,
        health: Health,
        (first, longest): (Duration, Duration),
        asked: Option<Duration>,
        now: Instant,
    ) -> Turn {
        let alike = discriminant(&self.health) == discriminant(&health);
        let (since, pause) = match &self.trouble {
            // Requests that were under way together fail together: one pause for all of them, the longest that is asked
            // for.
            Some(trouble) if alike && trouble.probe_at > now => {
                self.leave_alone(asked, now);
                return Turn::None;
            }
            Some(trouble) if alike => (trouble.since, trouble.pause * 2),
            Some(trouble) => (trouble.since, first),
            None => {
                let relapse = self.before.take().filter(|(before, _, ended)| {
                    discriminant(before) == discriminant(&health) && now.saturating_duration_since(*ended) < RELAPSE
                });
                (now, relapse.map_or(first, |(_, pause, _)| pause * 2))
            }
        };
        let pause = pause.clamp(first, longest);
        let turn = if self.trouble.is_some() { Turn::None } else { Turn::Down };
        let wait = asked.filter(|asked| *asked >= first).unwrap_or(pause);
        let not_before = self.trouble.as_ref().map_or(now, |trouble| trouble.not_before);
        let probe_at = not_before.max(now + wait);
        self.trouble = Some(Trouble { since, failed_at: now, pause, not_before, probe_at });
        self.leave_alone(asked, now);
        self.health = health;
        turn
    }
}

/// Whether an error says that nobody answers, rather than that one room or participant makes trouble.
fn is_about_server(error: &Error) -> bool {
    matches!(
        error,
        Error::Timeout(_) | Error::Dns | Error::Connect(_) | Error::Tls(_) | Error::Cut(_) | Error::Status { .. }
    )
}

/// Whether it took long to find out that nobody answers: to see that twice would take too long.
fn has_waited(error: &Error) -> bool {
    matches!(error, Error::Timeout(_) | Error::Connect(Some(io::ErrorKind::TimedOut)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECT: Error = Error::Connect(None);
    const LIMIT: Error = Error::Status { status: 429, retry_after: None };

    fn pause(pulse: &Pulse, now: Instant) -> Duration {
        match pulse.admits(now) {
            Admission::Nothing(until) => until - now,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_broken_connection_is_no_outage_and_two_in_a_row_are() {
        let (mut pulse, now) = (Pulse::default(), Instant::now());
        assert_eq!(pulse.failed(&CONNECT, now, now), Turn::None);
        assert_eq!(pulse.answered(now, now), Turn::None);
        assert_eq!(pulse.failed(&CONNECT, now, now), Turn::None);
        assert_eq!(pulse.admits(now), Admission::All);
        assert_eq!(pulse.failed(&CONNECT, now, now), Turn::Down);
        assert_eq!(pause(&pulse, now), AWAY.0);
    }

    #[test]
    fn what_takes_long_to_fail_need_not_fail_twice() {
        for error in [Error::Connect(Some(io::ErrorKind::TimedOut)), Error::Timeout(Duration::from_secs(5))] {
            let (mut pulse, now) = (Pulse::default(), Instant::now());
            assert_eq!(pulse.failed(&error, now, now), Turn::Down);
        }
    }

    #[test]
    fn probes_come_later_each_time_and_one_success_ends_it() {
        let (mut pulse, mut now) = (Pulse::default(), Instant::now());
        pulse.failed(&CONNECT, now, now);
        pulse.failed(&CONNECT, now, now);
        for expected in [250, 500, 1000, 2000, 4000, 5000, 5000] {
            assert_eq!(pause(&pulse, now), Duration::from_millis(expected));
            now += pause(&pulse, now);
            assert_eq!(pulse.admits(now), Admission::Probe);
            assert_eq!(pulse.failed(&CONNECT, now, now), Turn::None);
        }
        assert_eq!(pulse.answered(now, now), Turn::Back);
        assert_eq!((pulse.admits(now), pulse.health()), (Admission::All, &Health::Good));
    }

    #[test]
    fn an_answer_to_what_was_asked_before_the_trouble_does_not_end_it() {
        let (mut pulse, start) = (Pulse::default(), Instant::now());
        let now = start + Duration::from_millis(10);
        assert_eq!(pulse.failed(&LIMIT, start, now), Turn::Down);
        assert_eq!(pulse.answered(start, now), Turn::None);
        assert_eq!(pulse.failed(&LIMIT, start, now), Turn::None);
        assert_eq!(pause(&pulse, now), LIMITED.0);
        // Who wanted fewer requests has forgotten nothing.
        assert_eq!(pulse.answered(now + LIMITED.0, now + LIMITED.0), Turn::Up);
    }

    #[test]
    fn failures_of_what_was_under_way_do_not_shorten_the_pause_that_is_asked_for() {
        let limit = |seconds| Error::Status { status: 429, retry_after: Some(Duration::from_secs(seconds)) };
        let (mut pulse, now) = (Pulse::default(), Instant::now());
        assert_eq!(pulse.failed(&limit(5), now, now), Turn::Down);
        assert_eq!(pulse.failed(&CONNECT, now, now), Turn::None);
        assert_eq!(pulse.failed(&Error::Timeout(Duration::from_secs(5)), now, now), Turn::None);
        assert_eq!(pulse.answered(now, now), Turn::None, "asked in the same moment as what was limited");
        assert_eq!(pause(&pulse, now), Duration::from_secs(5));
        assert_eq!(pulse.failed(&limit(8), now, now), Turn::None);
        assert_eq!(pulse.failed(&limit(3), now, now), Turn::None);
        assert_eq!(pause(&pulse, now), Duration::from_secs(8));
    }

    #[test]
    fn the_same_trouble_soon_again_has_longer_pauses() {
        let (mut pulse, mut now) = (Pulse::default(), Instant::now());
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            pulse.failed(&LIMIT, now, now);
            assert_eq!(pause(&pulse, now), Duration::from_secs(expected));
            now += pause(&pulse, now);
            pulse.answered(now, now);
        }
        now += RELAPSE;
        pulse.failed(&LIMIT, now, now);
        assert_eq!(pause(&pulse, now), LIMITED.0);
    }

    #[test]
    fn webhooks_hasten_a_probe_and_do_not_multiply_it() {
        let (mut pulse, mut now) = (Pulse::default(), Instant::now());
        pulse.strange(&CONNECT, now);
        for _ in 0..5 {
            now += pause(&pulse, now);
            pulse.strange(&CONNECT, now);
        }
        now += Duration::from_millis(100);
        pulse.heard(now);
        assert_eq!(pause(&pulse, now), Duration::from_millis(150));
        now += Duration::from_secs(1);
        pulse.heard(now);
        assert_eq!(pulse.admits(now), Admission::Probe);
    }

    #[test]
    fn a_server_that_wants_to_be_asked_again_at_once_is_not_asked_without_pause() {
        let limit = Error::Status { status: 429, retry_after: Some(Duration::ZERO) };
        let (mut pulse, mut now) = (Pulse::default(), Instant::now());
        for expected in [1, 2, 4] {
            pulse.failed(&limit, now, now);
            assert_eq!(pause(&pulse, now), Duration::from_secs(expected));
            now += pause(&pulse, now);
        }
    }

    #[test]
    fn a_server_that_says_when_to_come_back_is_left_alone_until_then_whatever_else_is_heard() {
        let busy = |seconds| Error::Status { status: 503, retry_after: Some(Duration::from_secs(seconds)) };
        let (mut pulse, begun) = (Pulse::default(), Instant::now());
        let mut now = begun;
        assert_eq!(pulse.failed(&busy(20), now, now), Turn::Down, "once is enough");
        now += Duration::from_secs(2);
        pulse.heard(now);
        assert_eq!(pause(&pulse, now), Duration::from_secs(18));
        // What was asked before, and another kind of trouble, ask for less.
        assert_eq!(pulse.failed(&busy(3), now, now), Turn::None);
        assert_eq!(pulse.failed(&LIMIT, now, now), Turn::None);
        assert_eq!(pause(&pulse, now), Duration::from_secs(18));
        // What was under way when it began may ask for more.
        assert_eq!(pulse.failed(&busy(30), begun, now), Turn::None);
        assert!(matches!(pulse.health(), Health::RateLimited(_)));
        pulse.heard(now);
        assert_eq!(pause(&pulse, now), Duration::from_secs(30));
        now += Duration::from_secs(30);
        assert_eq!(pulse.admits(now), Admission::Probe);
        assert_eq!(pulse.answered(now, now), Turn::Up);
    }
}
