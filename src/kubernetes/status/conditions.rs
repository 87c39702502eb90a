//! Conditions, as `kubectl wait`, kstatus (sigs.k8s.io/cli-utils) and Flux read them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{
    api::{
        Outcome, Reason,
        condition::{OVERRIDDEN, OVERRIDDEN_REASON, READY, RECONCILING, STALLED},
    },
    policy::ObjectName,
};

/// The longest message that is written. The API server takes 32,768; who reads it takes less.
const LONGEST: usize = 4096;

/// What condition Ready is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ready {
    pub reason: Reason,
    pub message: String,
    /// Another object must change, so that Stalled would be wrong whatever the reason is.
    pub elsewhere: bool,
}

/// The conditions of an object. What has the same status as before keeps its time.
pub(super) fn conditions(
    ready: &Ready,
    overridden_by: Option<&ObjectName>,
    generation: i64,
    before: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let message: String = ready.message.chars().take(LONGEST).collect();
    let status = |holds: bool| if holds { "True" } else { "False" };
    let condition = |type_: &str, holds: bool, reason: &str, message: String| {
        let status = status(holds);
        let same = before.iter().find(|one| one.type_ == type_ && one.status == status);
        // Kubernetes writes times in whole seconds.
        let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
        Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: Some(generation),
            last_transition_time: same.map_or(now, |same| same.last_transition_time.clone()),
        }
    };
    let reason = ready.reason.as_str();
    let outcome = ready.reason.outcome();
    let mut conditions = vec![condition(READY, outcome == Outcome::Ready, reason, message.clone())];
    match outcome {
        Outcome::Ready => {}
        Outcome::Stalled if !ready.elsewhere => conditions.push(condition(STALLED, true, reason, message)),
        Outcome::Stalled | Outcome::Reconciling => conditions.push(condition(RECONCILING, true, reason, message)),
    }
    if let Some(winner) = overridden_by {
        let message = format!("RoomPolicy {winner} decides everything that this one speaks of.");
        conditions.push(condition(OVERRIDDEN, true, OVERRIDDEN_REASON, message));
    }
    conditions
}

/// Whether two lists say the same of our types, in whatever order.
pub(super) fn same(a: &[Condition], b: &[Condition]) -> bool {
    [READY, RECONCILING, STALLED, OVERRIDDEN].into_iter().all(|type_| {
        let of = |list: &[Condition]| list.iter().find(|one| one.type_ == type_).cloned();
        of(a) == of(b)
    })
}
