//! What time it is.

use std::time::Duration;

use governor::clock::Clock as Ticking;
use jiff::Timestamp;
use tokio::time::Instant;

/// The calendar, by which rules begin and end and sessions grow old.
///
/// The engine asks no other, so that a test can stop both this one and tokio's and let a day pass in a millisecond.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock(Option<(Timestamp, Instant)>);

impl Clock {
    /// The system's. Somebody may set it, backwards too.
    #[must_use]
    pub const fn system() -> Self {
        Self(None)
    }

    /// One that shows `start` now and then runs with tokio's clock.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self(Some((start, Instant::now())))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self.0 {
            None => Timestamp::now(),
            Some((start, since)) => start.checked_add(since.elapsed()).unwrap_or(Timestamp::MAX),
        }
    }

    /// How long it is until a moment; nothing of a moment that has passed.
    pub(super) fn until(&self, moment: Timestamp) -> Duration {
        Duration::try_from(moment.duration_since(self.now())).unwrap_or_default()
    }
}

/// Tokio's clock for governor, which brings clocks of its own that tests cannot stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks(Instant);

impl Ticks {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Ticking for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
