//! From verdicts and reports to the status of objects.

mod conditions;
mod desired;
mod events;
mod pace;
#[cfg(test)]
mod tests;
mod write;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

pub use desired::{Desired, desired};
pub(super) use events::tell_deeds;
pub(crate) use pace::{Decision, Memory};
pub use write::Writer;
pub(crate) use write::desired_of;

use crate::api::{LiveKitServerStatus, PolicyStatus};

/// The status of an object of one of our kinds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Status {
    /// Of a LiveKitServer.
    Server(LiveKitServerStatus),
    /// Of an object that governs rooms.
    Subject(PolicyStatus),
}

/// In what two statuses of an object differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// In nothing.
    None,
    /// In counts and samples.
    Counts,
    /// In what somebody may wait for.
    Conditions,
}

impl Status {
    /// Its conditions.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        match self {
            Self::Server(status) => &status.conditions,
            Self::Subject(status) => &status.conditions,
        }
    }

    /// Rooms in which copies of a forward may stand.
    fn destination_rooms(&self) -> &[String] {
        match self {
            Self::Server(_) => &[],
            Self::Subject(status) => &status.destination_rooms,
        }
    }

    /// Whether there is a room that only this status remembers.
    #[must_use]
    pub fn remembers_more_than(&self, other: &Self) -> bool {
        self.destination_rooms().iter().any(|room| !other.destination_rooms().contains(room))
    }

    fn observed(&self) -> (i64, Option<&str>) {
        match self {
            Self::Server(status) => (status.observed_generation, status.last_handled_reconcile_at.as_deref()),
            Self::Subject(status) => (status.observed_generation, status.last_handled_reconcile_at.as_deref()),
        }
    }

    /// In what it differs from another one.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Difference {
        if self.observed() != other.observed()
            || !conditions::same(self.conditions(), other.conditions())
            || self.destination_rooms() != other.destination_rooms()
        {
            return Difference::Conditions;
        }
        let same = match (self, other) {
            (Self::Server(a), Self::Server(b)) => {
                (a.features.as_ref(), a.rooms, a.participants, a.policies)
                    == (b.features.as_ref(), b.rooms, b.participants, b.policies)
            }
            (Self::Subject(a), Self::Subject(b)) => a.summary == b.summary && a.samples == b.samples,
            _ => false,
        };
        if same { Difference::None } else { Difference::Counts }
    }
}
