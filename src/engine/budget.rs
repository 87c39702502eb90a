//! How much may be asked of a server now.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use tokio::time::Instant;

use super::{
    clock::Ticks,
    queue::Urgency,
    view::{Limits, Rate},
};

type Limiter = RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>;

/// Counts requests against the limits of one server. Resync gets half of them at most, the other half waits for joins.
pub(super) struct Budget {
    limits: Limits,
    all: Option<Limiter>,
    resync: Option<Limiter>,
    /// Resync's own half has let a request through that the whole then held up.
    let_through: bool,
    /// Nothing more before this moment.
    spent_until: Option<Instant>,
    /// No more resync before this moment.
    resync_spent_until: Option<Instant>,
    in_flight: usize,
    resync_in_flight: usize,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Self {
        let limiter = |rate: Rate| {
            let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
            RateLimiter::direct_with_clock(quota, Ticks::new())
        };
        Self {
            limits,
            all: limits.rate.map(limiter),
            resync: limits.rate.map(halved).map(limiter),
            let_through: false,
            spent_until: None,
            resync_spent_until: None,
            in_flight: 0,
            resync_in_flight: 0,
        }
    }

    /// Takes other limits; what is under way stays counted.
    pub(super) fn set(&mut self, limits: Limits) {
        if limits != self.limits {
            let Self { in_flight, resync_in_flight, .. } = *self;
            *self = Self { in_flight, resync_in_flight, ..Self::new(limits) };
        }
    }

    /// The least urgent work that is worth a try now; `None` where nothing is.
    pub(super) fn least(&self, now: Instant) -> Option<Urgency> {
        let is_spent = |until: Option<Instant>| until.is_some_and(|until| until > now);
        if self.in_flight >= self.limits.max_in_flight || is_spent(self.spent_until) {
            None
        } else if self.resync_in_flight >= self.resync_places() || is_spent(self.resync_spent_until) {
            Some(Urgency::Change)
        } else {
            Some(Urgency::Resync)
        }
    }

    /// When more may be asked, if that is a matter of time.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        [self.spent_until, self.resync_spent_until].into_iter().flatten().filter(|until| *until > now).min()
    }

    /// Takes one request out of the budget; false where it has none.
    pub(super) fn take(&mut self, urgency: Urgency, now: Instant) -> bool {
        if self.least(now).is_none_or(|least| urgency > least) {
            return false;
        }
        let is_resync = urgency == Urgency::Resync;
        if is_resync && !self.let_through {
            self.resync_spent_until = self.resync.as_ref().and_then(|limiter| denied_until(limiter, now));
            if self.resync_spent_until.is_some() {
                return false;
            }
            self.let_through = true;
        }
        self.spent_until = self.all.as_ref().and_then(|limiter| denied_until(limiter, now));
        if self.spent_until.is_some() {
            return false;
        }
        self.in_flight += 1;
        if is_resync {
            self.let_through = false;
            self.resync_in_flight += 1;
        }
        true
    }

    /// How many requests a second resync may have; `None` for no limit.
    pub(super) fn resync_rate(&self) -> Option<NonZeroU32> {
        self.limits.rate.map(|rate| halved(rate).per_second)
    }

    /// Says that a request has ended.
    pub(super) fn ended(&mut self, urgency: Urgency) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if urgency == Urgency::Resync {
            self.resync_in_flight = self.resync_in_flight.saturating_sub(1);
        }
    }

    fn resync_places(&self) -> usize {
        (self.limits.max_in_flight / 2).max(1)
    }
}

/// Takes one from a limiter, or says when there will be one.
fn denied_until(limiter: &Limiter, now: Instant) -> Option<Instant> {
    let denial = limiter.check().err()?;
    Some(now + denial.wait_time_from(limiter.clock().now()).max(Duration::from_millis(1)))
}

fn halved(rate: Rate) -> Rate {
    let half = |number: NonZeroU32| NonZeroU32::new(number.get() / 2).unwrap_or(NonZeroU32::MIN);
    Rate { per_second: half(rate.per_second), burst: half(rate.burst) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(per_second: u32, max_in_flight: usize) -> Budget {
        let number = |number| NonZeroU32::new(number).unwrap();
        let rate = Some(Rate { per_second: number(per_second), burst: number(per_second) });
        Budget::new(Limits { rate, max_in_flight })
    }

    fn take_all(budget: &mut Budget, urgency: Urgency) -> u32 {
        (0..).find(|_| !budget.take(urgency, Instant::now())).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn resync_leaves_half_to_joins() {
        let mut budget = budget(10, 100);
        assert_eq!(take_all(&mut budget, Urgency::Resync), 5);
        assert_eq!(budget.least(Instant::now()), Some(Urgency::Change));
        assert_eq!(take_all(&mut budget, Urgency::Join), 5);
        assert_eq!(budget.least(Instant::now()), None);
        let (mut joins, mut resyncs) = (0, 0);
        for _ in 0..10_000 {
            tokio::time::advance(Duration::from_millis(1)).await;
            resyncs += u32::from(budget.take(Urgency::Resync, Instant::now()));
            budget.in_flight = 0;
            budget.resync_in_flight = 0;
            joins += u32::from(budget.take(Urgency::Join, Instant::now()));
        }
        assert!((45..=50).contains(&resyncs) && (99..=101).contains(&(joins + resyncs)), "{joins} {resyncs}");
    }

    #[tokio::test(start_paused = true)]
    async fn hanging_resync_leaves_places_to_joins() {
        let mut budget = budget(1000, 4);
        assert_eq!(take_all(&mut budget, Urgency::Resync), 2);
        assert_eq!(take_all(&mut budget, Urgency::Join), 2);
        budget.ended(Urgency::Resync);
        assert_eq!(budget.least(Instant::now()), Some(Urgency::Resync));
    }

    #[tokio::test(start_paused = true)]
    async fn a_spent_budget_says_when_to_come_back() {
        let mut budget = budget(4, 100);
        assert_eq!(take_all(&mut budget, Urgency::Join), 4);
        let next = budget.next(Instant::now()).unwrap();
        assert_eq!(next.duration_since(Instant::now()), Duration::from_millis(250));
        tokio::time::sleep_until(next).await;
        assert_eq!(take_all(&mut budget, Urgency::Join), 1);
    }
}
