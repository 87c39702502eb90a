//! The page on RoomPolicy, done slowly and obviously: no index, no compiled pattern, a map of strings.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use usher::{
    api::{Include, Kind, Match, Mode, PolicyRule, Repeat, RoomPolicySpec, Source, State, StringMatch},
    policy::{ALL_SOURCES, Media, Participant, Publishing},
};

/// A policy before it is compiled.
#[derive(Clone, Debug)]
pub struct Declared {
    pub namespace: &'static str,
    pub name: String,
    /// What `access` grants: globs of rooms, and `maxPriority`.
    pub grants: Vec<(&'static str, i32)>,
    pub spec: RoomPolicySpec,
}

/// The server's own namespace.
pub const HOME: &str = "m";

/// What a field shall be, which rule says so, and whom it shadows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub wanted: String,
    pub by: String,
    pub over: Vec<String>,
}

impl Decided {
    /// What may be published, where that is what is decided.
    pub fn publishing(&self) -> Publishing {
        match self.wanted.as_str() {
            "nothing" => Publishing::Nothing,
            "everything" => Publishing::Everything,
            list => {
                // "ScreenShare" is the beginning of another name.
                let names: BTreeSet<_> = list.trim_matches(['[', ']']).split(", ").collect();
                let named = ALL_SOURCES.into_iter().filter(|source| names.contains(format!("{source:?}").as_str()));
                Publishing::Only(named.collect())
            }
        }
    }
}

/// Who decides what about a participant of a room: in the line of all enforced policies, or of these and an audited
/// one.
pub fn decide(
    room: &str,
    policies: &[Declared],
    audited: Option<&Declared>,
    participant: &Participant,
    now: Timestamp,
) -> BTreeMap<String, Decided> {
    let mut line = Vec::new();
    for policy in policies {
        let is_audited =
            audited.is_some_and(|audited| (audited.namespace, &audited.name) == (policy.namespace, &policy.name));
        if policy.spec.suspend || (policy.spec.mode == Mode::Audit && !is_audited) {
            continue;
        }
        let Some(priority) = priority_in(room, policy) else { continue };
        for (number, rule) in policy.spec.rules.iter().enumerate() {
            let place = (-priority, policy.namespace != HOME, policy.namespace, policy.name.clone(), number);
            line.push((place, format!("{}/{}/{}", policy.namespace, policy.name, rule.name), rule));
        }
    }
    line.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    let mut decided = BTreeMap::<String, Decided>::new();
    for (_, name, rule) in line {
        if !exists(rule, now) || !is_about(rule, participant, now) {
            continue;
        }
        for (field, wanted) in says(rule) {
            match decided.get_mut(&field) {
                Some(decided) => decided.over.push(name.clone()),
                None => drop(decided.insert(field, Decided { wanted, by: name.clone(), over: vec![] })),
            }
        }
    }
    decided
}

/// The priority that counts; `None` where the policy does not speak.
pub fn priority_in(room: &str, policy: &Declared) -> Option<i32> {
    if !any_matches(&policy.spec.rooms, room) {
        return None;
    }
    if policy.namespace == HOME {
        return Some(policy.spec.priority);
    }
    let limits = policy.grants.iter().filter(|(glob, _)| glob_matches(glob, room)).map(|(_, limit)| *limit);
    limits.max().map(|limit| policy.spec.priority.min(limit))
}

pub fn exists(rule: &PolicyRule, now: Timestamp) -> bool {
    let moment = |text: serde_json::Value| text.as_str().map(|text| text.parse::<Timestamp>().unwrap());
    let from = moment(serde_json::to_value(&rule.active_from).unwrap());
    let until = moment(serde_json::to_value(&rule.active_until).unwrap());
    from.is_none_or(|from| now >= from) && until.is_none_or(|until| now < until)
}

pub fn is_about(rule: &PolicyRule, participant: &Participant, now: Timestamp) -> bool {
    let everybody = Match::default();
    let matching = rule.match_.as_ref().unwrap_or(&everybody);
    let may_write = participant.permission.can_update_metadata && rule.trust_self_updates != Some(true);
    if may_write && gives(rule) && asserted(matching) {
        return false;
    }
    let mut matching = matching.clone();
    if matching.kinds.is_empty() {
        matching.kinds = vec![Kind::Standard];
    }
    if matching.states.is_empty() && rule.remove.is_none() {
        matching.states = vec![State::Active];
    }
    let seen = |include| matching.include.contains(&include);
    if participant.permission.hidden && !seen(Include::Hidden) || participant.forwarded && !seen(Include::Forwarded) {
        return false;
    }
    if !all_hold(&matching, participant, now) {
        return false;
    }
    !rule.except.iter().any(|except| {
        if may_write && asserted(except) {
            if takes(rule) {
                return false;
            }
            if gives(rule) {
                let others = Match { names: vec![], metadata: vec![], attributes: vec![], ..except.clone() };
                return all_hold(&others, participant, now);
            }
        }
        all_hold(except, participant, now)
    })
}

fn asserted(matching: &Match) -> bool {
    !matching.names.is_empty() || !matching.metadata.is_empty() || !matching.attributes.is_empty()
}

/// Keeps, or sets a permission true (sources count).
fn gives(rule: &PolicyRule) -> bool {
    rule.keep == Some(true)
        || says(rule)
            .iter()
            .any(|(field, wanted)| field.starts_with("permission.") && wanted != "false" && wanted != "nothing")
}

/// Narrows, mutes or removes.
fn takes(rule: &PolicyRule) -> bool {
    rule.remove.is_some()
        || says(rule).iter().any(|(field, wanted)| {
            (field.starts_with("permission.") && wanted != "true" && wanted != "everything") || wanted == "muted"
        })
}

fn all_hold(matching: &Match, participant: &Participant, now: Timestamp) -> bool {
    let any = |patterns: &[StringMatch], text: &str| patterns.is_empty() || any_matches(patterns, text);
    let kind = matching.kinds.is_empty() || participant.kind.is_some_and(|kind| matching.kinds.contains(&kind));
    let state = matching.states.is_empty() || matching.states.contains(&participant.state);
    let publishing = matching.publishing.is_empty()
        || participant.tracks.iter().any(|track| {
            let source = match (track.media, track.claimed) {
                (Media::Data, _) => return false,
                (Media::Audio, Some(Source::Microphone | Source::ScreenShareAudio)) => track.claimed.unwrap(),
                (Media::Audio, _) => Source::Microphone,
                (Media::Video, Some(Source::Camera | Source::ScreenShare)) => track.claimed.unwrap(),
                (Media::Video, _) => Source::Camera,
            };
            matching.publishing.contains(&source)
        });
    let attributes = matching.attributes.iter().all(|test| match participant.attributes.get(test.key.as_str()) {
        Some(value) => test.absent != Some(true) && any(&test.values, value),
        None => test.absent == Some(true),
    });
    let old_enough = matching.joined_for.as_ref().is_none_or(|age| {
        let age = SignedDuration::try_from(age.span()).unwrap();
        now >= participant.joined_at + age
    });
    kind && state
        && publishing
        && attributes
        && old_enough
        && any(&matching.identities, &participant.identity)
        && any(&matching.names, &participant.name)
        && any(&matching.metadata, &participant.metadata)
}

/// Every field a rule speaks of, as status names it.
fn says(rule: &PolicyRule) -> BTreeMap<String, String> {
    let mut says = BTreeMap::new();
    let mut say = |field: &str, wanted: String| drop(says.insert(field.to_owned(), wanted));
    if rule.remove.is_some() {
        say("remove", "removed".into());
    }
    if rule.keep == Some(true) {
        say("remove", "present".into());
    }
    if let Some(set) = &rule.set {
        if let Some(permission) = &set.permission {
            for (field, wanted) in [
                ("canSubscribe", permission.can_subscribe),
                ("canPublishData", permission.can_publish_data),
                ("canUpdateMetadata", permission.can_update_metadata),
                ("canSubscribeMetrics", permission.can_subscribe_metrics),
                ("canManageAgentSession", permission.can_manage_agent_session),
            ] {
                wanted.into_iter().for_each(|wanted| say(&format!("permission.{field}"), wanted.to_string()));
            }
            let mut sources = permission.can_publish_sources.clone();
            sources.sort();
            sources.dedup();
            if !sources.is_empty() {
                say("permission.canPublish", format!("{sources:?}"));
            } else if let Some(can_publish) = permission.can_publish {
                say("permission.canPublish", if can_publish { "everything" } else { "nothing" }.into());
            }
        }
        set.name.iter().for_each(|name| say("name", name.clone()));
        set.metadata.iter().for_each(|metadata| say("metadata", metadata.clone()));
        set.attributes.iter().for_each(|(key, value)| say(&format!("attributes.{key}"), value.clone()));
        set.remove_attributes.iter().for_each(|key| say(&format!("attributes.{key}"), "absent".into()));
    }
    if let Some(mute) = &rule.mute {
        for source in [Source::Camera, Source::Microphone, Source::ScreenShare, Source::ScreenShareAudio] {
            if mute.sources.is_empty() || mute.sources.contains(&source) {
                let wanted = if mute.muted == Some(false) { "unmuted" } else { "muted" };
                say(&format!("mute.{source:?}"), wanted.into());
            }
        }
    }
    says
}

/// Whether the rule of a name wants tracks muted whenever they are seen otherwise.
pub fn mutes_always(policies: &[Declared], name: &str) -> bool {
    policies.iter().any(|policy| {
        policy.spec.rules.iter().any(|rule| {
            format!("{}/{}/{}", policy.namespace, policy.name, rule.name) == name
                && rule
                    .mute
                    .as_ref()
                    .is_some_and(|mute| mute.muted != Some(false) && mute.repeat != Some(Repeat::OncePerTrack))
        })
    })
}

pub fn any_matches(patterns: &[StringMatch], text: &str) -> bool {
    patterns.iter().any(|pattern| match pattern {
        StringMatch::Exact(exact) => text == exact,
        StringMatch::Prefix(prefix) => text.starts_with(prefix.as_str()),
        StringMatch::Glob(glob) => glob_matches(glob, text),
        StringMatch::Regex(regex) => REGEXES.iter().find(|(known, _)| known == regex).expect("one of the list").1(text),
    })
}

type Meaning = fn(&str) -> bool;

/// Some regexes and what they mean.
pub const REGEXES: [(&str, Meaning); 5] = [
    ("a|b", |text| text == "a" || text == "b"),
    ("a+b?", |text| {
        let rest = text.strip_suffix('b').unwrap_or(text);
        !rest.is_empty() && rest.chars().all(|character| character == 'a')
    }),
    (".*b", |text| text.ends_with('b')),
    ("(?i)A.*", |text| text.starts_with('a')),
    ("a.b|", |text| text.is_empty() || (text.starts_with('a') && text.ends_with('b') && text.chars().count() == 3)),
];

/// A glob, by trying everything.
fn glob_matches(glob: &str, text: &str) -> bool {
    let mut characters = glob.chars();
    let Some(first) = characters.next() else { return text.is_empty() };
    let rest = characters.as_str();
    let mut tail = text.chars();
    match first {
        '*' => text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| glob_matches(rest, &text[at..])),
        '?' => tail.next().is_some() && glob_matches(rest, tail.as_str()),
        '[' => {
            let (class, rest) = rest.split_once(']').unwrap();
            let (negated, members) = class.strip_prefix('!').map_or((false, class), |members| (true, members));
            tail.next().is_some_and(|character| members.contains(character) != negated)
                && glob_matches(rest, tail.as_str())
        }
        '{' => {
            let (alternatives, rest) = rest.split_once('}').unwrap();
            alternatives.split(',').any(|alternative| glob_matches(&format!("{alternative}{rest}"), text))
        }
        literal => tail.next() == Some(literal) && glob_matches(rest, tail.as_str()),
    }
}
