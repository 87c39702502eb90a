//! Which policies speak in a room, and in what order.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    field::ObjectName,
    pattern::Patterns,
    rule::{Effect, OnceKey, Policy},
    smaller,
};
use crate::api::Mode;

/// All objects that govern rooms of one server, found by room without looking at those that do not match.
#[derive(Debug, Default)]
pub struct PolicySet {
    members: Vec<Member>,
    unknown: Vec<Unknown>,
    index: Index,
}

/// A policy and how far it may reach.
#[derive(Clone, Debug)]
pub struct Member {
    /// The policy.
    pub policy: Arc<Policy>,
    /// Where it may act.
    pub reach: Reach,
}

/// Where the objects of a namespace may act on a server.
#[derive(Clone, Debug)]
pub enum Reach {
    /// In every room: the namespace is the server's own.
    Home,
    /// In the rooms that the server's `access` grants.
    Granted(Arc<[Grant]>),
}

/// One entry of a server's `access`, for a namespace that it covers.
#[derive(Debug)]
pub struct Grant {
    /// The rooms.
    pub rooms: Patterns,
    /// What a priority counts as at most.
    pub max_priority: i32,
}

/// An object whose meaning is not known and never was: it may say anything in the rooms its namespace may govern.
#[derive(Clone, Debug)]
pub struct Unknown {
    /// Which object it is.
    pub name: ObjectName,
    /// Its priority where that much can be read.
    pub priority: Option<i32>,
    /// Where it may act.
    pub reach: Reach,
}

/// A policy's place in the line of a room; the smaller speaks first.
///
/// There is no time in it: the same manifests mean the same everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    priority: Reverse<i32>,
    foreign: bool,
    name: ObjectName,
}

impl Place {
    /// Which object stands there.
    #[must_use]
    pub fn name(&self) -> &ObjectName {
        &self.name
    }
}

impl Reach {
    /// Whether a room is within it.
    #[must_use]
    pub fn covers(&self, room: &str) -> bool {
        self.limit_in(room).is_some()
    }

    /// The most that a priority counts for in a room; `None` where objects of the namespace may not act.
    fn limit_in(&self, room: &str) -> Option<i32> {
        match self {
            Self::Home => Some(i32::MAX),
            Self::Granted(grants) => {
                grants.iter().filter(|grant| grant.rooms.matches(room)).map(|grant| grant.max_priority).max()
            }
        }
    }

    pub(super) fn place(&self, room: &str, priority: i32, name: &ObjectName) -> Option<Place> {
        let priority = Reverse(priority.min(self.limit_in(room)?));
        Some(Place { priority, foreign: matches!(self, Self::Granted(_)), name: name.clone() })
    }
}

impl PolicySet {
    /// Arranges policies for lookup. Their order is irrelevant; suspended ones are left out.
    #[must_use]
    pub fn new(mut members: Vec<Member>, unknown: Vec<Unknown>) -> Self {
        members.retain(|member| !member.policy.suspended);
        let mut index = Index::default();
        for (number, member) in members.iter().enumerate() {
            index.add(number, &member.policy.rooms);
        }
        Self { members, unknown, index }
    }

    /// The policies that are not suspended, in no order.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The line of rules in a room; `None` where no policy matches, so that nobody needs to look at the room at all.
    #[must_use]
    pub fn line(&self, room: &str) -> Option<Line> {
        let mut present: Vec<Standing> = (self.index.candidates(room).into_iter())
            .map(|number| &self.members[number])
            .filter(|member| member.policy.rooms.matches(room))
            .filter_map(|Member { policy, reach }| {
                let place = reach.place(room, policy.priority, &policy.name)?;
                Some(Standing { place, policy: Arc::clone(policy) })
            })
            .collect();
        if present.is_empty() {
            return None;
        }
        present.sort_unstable_by(|a, b| a.place.cmp(&b.place));
        let audited = (present.iter())
            .filter(|one| one.policy.mode == Mode::Audit)
            .map(|audited| {
                let together = |other: &&Standing| other.policy.mode == Mode::Enforce || other.place == audited.place;
                let members: Vec<_> = present.iter().filter(together).cloned().collect();
                let subject = members.iter().position(|member| member.place == audited.place).unwrap_or_default();
                AuditedLine { members, subject }
            })
            .collect();
        present.retain(|one| one.policy.mode == Mode::Enforce);
        let unknown = self
            .unknown
            .iter()
            .filter_map(|unknown| unknown.reach.place(room, unknown.priority.unwrap_or(i32::MAX), &unknown.name));
        Some(Line { enforced: present, audited, unknown_from: unknown.min() })
    }

    /// Every OncePerTrack effect of the set.
    #[must_use]
    pub fn once_keys(&self) -> HashSet<OnceKey> {
        let rules = self.members.iter().flat_map(|member| &member.policy.rules);
        rules
            .filter_map(|rule| match &rule.effect {
                Effect::Shape(shape) => shape.mute?.state.once(),
                Effect::Remove { .. } => None,
            })
            .collect()
    }
}

/// A policy at its place in a line.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its place.
    pub place: Place,
    /// The policy.
    pub policy: Arc<Policy>,
}

/// What holds in one room; by default nothing.
#[derive(Debug, Default)]
pub struct Line {
    /// The enforced policies, in order.
    pub enforced: Vec<Standing>,
    /// A line for each audited policy: the enforced ones and itself.
    pub audited: Vec<AuditedLine>,
    /// From this place on, nothing may be removed: somebody who is not understood might have said `keep`.
    pub unknown_from: Option<Place>,
}

/// The enforced policies and an audited one, in order.
#[derive(Debug)]
pub struct AuditedLine {
    /// The policies.
    pub members: Vec<Standing>,
    /// Which of them is audited.
    pub subject: usize,
}

impl Line {
    /// The next moment at which a rule of the line begins or ends to exist.
    #[must_use]
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let audited = self.audited.iter().map(|line| &line.members[line.subject]);
        let rules = self.enforced.iter().chain(audited).flat_map(|standing| &standing.policy.rules);
        rules
            .flat_map(|rule| [rule.active_from, rule.active_until])
            .flatten()
            .filter(|moment| *moment > now)
            .fold(None, |next, moment| smaller(next, Some(moment)))
    }
}

/// Finds the objects that may match a room without asking each.
#[derive(Debug, Default)]
pub(super) struct Index {
    exact: HashMap<Box<str>, Vec<usize>>,
    /// By what the names of their rooms begin with.
    stems: HashMap<Box<str>, Vec<usize>>,
    /// The lengths of the stems in bytes, rising: few, however many policies there are.
    lengths: Vec<usize>,
}

impl Index {
    pub(super) fn add(&mut self, number: usize, rooms: &Patterns) {
        for room in rooms.exact() {
            self.exact.entry(room.into()).or_default().push(number);
        }
        for stem in rooms.stems() {
            self.stems.entry(stem.into()).or_default().push(number);
            if let Err(place) = self.lengths.binary_search(&stem.len()) {
                self.lengths.insert(place, stem.len());
            }
        }
    }

    pub(super) fn candidates(&self, room: &str) -> Vec<usize> {
        let stems = self.lengths.iter().filter_map(|length| self.stems.get(room.get(..*length)?));
        let mut found: Vec<usize> = self.exact.get(room).into_iter().chain(stems).flatten().copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}
