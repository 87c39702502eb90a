//! What goes wrong on demand.

use std::{collections::HashMap, ops::RangeInclusive, time::Duration};

use super::service::{Answer, Call, Method, Refusal};

/// The most listings that a stale server remembers.
const MOST_REMEMBERED: usize = 10_000;

/// A fault, and which calls it befalls.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Calls of this method; none is all.
    pub method: Option<Method>,
    /// Calls about this room; none is all.
    pub room: Option<String>,
    /// How likely it befalls such a call: 1 is always.
    pub chance: f64,
    /// How many calls it befalls before it is over; none is without end.
    pub times: Option<u32>,
    /// What happens to them.
    pub effect: Effect,
}

/// What happens to a call.
#[derive(Clone, Debug)]
pub enum Effect {
    /// It is acted upon some time later.
    Latency(RangeInclusive<Duration>),
    /// It is acted upon at once and answered some time later.
    SlowAnswer(RangeInclusive<Duration>),
    /// It is answered with a Twirp error and not acted upon.
    Refused(Refusal),
    /// It is answered with a bare status, as by a proxy, and not acted upon: 429, 502, …
    Status {
        /// The status.
        status: u16,
        /// The header Retry-After, in seconds.
        retry_after: Option<u32>,
    },
    /// Its connection is cut without an answer.
    Cut {
        /// After it was acted upon.
        acted_upon: bool,
    },
    /// It is never answered, nor acted upon.
    Hangs,
    /// A listing is answered as it was the first time it was asked for under this fault. Other calls are untouched.
    StaleListing,
}

impl Fault {
    /// This effect on every call.
    #[must_use]
    pub fn always(effect: Effect) -> Self {
        Self { method: None, room: None, chance: 1.0, times: None, effect }
    }

    /// The same on calls of this method only.
    #[must_use]
    pub fn on(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// The same on calls about this room only.
    #[must_use]
    pub fn in_room(mut self, room: &str) -> Self {
        self.room = Some(room.to_owned());
        self
    }

    /// The same on so many calls only.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// The same on some calls only, as chance has it.
    #[must_use]
    pub fn with_chance(mut self, chance: f64) -> Self {
        self.chance = chance;
        self
    }

    fn befalls(&self, call: &Call) -> bool {
        self.times != Some(0)
            && self.method.is_none_or(|method| method == call.method())
            && self.room.as_deref().is_none_or(|room| call.room() == Some(room))
    }
}

/// How webhooks go wrong: each chance is for one event, before LiveKit's own queue.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookFaults {
    /// It is lost.
    pub lost: f64,
    /// It comes twice.
    pub doubled: f64,
    /// It comes later, and so perhaps after others.
    pub late: f64,
    /// How much later.
    pub delay: RangeInclusive<Duration>,
    /// It comes after the next one.
    pub swapped: f64,
}

impl Default for WebhookFaults {
    fn default() -> Self {
        Self { lost: 0.0, doubled: 0.0, late: 0.0, delay: Duration::ZERO..=Duration::ZERO, swapped: 0.0 }
    }
}

/// The faults in force.
#[derive(Debug, Default)]
pub(super) struct Faults {
    faults: Vec<Fault>,
    remembered: HashMap<Option<String>, Answer>,
}

/// What befalls one call.
#[derive(Debug, Default)]
pub(super) struct Plight {
    pub(super) before: Duration,
    pub(super) after: Duration,
    /// The first that is more than a delay.
    pub(super) effect: Option<Effect>,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn heal(&mut self) {
        *self = Self::default();
    }

    pub(super) fn plight(&mut self, call: &Call, chance: &mut fastrand::Rng) -> Plight {
        let mut plight = Plight::default();
        for fault in self.faults.iter_mut().filter(|fault| fault.befalls(call)) {
            if fault.chance < 1.0 && chance.f64() >= fault.chance {
                continue;
            }
            match &fault.effect {
                Effect::Latency(range) => plight.before += within(range, chance),
                Effect::SlowAnswer(range) => plight.after += within(range, chance),
                _ if plight.effect.is_some() => continue,
                effect => plight.effect = Some(effect.clone()),
            }
            fault.times = fault.times.map(|times| times.saturating_sub(1));
        }
        self.faults.retain(|fault| fault.times != Some(0) || matches!(fault.effect, Effect::StaleListing));
        plight
    }

    /// A listing as it was: of one room, or of all.
    pub(super) fn remember(&mut self, room: Option<String>, answer: Answer) -> Answer {
        if self.remembered.len() >= MOST_REMEMBERED && !self.remembered.contains_key(&room) {
            return answer;
        }
        self.remembered.entry(room).or_insert(answer).clone()
    }
}

pub(super) fn within(range: &RangeInclusive<Duration>, chance: &mut fastrand::Rng) -> Duration {
    let spread = range.end().saturating_sub(*range.start());
    *range.start() + spread.mul_f64(chance.f64())
}
