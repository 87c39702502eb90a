//! What the demo shows: everything that was done, counted and timed.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    api::condition::READY,
    engine::{Deed, Done},
    files::{Mistake, Told},
    kubernetes::status::Status,
};

/// Deeds that are kept to be shown.
const SHOWN: usize = 200;

/// All that has happened.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The last deeds, the newest first.
    pub(super) deeds: VecDeque<(Timestamp, Deed)>,
    /// How many there were.
    pub(super) count: u64,
    /// How long they took.
    pub(super) times: Times,
    /// What is wrong with the manifests now.
    pub(super) mistakes: Vec<Mistake>,
    /// When what is in force was read.
    pub(super) loaded: Option<Timestamp>,
    /// By kind, namespace and name: the reason of condition Ready.
    pub(super) reasons: BTreeMap<(&'static str, String), String>,
}

impl Ledger {
    /// Takes in what was done.
    pub(super) fn take_deed(&mut self, deed: Deed) {
        self.count += 1;
        if let Some(after) = deed.after {
            self.times.add(after);
        }
        self.deeds.push_front((Timestamp::now(), deed));
        self.deeds.truncate(SHOWN);
    }

    /// Takes in what was told of manifests.
    pub(super) fn take_told(&mut self, told: &Told) {
        match told {
            Told::Loaded { .. } => {
                self.mistakes.clear();
                self.loaded = Some(Timestamp::now());
            }
            Told::Broken { mistakes } => self.mistakes.clone_from(mistakes),
            Told::Gone { kind, namespace, name } => {
                self.reasons.remove(&(*kind, format!("{namespace}/{name}")));
            }
            Told::Status { kind, namespace, name, status, .. } => {
                let reason = ready_reason(status).unwrap_or_default();
                self.reasons.insert((kind, format!("{namespace}/{name}")), reason);
            }
        }
    }
}

fn ready_reason(status: &Status) -> Option<String> {
    let ready = status.conditions().iter().find(|condition| condition.type_ == READY)?;
    Some(ready.reason.clone())
}

/// Spans of time, counted by the hundredth of a millisecond, so that they take no memory for each.
#[derive(Debug, Default)]
pub(super) struct Times {
    counts: BTreeMap<u64, u64>,
    all: u64,
}

const STEP: Duration = Duration::from_micros(10);
/// What takes longer counts as this long.
const LONGEST: u64 = 6_000_000;

impl Times {
    fn add(&mut self, span: Duration) {
        let steps = u64::try_from(span.as_nanos() / STEP.as_nanos()).unwrap_or(LONGEST).min(LONGEST);
        *self.counts.entry(steps).or_default() += 1;
        self.all += 1;
    }

    /// The one in the middle.
    pub(super) fn median(&self) -> Option<Duration> {
        let mut left = self.all / 2;
        let middle = self.counts.iter().find(|(_, count)| {
            let here = left < **count;
            left = left.saturating_sub(**count);
            here
        });
        middle.map(|(steps, _)| span(*steps))
    }

    /// The longest.
    pub(super) fn slowest(&self) -> Option<Duration> {
        self.counts.last_key_value().map(|(steps, _)| span(*steps))
    }
}

fn span(steps: u64) -> Duration {
    STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

/// What was done, in words, and by whom.
pub(super) fn words(deed: &Deed) -> (String, String) {
    match &deed.what {
        Done::Removed(rule) => ("removed".to_owned(), rule_words(rule)),
        Done::Retired(id) => ("copy removed".to_owned(), id.to_string()),
        Done::Brought(id, to) => {
            let verb = match id.transport {
                crate::policy::Transport::Forward => "forwarded",
                crate::policy::Transport::Move => "moved",
            };
            (format!("{verb} to {to}"), id.name.name.to_string())
        }
        Done::Changed(decisions) => {
            let mut rules: Vec<_> = decisions.iter().map(|decision| rule_words(&decision.by)).collect();
            rules.dedup();
            let fields: Vec<_> = decisions
                .iter()
                .map(|decision| {
                    let field = decision.field.to_string();
                    let field =
                        field.strip_prefix("permission.").or(field.strip_prefix("attributes.")).unwrap_or(&field);
                    format!("{field}={}", decision.wanted)
                })
                .collect();
            (fields.join(" "), rules.join(" "))
        }
    }
}

/// A rule without its namespace, of which the demo has one.
fn rule_words(rule: &crate::policy::RuleName) -> String {
    format!("{}/{}", rule.policy.name, rule.rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_longest() {
        let mut times = Times::default();
        assert_eq!((times.median(), times.slowest()), (None, None));
        for millis in [3, 1, 2, 900, 2] {
            times.add(Duration::from_millis(millis));
        }
        assert_eq!(times.median(), Some(Duration::from_millis(2)));
        assert_eq!(times.slowest(), Some(Duration::from_millis(900)));
    }
}
