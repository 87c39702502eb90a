//! What time it is in a simulation.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A calendar that begins at some time and runs with tokio's clock, so that a test can stop it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Duration,
    since: Instant,
}

impl Clock {
    pub(super) fn starting_at(start: Option<SystemTime>) -> Self {
        let start = start.unwrap_or_else(SystemTime::now).duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start, since: Instant::now() }
    }

    pub(super) fn now(&self) -> Moment {
        let since = (self.start + self.since.elapsed()).as_micros();
        Moment(i64::try_from(since).unwrap_or(i64::MAX))
    }
}

/// A time of the simulation, in microseconds of Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(i64);

impl Moment {
    /// In microseconds of Unix time.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// In milliseconds of Unix time.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0 / 1000
    }

    /// In seconds of Unix time.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0 / 1_000_000
    }

    pub(super) fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long it is until then; nothing when it has passed.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or_default())
    }

    pub(super) fn system(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(u64::try_from(self.0).unwrap_or_default())
    }
}
