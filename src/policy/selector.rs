//! Whom a rule is about.

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
    kinds: Option<Vec<Kind>>,
    states: Option<Vec<State>>,
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

/// What a selector takes where the manifest says nothing.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// Kinds, where none are named; `None` is any kind, also one that this version does not know.
    pub kinds: Option<&'static [Kind]>,
    /// States, where none are named; `None` is any.
    pub states: Option<&'static [State]>,
    /// Whether hidden participants and forwarded copies are seen without `include`.
    pub sees_all: bool,
}

impl Defaults {
    /// For a rule that sets or mutes.
    pub const ACT: Self = Self { kinds: Some(&[Kind::Standard]), states: Some(&[State::Active]), sees_all: false };
    /// For a rule that removes: a participant must not get as far as Active.
    pub const REMOVE: Self = Self { kinds: Some(&[Kind::Standard]), states: None, sees_all: false };
    /// For an exception.
    pub const EXCEPT: Self = Self { kinds: None, states: None, sees_all: true };
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
            kinds: named_or(&spec.kinds, defaults.kinds),
            states: named_or(&spec.states, defaults.states),
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
            && self.kinds.is_none()
            && self.states.is_none()
            && self.publishing.is_empty()
            && self.joined_for.is_none()
    }

    /// Whether it matches a participant now. The cheap tests come first, the one that changes by itself last.
    #[must_use]
    pub fn matches(&self, participant: &Participant, now: Timestamp) -> Matching {
        let known = |kinds: &Vec<Kind>| participant.kind.is_some_and(|kind| kinds.contains(&kind));
        let holds = self.kinds.as_ref().is_none_or(known)
            && self.states.as_ref().is_none_or(|states| states.contains(&participant.state))
            && (self.hidden || !participant.permission.hidden)
            && (self.forwarded || !participant.forwarded)
            && self.identities.as_ref().is_none_or(|patterns| patterns.matches(&participant.identity))
            && self.names.as_ref().is_none_or(|patterns| patterns.matches(&participant.name))
            && self.attributes.iter().all(|test| test.holds(participant))
            && (self.publishing.is_empty() || self.publishes(participant))
            && self.metadata.as_ref().is_none_or(|patterns| patterns.matches(&participant.metadata));
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

fn named_or<T: Copy>(named: &[T], default: Option<&[T]>) -> Option<Vec<T>> {
    if named.is_empty() { default.map(Into::into) } else { Some(named.into()) }
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
