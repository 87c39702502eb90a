//! How much may be asked of a server now.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use tokio::time::Instant;

use super::{
    queue::Urgency,
    view::{Limits, Rate},
};

/// Counts requests against the limits of one server. Resync gets half of the rate at most, so that it never starves
/// joins of it.
pub(super) struct Budget {
    limits: Limits,
    all: Option<DefaultDirectRateLimiter>,
    resync: Option<DefaultDirectRateLimiter>,
    in_flight: usize,
}

/// Whether a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// Now. It has been counted.
    Now,
    /// Not before this moment.
    At(Instant),
    /// Not before another one has ended.
    WhenOneEnds,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Self {
        let limiter = |rate: Rate| RateLimiter::direct(Quota::per_second(rate.per_second).allow_burst(rate.burst));
        let halved = |rate: Rate| Rate { per_second: half(rate.per_second), burst: half(rate.burst) };
        Self { limits, all: limits.rate.map(limiter), resync: limits.rate.map(halved).map(limiter), in_flight: 0 }
    }

    /// Takes other limits; what is under way stays counted.
    pub(super) fn set(&mut self, limits: Limits) {
        if limits != self.limits {
            *self = Self { in_flight: self.in_flight, ..Self::new(limits) };
        }
    }

    /// Asks for one request.
    pub(super) fn ask(&mut self, urgency: Urgency) -> Grant {
        if self.in_flight >= self.limits.max_in_flight {
            return Grant::WhenOneEnds;
        }
        let own = if urgency == Urgency::Resync { self.resync.as_ref() } else { None };
        for limiter in own.into_iter().chain(&self.all) {
            if let Err(wait) = limiter.check() {
                let wait = wait.wait_time_from(DefaultClock::default().now());
                return Grant::At(Instant::now() + wait.max(Duration::from_millis(1)));
            }
        }
        self.in_flight += 1;
        Grant::Now
    }

    /// Says that a request has ended.
    pub(super) fn ended(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}

fn half(number: NonZeroU32) -> NonZeroU32 {
    NonZeroU32::new(number.get() / 2).unwrap_or(NonZeroU32::MIN)
}
