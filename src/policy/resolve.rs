//! Who decides which field of a participant: the first rule in the line that speaks of it.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    field::{Decision, Field, Flag, RuleName, Value},
    line::Standing,
    participant::{ALL_SOURCES, Participant, Publishing, number},
    rule::{Effect, Mute, MuteState, Rule, Shape},
    smaller,
};
use crate::api::Source;

/// Where a rule stands in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The policy's number in the line.
    pub member: usize,
    /// The rule's number in the policy.
    pub rule: usize,
}

/// What became of one policy of the line for one participant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// One of its rules matched.
    pub matched: bool,
    /// It decided a field.
    pub decided: bool,
    /// It spoke of a field that this policy, by its number, had decided.
    pub overruled_by: Option<usize>,
}

const PRESENCE: usize = 0;
const PUBLISHING: usize = 1;
const NAME: usize = 2;
const METADATA: usize = 3;
const FLAGS: usize = 4;
const MUTES: usize = FLAGS + Flag::ALL.len();
const FIELDS: usize = MUTES + ALL_SOURCES.len();

/// Resolves participants one after the other; keeps its memory, so that a resolution needs none of its own.
#[derive(Debug, Default)]
pub struct Resolver {
    fields: [Option<At>; FIELDS],
    /// Who decided which attribute, and its number in the rule's list.
    attributes: Vec<(At, usize)>,
    parts: Vec<Part>,
    next_change: Option<Timestamp>,
}

/// Who decides what about one participant.
#[derive(Clone, Copy, Debug)]
pub struct Resolution<'a> {
    found: &'a Resolver,
    line: &'a [Standing],
}

impl Resolver {
    /// Lets every rule of a line speak about a participant.
    pub fn resolve<'a>(
        &'a mut self,
        line: &'a [Standing],
        participant: &Participant,
        now: Timestamp,
    ) -> Resolution<'a> {
        self.fields = [None; FIELDS];
        self.attributes.clear();
        self.parts.clear();
        self.parts.resize(line.len(), Part::default());
        self.next_change = None;
        for (member, standing) in line.iter().enumerate() {
            for (number, rule) in standing.policy.rules.iter().enumerate() {
                if !rule.is_active(now) {
                    continue;
                }
                let (applies, changes) = rule.applies(participant, now);
                self.next_change = smaller(self.next_change, changes);
                if applies {
                    self.parts[member].matched = true;
                    self.hear(At { member, rule: number }, rule, line);
                }
            }
        }
        Resolution { found: self, line }
    }

    fn hear(&mut self, at: At, rule: &Rule, line: &[Standing]) {
        let shape = match &rule.effect {
            Effect::Remove { .. } => return self.claim(PRESENCE, at),
            Effect::Shape(shape) => shape,
        };
        if shape.keep {
            self.claim(PRESENCE, at);
        }
        if shape.publishing.is_some() {
            self.claim(PUBLISHING, at);
        }
        for flag in Flag::ALL {
            if shape.flags[flag.index()].is_some() {
                self.claim(FLAGS + flag.index(), at);
            }
        }
        if shape.name.is_some() {
            self.claim(NAME, at);
        }
        if shape.metadata.is_some() {
            self.claim(METADATA, at);
        }
        if let Some(Mute { sources, .. }) = shape.mute {
            for (number, source) in ALL_SOURCES.into_iter().enumerate() {
                if sources.contains(source) {
                    self.claim(MUTES + number, at);
                }
            }
        }
        for (number, (key, _)) in shape.attributes.iter().enumerate() {
            let same_key =
                |(at, number): &&(At, usize)| attribute(line, *at, *number).is_some_and(|(other, _)| other == key);
            let earlier = self.attributes.iter().find(same_key);
            match earlier.map(|(at, _)| *at) {
                None => {
                    self.attributes.push((at, number));
                    self.parts[at.member].decided = true;
                }
                Some(winner) => self.overrule(at, winner),
            }
        }
    }

    fn claim(&mut self, field: usize, at: At) {
        match self.fields[field] {
            None => {
                self.fields[field] = Some(at);
                self.parts[at.member].decided = true;
            }
            Some(winner) => self.overrule(at, winner),
        }
    }

    fn overrule(&mut self, loser: At, winner: At) {
        if loser.member != winner.member {
            self.parts[loser.member].overruled_by.get_or_insert(winner.member);
        }
    }
}

/// A shape at a place in a line. Asked only for places whose rule shapes.
fn shape(line: &[Standing], at: At) -> Option<&Shape> {
    match &line[at.member].policy.rules[at.rule].effect {
        Effect::Shape(shape) => Some(shape),
        Effect::Remove { .. } => None,
    }
}

fn attribute(line: &[Standing], at: At, number: usize) -> Option<&(Arc<str>, Option<Arc<str>>)> {
    shape(line, at)?.attributes.get(number)
}

impl<'a> Resolution<'a> {
    /// What became of each policy of the line.
    #[must_use]
    pub fn parts(&self) -> &'a [Part] {
        &self.found.parts
    }

    /// The next moment at which a rule begins or ends to match by itself.
    #[must_use]
    pub fn next_change(&self) -> Option<Timestamp> {
        self.found.next_change
    }

    /// Whether the participant shall go, and who says so.
    #[must_use]
    pub fn removal(&self) -> Option<(At, bool)> {
        let at = self.found.fields[PRESENCE]?;
        match self.line[at.member].policy.rules[at.rule].effect {
            Effect::Remove { revoke_tokens } => Some((at, revoke_tokens)),
            Effect::Shape(_) => None,
        }
    }

    /// What a field of the shape shall be, and who says so.
    fn shaped<T>(&self, field: usize, of: impl FnOnce(&'a Shape) -> Option<T>) -> Option<(At, T)> {
        let at = self.found.fields[field]?;
        Some((at, of(shape(self.line, at)?)?))
    }

    /// What the participant may publish, and who says so.
    #[must_use]
    pub fn publishing(&self) -> Option<(At, Publishing)> {
        self.shaped(PUBLISHING, |shape| shape.publishing)
    }

    /// What a bit of the permission shall be, and who says so.
    #[must_use]
    pub fn flag(&self, flag: Flag) -> Option<(At, bool)> {
        self.shaped(FLAGS + flag.index(), |shape| shape.flags[flag.index()])
    }

    /// What the display name shall be, and who says so.
    #[must_use]
    pub fn name(&self) -> Option<(At, &'a Arc<str>)> {
        self.shaped(NAME, |shape| shape.name.as_ref())
    }

    /// What the metadata shall be, and who says so.
    #[must_use]
    pub fn metadata(&self) -> Option<(At, &'a Arc<str>)> {
        self.shaped(METADATA, |shape| shape.metadata.as_ref())
    }

    /// What tracks of a source shall be, and who says so.
    #[must_use]
    pub fn mute(&self, source: Source) -> Option<(At, MuteState)> {
        let number = usize::from(number(source)) - 1;
        self.shaped(MUTES + number, |shape| shape.mute.map(|mute| mute.state))
    }

    /// What attributes shall be, `None` for one that shall not be there, and who says so.
    pub fn attributes(&self) -> impl Iterator<Item = (At, &'a Arc<str>, Option<&'a Arc<str>>)> + use<'a> {
        let line = self.line;
        self.found.attributes.iter().filter_map(move |(at, number)| {
            let (key, value) = attribute(line, *at, *number)?;
            Some((*at, key, value.as_ref()))
        })
    }

    /// The place of a rule's policy in the line.
    #[must_use]
    pub fn standing(&self, at: At) -> &'a Standing {
        &self.line[at.member]
    }

    /// Everything that is decided, whether it is so already or not, by field.
    #[must_use]
    pub fn decisions(&self, participant: &Participant, now: Timestamp) -> Vec<Decision> {
        let text = |value: &str| Value::Text(value.into());
        let mut decided = Vec::new();
        if let Some(at) = self.found.fields[PRESENCE] {
            let wanted = self.removal().map_or(Value::Kept, |(_, revoke_tokens)| Value::Removed { revoke_tokens });
            decided.push((at, Field::Presence, wanted, Value::Kept));
        }
        if let Some((at, wanted)) = self.publishing() {
            let seen = Value::Publishing(participant.permission.publishing());
            decided.push((at, Field::Publishing, Value::Publishing(wanted), seen));
        }
        for flag in Flag::ALL {
            let Some((at, wanted)) = self.flag(flag) else { continue };
            decided.push((at, Field::Flag(flag), Value::Flag(wanted), Value::Flag(flag.of(&participant.permission))));
        }
        if let Some((at, wanted)) = self.name() {
            decided.push((at, Field::Name, Value::Text(Arc::clone(wanted)), text(&participant.name)));
        }
        if let Some((at, wanted)) = self.metadata() {
            decided.push((at, Field::Metadata, Value::Text(Arc::clone(wanted)), text(&participant.metadata)));
        }
        for (at, key, wanted) in self.attributes() {
            let wanted = wanted.map_or(Value::Absent, |wanted| Value::Text(Arc::clone(wanted)));
            let seen = participant.attributes.get(&**key).map_or(Value::Absent, |value| text(value));
            decided.push((at, Field::Attribute(Arc::clone(key)), wanted, seen));
        }
        for source in ALL_SOURCES {
            let Some((at, state)) = self.mute(source) else { continue };
            let mut tracks = participant.tracks.iter().filter(|track| track.source() == Some(source)).peekable();
            let seen = match tracks.peek() {
                None => Value::Absent,
                Some(_) => Value::Muted(tracks.all(|track| track.muted)),
            };
            decided.push((at, Field::Mute(source), Value::Muted(state.muted()), seen));
        }
        decided.sort_by(|(_, a, ..), (_, b, ..)| a.cmp(b));
        (decided.into_iter())
            .map(|(at, field, wanted, seen)| self.decision(at, field, wanted, seen, participant, now))
            .collect()
    }

    /// The full record of a decision: who decided and whom it overruled.
    #[must_use]
    pub fn decision(
        &self,
        at: At,
        field: Field,
        wanted: Value,
        seen: Value,
        participant: &Participant,
        now: Timestamp,
    ) -> Decision {
        let over = self.line.iter().enumerate().skip(at.member).flat_map(|(member, standing)| {
            let rules = standing.policy.rules.iter().enumerate();
            let later = rules.skip(if member == at.member { at.rule + 1 } else { 0 });
            later
                .filter(|(_, rule)| speaks_of(rule, &field) && rule.is_active(now) && rule.applies(participant, now).0)
                .map(|(number, _)| standing.policy.rule_name(number))
        });
        let over: Vec<RuleName> = over.collect();
        Decision { field, wanted, seen, by: self.line[at.member].policy.rule_name(at.rule), over }
    }
}

fn speaks_of(rule: &Rule, field: &Field) -> bool {
    match (&rule.effect, field) {
        (Effect::Remove { .. }, field) => *field == Field::Presence,
        (Effect::Shape(shape), Field::Presence) => shape.keep,
        (Effect::Shape(shape), Field::Publishing) => shape.publishing.is_some(),
        (Effect::Shape(shape), Field::Flag(flag)) => shape.flags[flag.index()].is_some(),
        (Effect::Shape(shape), Field::Name) => shape.name.is_some(),
        (Effect::Shape(shape), Field::Metadata) => shape.metadata.is_some(),
        (Effect::Shape(shape), Field::Attribute(key)) => shape.attributes.iter().any(|(other, _)| other == key),
        (Effect::Shape(shape), Field::Mute(source)) => shape.mute.is_some_and(|mute| mute.sources.contains(*source)),
    }
}
