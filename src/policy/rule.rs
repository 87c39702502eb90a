//! Policies and rules, compiled.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    field::{Flag, ObjectName, RuleName},
    participant::{Participant, Publishing, Sources},
    pattern::Patterns,
    problem::{Path, Problem, Problems},
    scope::{Guard, Scope},
    selector::Defaults,
};
use crate::api::{Mode, MuteEffect, PermissionEffect, PolicyRule, Repeat, RoomPolicySpec, SetEffect};

/// LiveKit's limit on a name, in bytes (config.go, `max_participant_name_length`); keys and values of ours keep to it.
const NAME_LIMIT: usize = 256;
/// Our limit on metadata, in bytes; LiveKit's own is sixteen times that.
const METADATA_LIMIT: usize = 32_768;
/// Keys that LiveKit itself writes (protocol livekit/attrs.go).
const RESERVED_PREFIXES: [&str; 3] = ["lk.", "sip.", "ingress."];

/// A RoomPolicy, compiled.
#[derive(Debug)]
pub struct Policy {
    /// Which object it is.
    pub name: ObjectName,
    /// As the spec says; what counts in a room may be less, see [`super::Reach`].
    pub priority: i32,
    /// Whether it acts.
    pub mode: Mode,
    /// Whether it says nothing for now.
    pub suspended: bool,
    /// The rooms it is for.
    pub rooms: Patterns,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

impl Policy {
    /// Compiles a spec.
    ///
    /// # Errors
    /// Everything that is wrong with it and that the schema could not refuse.
    pub fn compile(name: ObjectName, spec: &RoomPolicySpec) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let root = Path::root("spec");
        let rules = root.field("rules");
        let compiled = Self {
            priority: spec.priority,
            mode: spec.mode,
            suspended: spec.suspend,
            rooms: Patterns::compile(&spec.rooms, &root.field("rooms"), &mut problems),
            rules: (spec.rules.iter().enumerate())
                .filter_map(|(index, rule)| Rule::compile(&name, rule, &rules.index(index), &mut problems))
                .collect(),
            name,
        };
        problems.into_result().map(|()| compiled)
    }

    /// The full name of one of its rules.
    #[must_use]
    pub fn rule_name(&self, rule: usize) -> RuleName {
        RuleName { policy: self.name.clone(), rule: Arc::clone(&self.rules[rule].name) }
    }
}

/// One rule of a policy.
#[derive(Debug)]
pub struct Rule {
    /// Its name in the policy.
    pub name: Arc<str>,
    /// What it does.
    pub effect: Effect,
    /// It exists from this moment.
    pub active_from: Option<Timestamp>,
    /// It exists until this moment.
    pub active_until: Option<Timestamp>,
    scope: Scope,
}

/// What a rule does.
#[derive(Debug)]
pub enum Effect {
    /// Removes the participant; nothing else can be said of somebody who is not there.
    Remove {
        /// Whether LiveKit Cloud is to revoke the participant's tokens too.
        revoke_tokens: bool,
    },
    /// Says what the participant shall be.
    Shape(Shape),
}

/// What a rule says of a participant that stays.
#[derive(Debug, Default)]
pub struct Shape {
    /// No later rule removes it.
    pub keep: bool,
    /// What it may publish.
    pub publishing: Option<Publishing>,
    /// The other bits of the permission, by [`Flag::index`].
    pub flags: [Option<bool>; Flag::ALL.len()],
    /// Its display name.
    pub name: Option<Arc<str>>,
    /// Its metadata.
    pub metadata: Option<Arc<str>>,
    /// Its attributes by key, `None` for one that shall not be there.
    pub attributes: Vec<(Arc<str>, Option<Arc<str>>)>,
    /// Its tracks.
    pub mute: Option<Mute>,
}

/// Which tracks a rule mutes or unmutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mute {
    /// Of these sources.
    pub sources: Sources,
    /// What they shall be.
    pub state: MuteState,
}

/// What a rule wants tracks to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MuteState {
    /// Muted, whenever seen otherwise.
    AlwaysMuted,
    /// Muted or unmuted once; afterwards the participant may undo it.
    Once {
        /// Muted or unmuted.
        muted: bool,
        /// Tells this effect of this rule from others, to remember for which tracks it is done.
        key: OnceKey,
    },
}

impl MuteState {
    /// Muted or unmuted.
    #[must_use]
    pub const fn muted(self) -> bool {
        match self {
            Self::AlwaysMuted => true,
            Self::Once { muted, .. } => muted,
        }
    }

    /// What tells the effect from others, where it has one turn with each track.
    #[must_use]
    pub const fn once(self) -> Option<OnceKey> {
        match self {
            Self::AlwaysMuted => None,
            Self::Once { key, .. } => Some(key),
        }
    }
}

/// Tells one OncePerTrack effect from another. A rule whose effect was edited is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OnceKey(u64);

impl Rule {
    fn compile(policy: &ObjectName, spec: &PolicyRule, path: &Path<'_>, problems: &mut Problems) -> Option<Self> {
        let effect = effect(policy, spec, path, problems)?;
        let removes = matches!(effect, Effect::Remove { .. });
        let defaults = if removes { Defaults::REMOVE } else { Defaults::ACT };
        let trusts = spec.trust_self_updates.unwrap_or(false);
        let guard = Guard { entry: !trusts && effect.favours(), exit: !trusts && effect.restricts() };
        let scope = Scope::compile(spec.match_.as_ref(), &spec.except, defaults, guard, path, problems);
        if removes && !scope.is_personal() {
            problems.add(
                &path.field("remove"),
                "needs identities, names, metadata or attributes in match; for everybody write identities: [{glob: \"*\"}]",
            );
        }
        let active_from = spec.active_from.as_ref().map(|time| time.instant());
        let active_until = spec.active_until.as_ref().map(|time| time.instant());
        if let (Some(from), Some(until)) = (active_from, active_until)
            && until <= from
        {
            problems.add(&path.field("activeUntil"), "must be later than activeFrom");
        }
        Some(Self { name: spec.name.as_str().into(), scope, active_from, active_until, effect })
    }

    /// Whether the rule exists at a moment.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.active_from.is_none_or(|from| from <= now) && self.active_until.is_none_or(|until| now < until)
    }

    /// Whether the rule is about a participant, and when that changes by itself.
    #[must_use]
    pub fn applies(&self, participant: &Participant, now: Timestamp) -> (bool, Option<Timestamp>) {
        self.scope.contains(participant, now)
    }
}

impl Effect {
    /// Whether it gives the participant something it may want.
    fn favours(&self) -> bool {
        match self {
            Self::Remove { .. } => false,
            Self::Shape(shape) => {
                shape.keep
                    || shape.flags.contains(&Some(true))
                    || shape.publishing.is_some_and(|publishing| publishing != Publishing::Nothing)
            }
        }
    }

    /// Whether it takes from the participant something it may want to keep.
    fn restricts(&self) -> bool {
        match self {
            Self::Remove { .. } => true,
            Self::Shape(shape) => {
                shape.flags.contains(&Some(false))
                    || shape.publishing.is_some_and(|publishing| publishing != Publishing::Everything)
                    || shape.mute.is_some_and(|mute| mute.state.muted())
            }
        }
    }
}

fn effect(policy: &ObjectName, spec: &PolicyRule, path: &Path<'_>, problems: &mut Problems) -> Option<Effect> {
    let keep = spec.keep == Some(true);
    if let Some(remove) = &spec.remove {
        if keep || spec.set.is_some() || spec.mute.is_some() {
            problems.add(&path.field("remove"), "excludes keep, set and mute: move them to a rule of their own");
        }
        return Some(Effect::Remove { revoke_tokens: remove.revoke_tokens.unwrap_or(true) });
    }
    if !keep && spec.set.as_ref().is_none_or(sets_nothing) && spec.mute.is_none() {
        problems.add(path, "has no effect: add set, mute, keep: true or remove: {}");
        return None;
    }
    let mut shape = spec.set.as_ref().map_or_else(Shape::default, |set| shape(set, &path.field("set"), problems));
    shape.keep = keep;
    shape.mute =
        spec.mute.as_ref().and_then(|mute| compile_mute(policy, &spec.name, mute, &path.field("mute"), problems));
    Some(Effect::Shape(shape))
}

fn sets_nothing(set: &SetEffect) -> bool {
    let permission = set.permission.clone().unwrap_or_default();
    permission == PermissionEffect::default() && SetEffect { permission: None, ..set.clone() } == SetEffect::default()
}

fn shape(set: &SetEffect, path: &Path<'_>, problems: &mut Problems) -> Shape {
    let mut text = |text: &Option<String>, field, limit| -> Option<Arc<str>> {
        let text = text.as_deref()?;
        check_text(text, limit, &path.field(field), problems);
        Some(text.into())
    };
    let name = text(&set.name, "name", NAME_LIMIT);
    let metadata = text(&set.metadata, "metadata", METADATA_LIMIT);
    let permission = set.permission.clone().unwrap_or_default();
    let publishing = publishing(&permission, &path.field("permission"), problems);
    let mut attributes = Vec::with_capacity(set.attributes.len() + set.remove_attributes.len());
    for (key, value) in &set.attributes {
        let (map, key_text) = (path.field("attributes"), key.as_str());
        let field = map.field(key_text);
        check_key(key, &field, problems);
        check_text(value, NAME_LIMIT, &field, problems);
        attributes.push((Arc::from(key_text), Some(Arc::from(value.as_str()))));
    }
    let removed = path.field("removeAttributes");
    for (index, key) in set.remove_attributes.iter().enumerate() {
        check_key(key, &removed.index(index), problems);
        if set.attributes.contains_key(key) {
            problems.add(&removed.index(index), format!("names {key}, which attributes sets: keep one of the two"));
        }
        attributes.push((Arc::from(key.as_str()), None));
    }
    Shape {
        keep: false,
        publishing,
        flags: [
            permission.can_subscribe,
            permission.can_publish_data,
            permission.can_update_metadata,
            permission.can_subscribe_metrics,
            permission.can_manage_agent_session,
        ],
        name,
        metadata,
        attributes,
        mute: None,
    }
}

fn publishing(permission: &PermissionEffect, path: &Path<'_>, problems: &mut Problems) -> Option<Publishing> {
    let sources: Sources = permission.can_publish_sources.iter().copied().collect();
    match (permission.can_publish, sources) {
        (Some(false), Sources::NONE) => Some(Publishing::Nothing),
        (Some(true), Sources::NONE) => Some(Publishing::Everything),
        (None, Sources::NONE) => None,
        (Some(false), _) => {
            problems.add(&path.field("canPublishSources"), "contradicts canPublish: false: remove one of the two");
            None
        }
        (_, sources) => Some(Publishing::Only(sources)),
    }
}

fn compile_mute(
    policy: &ObjectName,
    rule: &str,
    spec: &MuteEffect,
    path: &Path<'_>,
    problems: &mut Problems,
) -> Option<Mute> {
    let sources = if spec.sources.is_empty() { Sources::NAMED } else { spec.sources.iter().copied().collect() };
    let state = match (spec.muted.unwrap_or(true), spec.repeat) {
        (true, None | Some(Repeat::Always)) => MuteState::AlwaysMuted,
        (false, Some(Repeat::Always)) => {
            problems.add(
                &path.field("repeat"),
                "must be OncePerTrack where muted is false: nobody is unmuted against their will again and again",
            );
            return None;
        }
        (muted, _) => MuteState::Once { muted, key: OnceKey::of(policy, rule, sources, muted) },
    };
    Some(Mute { sources, state })
}

impl OnceKey {
    fn of(policy: &ObjectName, rule: &str, sources: Sources, muted: bool) -> Self {
        let mut hasher = DefaultHasher::new();
        (policy, rule, sources, muted).hash(&mut hasher);
        Self(hasher.finish())
    }
}

fn check_text(text: &str, limit: usize, field: &Path<'_>, problems: &mut Problems) {
    if text.is_empty() {
        problems.add(field, "is empty: LiveKit's API cannot clear it, leave the field out or give a value");
    } else if text.len() > limit {
        problems.add(field, format!("has {} bytes, at most {limit} are allowed: shorten it", text.len()));
    }
}

fn check_key(key: &str, field: &Path<'_>, problems: &mut Problems) {
    if let Some(prefix) = RESERVED_PREFIXES.iter().find(|prefix| key.starts_with(**prefix)) {
        problems.add(field, format!("begins with {prefix}, which is reserved for LiveKit: choose another key"));
    }
    check_text(key, NAME_LIMIT, field, problems);
}
