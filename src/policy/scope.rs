//! Whom something is about: a selector, its exceptions, and what a participant must not achieve by what it says of
//! itself.

use std::hash::Hasher;

use jiff::Timestamp;

use super::{
    participant::Participant,
    problem::{Path, Problems},
    selector::{Defaults, Matching, Selector},
    smaller,
};
use crate::api::{Except, Match};

/// A compiled `match` with its `except`: of a rule, or of the source of a forward or a move.
#[derive(Clone, Debug)]
pub struct Scope {
    selector: Selector,
    except: Vec<Selector>,
    guard: Guard,
}

/// What a participant must not achieve by writing its own name, metadata and attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// To get in, because there is something to be had.
    pub entry: bool,
    /// To get out, because something is taken away.
    pub exit: bool,
}

impl Scope {
    /// Compiles a `match`, which may be left out, and an `except`.
    pub fn compile(
        selector: Option<&Match>,
        except: &[Except],
        defaults: Defaults,
        guard: Guard,
        path: &Path<'_>,
        problems: &mut Problems,
    ) -> Self {
        let none = Match::default();
        let selector = Selector::compile(selector.unwrap_or(&none), defaults, &path.field("match"), problems);
        let excepts = path.field("except");
        let except = (except.iter().enumerate())
            .map(|(index, except)| {
                let path = excepts.index(index);
                let except = Selector::compile(except, Defaults::EXCEPT, &path, problems);
                if except.takes_everybody() {
                    problems.add(&path, "would take everybody out: name whom it is for");
                }
                except
            })
            .collect();
        Self { selector, except, guard }
    }

    /// Whether it is narrowed down to participants by what they are called or say of themselves.
    #[must_use]
    pub fn is_personal(&self) -> bool {
        self.selector.is_personal()
    }

    /// Whether forwarded copies can be in it.
    #[must_use]
    pub(super) fn sees_copies(&self) -> bool {
        self.selector.sees_copies()
    }

    /// Feeds a hasher with all that it reads and that may change within a session.
    pub(super) fn hash_selected(&self, participant: &Participant, hasher: &mut impl Hasher) {
        for selector in std::iter::once(&self.selector).chain(&self.except) {
            selector.hash_selected(participant, hasher);
        }
    }

    /// Whether a participant is in it now, and when that changes by itself.
    #[must_use]
    pub fn contains(&self, participant: &Participant, now: Timestamp) -> (bool, Option<Timestamp>) {
        // Self-asserted data never works in a participant's own favour.
        let may_write = participant.permission.can_update_metadata;
        if may_write && self.guard.entry && self.selector.reads_self_asserted() {
            return (false, None);
        }
        let matching = self.selector.matches(participant, now);
        if matching == Matching::No {
            return (false, None);
        }
        let mut escape: Option<Timestamp> = None;
        for except in &self.except {
            let except = match self.guard {
                _ if !may_write || !except.reads_self_asserted() => except.matches(participant, now),
                Guard { exit: true, .. } => continue,
                // Whoever could write itself out of the exception counts as excepted, or it would write itself in.
                Guard { entry: true, .. } => except.matches_whatever_is_asserted(participant, now),
                Guard { .. } => except.matches(participant, now),
            };
            match except {
                Matching::Yes => return (false, None),
                Matching::No => {}
                Matching::From(moment) => escape = smaller(escape, Some(moment)),
            }
        }
        match matching {
            Matching::From(moment) if escape.is_some_and(|escape| escape <= moment) => (false, None),
            Matching::From(moment) => (false, Some(moment)),
            Matching::Yes | Matching::No => (true, escape),
        }
    }
}
