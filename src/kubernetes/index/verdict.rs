//! What the operator itself can say of an object, without asking the engine.

use crate::api::Reason;

/// What the operator itself can say of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its spec is what the engine works from, and the engine says what comes of it.
    Acts {
        /// What belongs into Ready's message beside that: limits of its access.
        notes: Vec<String>,
    },
    /// It is not in force as its spec stands.
    Held(Hold),
}

/// Why an object is not in force as its spec stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The reason of condition Ready.
    pub reason: Reason,
    /// What is concerned and what helps.
    pub message: String,
    /// Another object must change, so that this one is never Stalled: pipelines apply policies before servers.
    pub elsewhere: bool,
}

impl Verdict {
    /// The object itself is held.
    pub(super) fn held(reason: Reason, message: impl Into<String>) -> Self {
        Self::Held(Hold { reason, message: message.into(), elsewhere: false })
    }

    /// It is held by another object.
    pub(super) fn held_elsewhere(reason: Reason, message: impl Into<String>) -> Self {
        Self::Held(Hold { reason, message: message.into(), elsewhere: true })
    }

    /// The reason, where it is held.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Acts { .. } => None,
            Self::Held(hold) => Some(hold.reason),
        }
    }
}
