//! Policies, participants and circumstances from a small world, so that they meet often.

use jiff::{SignedDuration, Timestamp};
use proptest::{collection::vec, option::weighted, prelude::*, sample::select};
use serde_json::{Value as Json, json};
use usher::{
    api::{Kind, Source, State},
    policy::{
        Action, CORRECTIONS, Decision, Field, Flag, Media, Member, ObjectName, Participant, Permission, Policy,
        PolicySet, Reach, RuleName, Session, Sources, Track, Unknown, Update, Value,
    },
};

use crate::{
    livekit_model,
    reference::{Declared, HOME},
    support::{Given, Hall, at, granted, noon, spec_from},
};

impl Declared {
    pub fn member(&self) -> Member {
        let name = ObjectName::new(self.namespace, &self.name);
        let policy = Policy::compile(name, &self.spec).unwrap_or_else(|problems| panic!("{problems:?}"));
        let reach = if self.namespace == HOME { Reach::Home } else { granted(&self.grants) };
        Member { policy: policy.into(), reach }
    }
}

/// Some policies, and somebody in the room `hall`.
#[derive(Clone, Debug)]
pub struct World {
    pub policies: Vec<Declared>,
    pub participant: Participant,
    pub now: Timestamp,
}

impl World {
    /// The line of the hall; empty where no policy is for it.
    pub fn hall(&self) -> Hall {
        self.hall_with_unknown(vec![])
    }

    pub fn hall_with_unknown(&self, unknown: Vec<Unknown>) -> Hall {
        let set = PolicySet::new(self.policies.iter().map(Declared::member).collect(), unknown);
        let nothing = usher::policy::Line { enforced: vec![], audited: vec![], unknown_from: None };
        Hall { line: set.line("hall").unwrap_or(nothing) }
    }
}

/// Whether rules may select on what rules write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selects {
    OnAnything,
    OnlyOnWhatNoRuleWrites,
}

pub fn world(selects: Selects) -> impl Strategy<Value = World> {
    let now = prop_oneof![3 => Just(noon()), 1 => select(vec![at("11:59:59.999"), at("12:30:00"), at("13:00:00")])];
    (vec(declared(selects), 1..5), participant(), now).prop_map(|(mut policies, participant, now)| {
        for (number, policy) in policies.iter_mut().enumerate() {
            policy.name = format!("p{}", number * 7 % 5);
        }
        World { policies, participant, now }
    })
}

fn declared(selects: Selects) -> impl Strategy<Value = Declared> {
    let rooms = prop_oneof![
        4 => Just(json!([{"glob": "*"}])),
        1 => Just(json!([{"exact": "hall"}, {"exact": "other"}])),
        1 => Just(json!([{"prefix": "other"}, {"glob": "h?ll"}])),
        1 => Just(json!([{"prefix": "other"}])),
    ];
    let grants = vec((select(vec!["*", "ha*", "other"]), -1..=1), 0..3);
    let mode = prop_oneof![4 => Just("Enforce"), 1 => Just("Audit")];
    let suspend = prop_oneof![9 => Just(false), 1 => Just(true)];
    let parts = (select(vec![HOME, HOME, "a", "z"]), grants, rooms, -1..=1, mode, suspend, vec(rule(selects), 1..4));
    parts.prop_map(|(namespace, grants, rooms, priority, mode, suspend, mut rules)| {
        for (number, rule) in rules.iter_mut().enumerate() {
            rule["name"] = json!(format!("r{number}"));
        }
        let whole = json!({"rooms": rooms, "priority": priority, "mode": mode, "suspend": suspend, "rules": rules});
        Declared { namespace, name: String::new(), grants, spec: spec_from(whole) }
    })
}

fn rule(selects: Selects) -> impl Strategy<Value = Json> {
    let remove = weighted(0.3, prop::bool::ANY).prop_map(|revoke| match revoke {
        Some(revoke) => json!({"remove": {"revokeTokens": revoke}}),
        None => json!({"remove": {}}),
    });
    let effects = prop_oneof![1 => remove, 5 => shape(selects)];
    let moments = select(vec![
        (None, None),
        (None, None),
        (None, None),
        (Some("11:00:00"), Some("12:00:00")),
        (Some("12:00:00"), Some("12:30:00")),
        (Some("12:00:01"), None),
        (None, Some("13:00:00")),
    ]);
    let parts =
        (effects, weighted(0.6, matching(selects)), vec(matching(selects), 0..3), moments, weighted(0.2, Just(true)));
    parts.prop_map(|(mut rule, matching, mut except, (from, until), trust)| {
        let mut matching = matching.unwrap_or_else(|| json!({}));
        if rule.get("remove").is_some() && matching.get("identities").is_none() {
            matching["identities"] = json!([{"glob": "a*"}]);
        }
        put(&mut rule, "match", matching);
        except.retain(|except| except.as_object().is_some_and(|except| except.keys().any(|key| key != "include")));
        put(&mut rule, "except", json!(except));
        put(&mut rule, "trustSelfUpdates", json!(trust));
        put(&mut rule, "activeFrom", json!(from.map(at)));
        put(&mut rule, "activeUntil", json!(until.map(at)));
        rule
    })
}

/// Puts a field into an object unless there is nothing in it.
fn put(object: &mut Json, field: &str, value: Json) {
    let empty = match &value {
        Json::Null => true,
        Json::Array(list) => list.is_empty(),
        Json::Object(fields) => fields.is_empty(),
        _ => false,
    };
    if !empty {
        object[field] = value;
    }
}

fn matching(selects: Selects) -> impl Strategy<Value = Json> {
    let anything = selects == Selects::OnAnything;
    let patterns = |often| weighted(often, vec(pattern(), 1..3));
    // Never would be no probability.
    let written = if anything { 0.15 } else { f64::MIN_POSITIVE };
    let keys = select(if anything { vec!["k", "l", "r"] } else { vec!["r", "s"] });
    let value = prop_oneof![
        vec(pattern(), 1..3).prop_map(|values| json!({"values": values})),
        Just(json!({})),
        Just(json!({"absent": true})),
    ];
    let attributes = (keys, value).prop_map(|(key, mut test)| {
        test["key"] = json!(key);
        test
    });
    let kinds = weighted(0.15, vec(select(vec!["Standard", "Agent", "Sip"]), 1..3));
    let states = weighted(0.15, vec(select(vec!["Joining", "Joined", "Active"]), 1..3));
    let include = weighted(0.3, vec(select(vec!["Hidden", "Forwarded"]), 1..3));
    let strings = (patterns(0.4), patterns(written), patterns(written), weighted(0.3, vec(attributes, 1..3)));
    let others = (
        kinds,
        states,
        weighted(written, vec(source(), 1..3)),
        weighted(0.2, select(vec!["30m", "1h", "90m"])),
        include,
    );
    (strings, others).prop_map(
        |((identities, names, metadata, attributes), (kinds, states, publishing, joined_for, include))| {
            let mut matching = json!({});
            for (field, value) in [
                ("identities", json!(identities)),
                ("names", json!(names)),
                ("metadata", json!(metadata)),
                ("attributes", json!(attributes)),
                ("kinds", json!(kinds)),
                ("states", json!(states)),
                ("publishing", json!(publishing)),
                ("joinedFor", json!(joined_for)),
                ("include", json!(include)),
            ] {
                put(&mut matching, field, value);
            }
            matching
        },
    )
}

fn pattern() -> impl Strategy<Value = Json> {
    let globs = vec!["*", "a*", "*b", "?", "a?", "[ab]b", "{a,b}", "{a,ba}*", "[!a]*", "a"];
    prop_oneof![
        text().prop_map(|text| json!({"exact": text})),
        text().prop_map(|text| json!({"prefix": text})),
        select(globs).prop_map(|glob| json!({"glob": glob})),
        select(crate::reference::REGEXES.map(|(regex, _)| regex).to_vec()).prop_map(|regex| json!({"regex": regex})),
    ]
}

fn text() -> impl Strategy<Value = String> {
    select(vec!["a", "b", "ab", "ba", "aüb"]).prop_map(str::to_owned)
}

fn source() -> impl Strategy<Value = Source> {
    select(usher::policy::ALL_SOURCES.to_vec())
}

/// Effects other than removal.
fn shape(selects: Selects) -> impl Strategy<Value = Json> {
    let flags = vec(weighted(0.25, prop::bool::ANY), Flag::ALL.len());
    let publishing = prop_oneof![
        3 => Just(json!({})),
        1 => prop::bool::ANY.prop_map(|can| json!({"canPublish": can})),
        2 => vec(source(), 1..3).prop_map(|sources| json!({"canPublishSources": sources})),
        1 => vec(source(), 1..3).prop_map(|sources| json!({"canPublish": true, "canPublishSources": sources})),
    ];
    let attributes = vec((select(vec!["k", "l"]), weighted(0.7, text())), 0..3);
    let mute =
        (vec(source(), 0..3), select(vec![json!({}), json!({"repeat": "OncePerTrack"}), json!({"muted": false})]));
    let parts =
        (flags, publishing, weighted(0.2, text()), weighted(0.2, text()), attributes, weighted(0.3, mute), 0..5);
    parts.prop_map(move |(flags, mut permission, name, metadata, attributes, mute, keep)| {
        for (flag, value) in Flag::ALL.into_iter().zip(flags) {
            if selects == Selects::OnAnything || flag != Flag::UpdateMetadata {
                put(&mut permission, flag.name(), json!(value));
            }
        }
        let (mut set, mut attributes_to_set, mut removed) = (json!({}), json!({}), Vec::new());
        for (key, value) in attributes {
            match value {
                Some(value) if !removed.contains(&key) => attributes_to_set[key] = json!(value),
                None if attributes_to_set.get(key).is_none() => removed.push(key),
                _ => {}
            }
        }
        put(&mut set, "permission", permission);
        put(&mut set, "name", json!(name));
        put(&mut set, "metadata", json!(metadata));
        put(&mut set, "attributes", attributes_to_set);
        put(&mut set, "removeAttributes", json!(removed));
        let mut rule = json!({});
        put(&mut rule, "set", set);
        if let Some((sources, mut mute)) = mute {
            put(&mut mute, "sources", json!(sources));
            rule["mute"] = mute;
        }
        if keep == 0 || rule == json!({}) {
            rule["keep"] = json!(true);
        }
        rule
    })
}

pub fn participant() -> impl Strategy<Value = Participant> {
    let kind = prop_oneof![8 => Just(Some(Kind::Standard)), 1 => Just(Some(Kind::Agent)), 1 => Just(None)];
    let state = prop_oneof![6 => Just(State::Active), 1 => Just(State::Joining), 1 => Just(State::Joined)];
    let attributes =
        prop::collection::btree_map(select(vec!["k", "l", "r", "s"]).prop_map(str::to_owned), text(), 0..4);
    let rarely = || prop_oneof![9 => Just(false), 1 => Just(true)];
    let texts = (text(), prop_oneof![Just(String::new()), text()], prop_oneof![Just(String::new()), text()]);
    (texts, attributes, kind, state, permission(), vec(track(), 0..4), rarely(), rarely()).prop_map(
        |((identity, name, metadata), attributes, kind, state, mut permission, tracks, hidden, forwarded)| {
            permission.hidden = hidden;
            let mut participant = Participant {
                sid: "PA".into(),
                identity: identity.into(),
                name: name.into(),
                metadata: metadata.into(),
                attributes: attributes.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
                kind,
                state,
                permission,
                tracks: vec![],
                joined_at: at("11:00:00"),
                forwarded,
                version: 0,
            };
            for (number, track) in tracks.into_iter().enumerate() {
                livekit_model::publish(&mut participant, Track { sid: format!("TR_{number}"), ..track });
            }
            participant
        },
    )
}

fn permission() -> impl Strategy<Value = Permission> {
    let sources = prop_oneof![2 => Just(vec![]), 3 => vec(0..5, 1..4)];
    let can_publish = prop_oneof![4 => Just(true), 1 => Just(false)];
    (prop::array::uniform7(prop::bool::ANY), can_publish, sources).prop_map(|(bits, can_publish, sources)| {
        let [
            can_subscribe,
            can_publish_data,
            can_update_metadata,
            can_subscribe_metrics,
            can_manage_agent_session,
            recorder,
            agent,
        ] = bits;
        Permission {
            can_subscribe,
            can_publish,
            sources: Sources::from_numbers(&sources),
            can_publish_data,
            can_update_metadata,
            can_subscribe_metrics,
            can_manage_agent_session,
            hidden: false,
            recorder,
            agent,
        }
    })
}

fn track() -> impl Strategy<Value = Track> {
    let media = prop_oneof![3 => Just(Media::Audio), 3 => Just(Media::Video), 1 => Just(Media::Data)];
    (media, weighted(0.9, source()), prop::bool::ANY).prop_map(|(media, claimed, muted)| Track {
        sid: String::new(),
        media,
        claimed,
        muted,
    })
}

/// Circumstances around a moment: fields that somebody undoes, a removal a moment ago.
pub fn given() -> impl Strategy<Value = Given> {
    let fields = || {
        let mut fields: Vec<_> = Flag::ALL.into_iter().map(Field::Flag).collect();
        fields.extend([Field::Publishing, Field::Name, Field::Metadata]);
        fields.extend(["k", "l"].map(|key| Field::Attribute(key.into())));
        fields
    };
    let undone = vec((select(fields()), 0..15_i64, 1..8_usize), 0..6);
    (undone, weighted(0.3, 0..1500_i64), prop::bool::ANY).prop_map(|(undone, removed, can_unmute)| {
        let mut given = Given { can_unmute, ..Given::default() };
        for (field, seconds, times) in undone {
            let then = given.now - SignedDuration::from_secs(seconds);
            (0..times).for_each(|_| correct(&mut given.session, &field, then));
        }
        given.removed_at = removed.map(|ago| given.now - SignedDuration::from_millis(ago));
        given
    })
}

/// A correction of a field that gives something.
fn correct(session: &mut Session, field: &Field, now: Timestamp) {
    use usher::policy::Publishing::{Everything, Nothing};
    let (wanted, seen) = match field {
        Field::Publishing => (Value::Publishing(Everything), Value::Publishing(Nothing)),
        Field::Flag(_) => (Value::Flag(true), Value::Flag(false)),
        _ => (Value::Text("x".into()), Value::Text("y".into())),
    };
    let by = RuleName { policy: ObjectName::new("a", "b"), rule: "c".into() };
    let why = vec![Decision { field: field.clone(), wanted, seen, by, over: vec![] }];
    let permission = Some(Permission { can_publish: true, ..Permission::default() });
    session.carried_out(&Action::Update(Update { permission, why, ..Update::default() }), now, CORRECTIONS);
}
