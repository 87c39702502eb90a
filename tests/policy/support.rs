//! Policies from YAML, participants, and plans as lines of text.

use std::sync::Arc;

use jiff::Timestamp;
use usher::{
    api::{RoomPolicySpec, Source},
    policy::{
        Action, Because, Circumstances, Decision, Flag, Grant, Line, Media, Member, ObjectName, Participant, Path,
        Patterns, Permission, Plan, Policy, PolicySet, Problems, Reach, Resolver, Session, Sources, Track, Unknown,
        plan,
    },
};

/// A moment of the day on which all tests happen.
pub fn at(time: &str) -> Timestamp {
    format!("2026-06-01T{time}Z").parse().unwrap()
}

/// The moment at which a test happens that does not say otherwise.
pub fn noon() -> Timestamp {
    at("12:00:00")
}

/// A spec from what matters in it: without `rooms` it is for every room.
pub fn spec(yaml: &str) -> RoomPolicySpec {
    spec_from(serde_saphyr::from_str(yaml).expect("YAML"))
}

/// The same from values.
pub fn spec_from(mut spec: serde_json::Value) -> RoomPolicySpec {
    let fields = spec.as_object_mut().expect("a mapping");
    fields.entry("serverRef").or_insert_with(|| serde_json::json!({"name": "main", "namespace": "livekit"}));
    fields.entry("rooms").or_insert_with(|| serde_json::json!([{"glob": "*"}]));
    serde_json::from_value(spec).expect("a spec")
}

fn compiled(name: &str, yaml: &str) -> Arc<Policy> {
    let (namespace, name) = name.split_once('/').unwrap_or(("livekit", name));
    Arc::new(Policy::compile(ObjectName::new(namespace, name), &spec(yaml)).expect("compiles"))
}

/// A policy of the server's own namespace, `livekit` unless the name has another.
pub fn policy(name: &str, yaml: &str) -> Member {
    Member { policy: compiled(name, yaml), reach: Reach::Home }
}

/// A policy of another namespace, with what the server's `access` grants it: globs of rooms, and `maxPriority`.
pub fn guest(name: &str, grants: &[(&str, i32)], yaml: &str) -> Member {
    Member { policy: compiled(name, yaml), reach: granted(grants) }
}

/// What `access` grants: globs of rooms, and `maxPriority`.
pub fn granted(grants: &[(&str, i32)]) -> Reach {
    let grant = |(glob, max_priority): &(&str, i32)| {
        let rooms = [usher::api::StringMatch::Glob((*glob).into())];
        let rooms = Patterns::compile(&rooms, &Path::root("rooms"), &mut Problems::default());
        Grant { rooms, max_priority: *max_priority }
    };
    Reach::Granted(grants.iter().map(grant).collect())
}

/// What is wrong with a policy.
pub fn problems(yaml: &str) -> Vec<String> {
    let compiled = Policy::compile(ObjectName::new("livekit", "wrong"), &spec(yaml));
    compiled.expect_err("should not compile").iter().map(ToString::to_string).collect()
}

/// What is known beside participant and rules.
#[derive(Clone, Debug)]
pub struct Given {
    pub session: Session,
    pub removed_at: Option<Timestamp>,
    pub can_unmute: bool,
    pub now: Timestamp,
}

impl Default for Given {
    fn default() -> Self {
        Self { session: Session::default(), removed_at: None, can_unmute: true, now: noon() }
    }
}

impl Given {
    pub fn at(time: &str) -> Self {
        Self { now: at(time), ..Self::default() }
    }

    pub fn circumstances<'a>(&'a self, line: &'a Line) -> Circumstances<'a> {
        Circumstances {
            session: &self.session,
            removed_at: self.removed_at,
            can_unmute: self.can_unmute,
            unknown_from: line.unknown_from.as_ref(),
            now: self.now,
        }
    }
}

/// The room `hall` under some policies.
pub struct Hall {
    pub line: Line,
}

impl Hall {
    pub fn under(members: impl IntoIterator<Item = Member>) -> Self {
        Self::under_with_unknown(members, [])
    }

    pub fn under_with_unknown(
        members: impl IntoIterator<Item = Member>,
        unknown: impl IntoIterator<Item = Unknown>,
    ) -> Self {
        let set = PolicySet::new(members.into_iter().collect(), unknown.into_iter().collect());
        Self { line: set.line("hall").expect("some policy matches the room") }
    }

    pub fn plan(&self, participant: &Participant) -> Plan {
        self.plan_given(participant, &Given::default())
    }

    pub fn plan_given(&self, participant: &Participant, given: &Given) -> Plan {
        let mut resolver = Resolver::default();
        let resolution = resolver.resolve(&self.line.enforced, participant, given.now);
        plan(&resolution, participant, given.circumstances(&self.line))
    }

    /// What is done, each action a line.
    pub fn does(&self, participant: &Participant) -> Vec<String> {
        does(&self.plan(participant), participant)
    }

    pub fn does_given(&self, participant: &Participant, given: &Given) -> Vec<String> {
        does(&self.plan_given(participant, given), participant)
    }

    /// What is not done, each field a line.
    pub fn leaves_given(&self, participant: &Participant, given: &Given) -> Vec<String> {
        let open = self.plan_given(participant, given).open;
        open.iter().map(|open| format!("{}: {}", open.decision.field, because(&open.because))).collect()
    }

    pub fn decisions(&self, participant: &Participant) -> Vec<Decision> {
        Resolver::default().resolve(&self.line.enforced, participant, noon()).decisions(participant, noon())
    }

    /// Who decides what: `field = wanted by policy/rule over others`.
    pub fn decides(&self, participant: &Participant) -> Vec<String> {
        self.decisions(participant).iter().map(decided).collect()
    }
}

pub fn decided(Decision { field, wanted, by, over, .. }: &Decision) -> String {
    let over: Vec<_> = over.iter().map(ToString::to_string).collect();
    let over = if over.is_empty() { String::new() } else { format!(" over {}", over.join(", ")) };
    format!("{field} = {wanted} by {by}{over}")
}

fn because(because: &Because) -> String {
    match because {
        Because::Damped(until) => format!("damped until {}", until.strftime("%H:%M:%S")),
        Because::JustRemoved(until) => format!("just removed, until {}", until.strftime("%H:%M:%S%.3f")),
        Because::Unknown => "held by an unknown object".into(),
        Because::Refused(message) => format!("refused: {message}"),
        Because::StaysWithdrawn => "stays withdrawn".into(),
        Because::RemoteUnmuteDisabled => "cannot unmute".into(),
    }
}

/// Each action of a plan as a line that shows the whole of what is sent, and every rule that is behind it.
pub fn does(plan: &Plan, participant: &Participant) -> Vec<String> {
    plan.actions.iter().map(|action| line(action, participant)).collect()
}

fn line(action: &Action, participant: &Participant) -> String {
    let mut rules: Vec<_> = action.why().iter().map(|why| why.by.rule.to_string()).collect();
    rules.sort();
    rules.dedup();
    let what = match action {
        Action::Remove { revoke_tokens: true, .. } => "remove".into(),
        Action::Remove { revoke_tokens: false, .. } => "remove, tokens stay valid".into(),
        Action::Mute { track, muted: true, .. } => format!("mute {track}"),
        Action::Mute { track, muted: false, .. } => format!("unmute {track}"),
        Action::Update(update) => {
            let mut changes = vec![String::from("update")];
            if let Some(permission) = update.permission {
                changes.extend(differences(&participant.permission, &permission));
            }
            changes.extend(update.name.iter().map(|name| format!("name={name}")));
            changes.extend(update.metadata.iter().map(|metadata| format!("metadata={metadata}")));
            for (key, value) in &update.attributes {
                changes.push(match value {
                    Some(value) => format!("{key}={value}"),
                    None => format!("-{key}"),
                });
            }
            if !update.withdraws.is_empty() {
                changes.push(format!("withdrawing {} for {}", update.withdraws, update.unpublishes.join(", ")));
            }
            changes.join(" ")
        }
    };
    format!("{what} ({})", rules.join(", "))
}

fn differences(old: &Permission, new: &Permission) -> Vec<String> {
    let mut differences = Vec::new();
    if (old.can_publish, old.sources) != (new.can_publish, new.sources) {
        differences.push(format!("canPublish={}", new.publishing()));
    }
    for flag in Flag::ALL {
        if flag.of(old) != flag.of(new) {
            differences.push(format!("{}={}", flag.name(), flag.of(new)));
        }
    }
    assert_eq!((old.hidden, old.recorder, old.agent), (new.hidden, new.recorder, new.agent), "is carried over");
    assert!(
        !new.can_publish || new.sources != Sources::NONE || new.publishing() == usher::policy::Publishing::Everything
    );
    differences
}

/// An ordinary participant, joined an hour ago, with the permission an ordinary token gives.
pub fn alice() -> Participant {
    Participant { name: "Alice".into(), ..Participant::new("PA_alice", "alice", at("11:00:00")) }
}

/// Alice, with a difference.
pub fn alice_with(change: impl FnOnce(&mut Participant)) -> Participant {
    let mut alice = alice();
    change(&mut alice);
    alice
}

/// Alice, with an attribute.
pub fn alice_as(key: &str, value: &str) -> Participant {
    alice_with(|alice| drop(alice.attributes.insert(key.into(), value.into())))
}

/// Alice, publishing.
pub fn alice_publishing(tracks: impl IntoIterator<Item = Track>) -> Participant {
    alice_with(|alice| alice.tracks.extend(tracks))
}

/// A track that claims a source it may or may not be.
pub fn track(sid: &str, media: Media, claimed: Option<Source>) -> Track {
    Track { sid: sid.into(), media, claimed, muted: false }
}

pub fn microphone(sid: &str) -> Track {
    track(sid, Media::Audio, Some(Source::Microphone))
}

pub fn camera(sid: &str) -> Track {
    track(sid, Media::Video, Some(Source::Camera))
}

pub fn muted(track: Track) -> Track {
    Track { muted: true, ..track }
}
