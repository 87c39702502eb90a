//! Whom a rule is about.

use std::hash::{Hash, Hasher};

use jiff::{SignedDuration, Timestamp};

use super::{
    participant::{Participant, Sources},
    pattern::Patterns,
    problem::{Path, Problems},
};
use crate::api::{AttributeMatch, Include, Kind, Match, State};

/// A compiled `match`, or one entry of an `except`.
#[derive(Clone, Debug)]
pub struct Selector {
    identities: Option<Patterns>,
    names: Option<Patterns>,
    metadata: Option<Patterns>,
    attributes: Vec<AttributeTest>,
    /// One bit a kind, so that most participants are passed over at once.
    kinds: u8,
    /// One bit a state.
    states: u8,
    publishing: Sources,
    joined_for: Option<SignedDuration>,
    hidden: bool,
    forwarded: bool,
}

/// A condition on one attribute.
#[derive(Clone, Debug)]
struct AttributeTest {
    key: Box<str>,
    wanted: AttributeValue,
}

#[derive(Clone, Debug)]
enum AttributeValue {
    Present,
    Absent,
    Among(Patterns),
}

/// Whether a selector matches a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It does not, and will from this moment if nothing else changes.
    From(Timestamp),
}

/// Every kind, also those that this version does not know.
const ANY_KIND: u8 = 0xff;
const ANY_STATE: u8 = 0b111;

const fn kind_bit(kind: Kind) -> u8 {
    1 << kind as u8
}

const fn state_bit(state: State) -> u8 {
    1 << state as u8
}

/// What a selector takes where the manifest says nothing.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// Kinds, where none are named; an empty list is any kind, also one that this version does not know.
    pub kinds: &'static [Kind],
    /// States, where none are named; an empty list is any.
    pub states: &'static [State],
    /// Whether hidden participants and forwarded copies are seen without `include`.
    pub sees_all: bool,
}

impl Defaults {
    /// For a rule that sets or mutes.
    pub const ACT: Self = Self { kinds: &[Kind::Standard], states: &[State::Active], sees_all: false };
    /// For a rule that removes: a participant must not get as far as Active.
    pub const REMOVE: Self = Self { kinds: &[Kind::Standard], states: &[], sees_all: false };
    /// For an exception.
    pub const EXCEPT: Self = Self { kinds: &[], states: &[], sees_all: true };
}

impl Selector {
    /// Compiles a `match` or an entry of `except`.
    pub fn compile(spec: &Match, defaults: Defaults, path: &Path<'_>, problems: &mut Problems) -> Self {
        let mut patterns =
            |list: &[_], field| (!list.is_empty()).then(|| Patterns::compile(list, &path.field(field), problems));
        Self {
            identities: patterns(&spec.identities, "identities"),
            names: patterns(&spec.names, "names"),
            metadata: patterns(&spec.metadata, "metadata"),
            attributes: attribute_tests(&spec.attributes, &path.field("attributes"), problems),
            kinds: mask(&spec.kinds, defaults.kinds, ANY_KIND, kind_bit),
            states: mask(&spec.states, defaults.states, ANY_STATE, state_bit),
            publishing: spec.publishing.iter().copied().collect(),
            joined_for: spec
                .joined_for
                .as_ref()
                .map(|duration| SignedDuration::try_from(duration.span()).unwrap_or(SignedDuration::MAX)),
            hidden: defaults.sees_all || spec.include.contains(&Include::Hidden),
            forwarded: defaults.sees_all || spec.include.contains(&Include::Forwarded),
        }
    }

    /// Whether it selects through what a participant with canUpdateMetadata may write itself.
    #[must_use]
    pub fn reads_self_asserted(&self) -> bool {
        self.names.is_some() || self.metadata.is_some() || !self.attributes.is_empty()
    }

    /// Whether it selects by who or what the participant says it is.
    #[must_use]
    pub fn is_personal(&self) -> bool {
        self.identities.is_some() || self.reads_self_asserted()
    }

    /// Whether nothing narrows it down.
    #[must_use]
    pub fn takes_everybody(&self) -> bool {
        !self.is_personal()
            && self.kinds == ANY_KIND
            && self.states == ANY_STATE
            && self.publishing.is_empty()
            && self.joined_for.is_none()
    }

    /// Whether it matches forwarded copies.
    pub(super) fn sees_copies(&self) -> bool {
        self.forwarded
    }

    /// Feeds a hasher with all that it reads and that may change within a session.
    pub(super) fn hash_selected(&self, participant: &Participant, hasher: &mut impl Hasher) {
        if self.reads_self_asserted() {
            participant.permission.can_update_metadata.hash(hasher);
        }
        self.names.is_some().then_some(&participant.name).hash(hasher);
        self.metadata.is_some().then_some(&participant.metadata).hash(hasher);
        for test in &self.attributes {
            participant.attributes.get(&*test.key).hash(hasher);
        }
        (!self.publishing.is_empty()).then(|| self.publishes(participant)).hash(hasher);
    }

    /// Whether it matches a participant now.
    #[must_use]
    pub fn matches(&self, participant: &Participant, now: Timestamp) -> Matching {
        match self.matches_whatever_is_asserted(participant, now) {
            Matching::No => Matching::No,
            _ if !self.asserted_matches(participant) => Matching::No,
            matching => matching,
        }
    }

    /// Whether it matches a participant now, or would if the participant had another name, metadata or attributes.
    #[must_use]
    pub(super) fn matches_whatever_is_asserted(&self, participant: &Participant, now: Timestamp) -> Matching {
        // A kind that this version does not know has no bit of its own.
        let kind = participant.kind.map_or(1 << 7, kind_bit);
        let holds = self.kinds & kind != 0
            && self.states & state_bit(participant.state) != 0
            && (self.hidden || !participant.permission.hidden)
            && (self.forwarded || !participant.forwarded)
            && self.identities.as_ref().is_none_or(|patterns| patterns.matches(&participant.identity))
            && (self.publishing.is_empty() || self.publishes(participant));
        match self.joined_for {
            _ if !holds => Matching::No,
            None => Matching::Yes,
            Some(age) => match participant.joined_at.checked_add(age) {
                Ok(from) if from <= now => Matching::Yes,
                Ok(from) => Matching::From(from),
                Err(_) => Matching::No,
            },
        }
    }

    fn asserted_matches(&self, participant: &Participant) -> bool {
        self.attributes.iter().all(|test| test.holds(participant))
            && self.names.as_ref().is_none_or(|patterns| patterns.matches(&participant.name))
            && self.metadata.as_ref().is_none_or(|patterns| patterns.matches(&participant.metadata))
    }

    fn publishes(&self, participant: &Participant) -> bool {
        participant.tracks.iter().filter_map(|track| track.source()).any(|source| self.publishing.contains(source))
    }
}

impl AttributeTest {
    fn holds(&self, participant: &Participant) -> bool {
        let value = participant.attributes.get(&*self.key);
        match &self.wanted {
            AttributeValue::Present => value.is_some(),
            AttributeValue::Absent => value.is_none(),
            AttributeValue::Among(patterns) => value.is_some_and(|value| patterns.matches(value)),
        }
    }
}

/// The bits of what is named, or else of the default, or else of anything.
fn mask<T: Copy>(named: &[T], default: &[T], any: u8, bit: fn(T) -> u8) -> u8 {
    let bits = |list: &[T]| list.iter().fold(0, |mask, one| mask | bit(*one));
    match (named, default) {
        ([], []) => any,
        ([], default) => bits(default),
        (named, _) => bits(named),
    }
}

fn attribute_tests(specs: &[AttributeMatch], path: &Path<'_>, problems: &mut Problems) -> Vec<AttributeTest> {
    let mut tests = Vec::with_capacity(specs.len());
    for (index, spec) in specs.iter().enumerate() {
        let path = path.index(index);
        let wanted = match (spec.values.as_slice(), spec.absent) {
            ([], Some(true)) => AttributeValue::Absent,
            ([], None | Some(false)) => AttributeValue::Present,
            (_, Some(true)) => {
                problems.add(&path.field("absent"), "contradicts values: keep one of the two");
                continue;
            }
            (values, _) => AttributeValue::Among(Patterns::compile(values, &path.field("values"), problems)),
        };
        tests.push(AttributeTest { key: spec.key.as_str().into(), wanted });
    }
    tests
}
