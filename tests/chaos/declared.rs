//! The objects that people apply, as the engine has them and as the reference reads them.

use std::{num::NonZeroU32, sync::Arc};

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use usher::{
    api::{Kind, Mode, ParticipantForwardSpec, ParticipantMoveSpec, PolicyRule, StringMatch},
    engine::{Limits, Rate},
    policy::{ObjectName, Participant, Policy, Reach, Transfer, TransferMember},
};

use crate::{
    reference::{self, Declared, HOME},
    rules,
};

/// Everything that is declared at a time.
#[derive(Clone, Debug)]
pub struct Objects {
    pub policies: Vec<Applied>,
    pub forwards: Vec<Bringing>,
    pub moves: Vec<Bringing>,
    pub suspended: bool,
    pub limits: Limits,
}

/// A policy, and the same for the reference.
#[derive(Clone, Debug)]
pub struct Applied {
    pub declared: Declared,
    pub compiled: Arc<Policy>,
}

/// A forward or move.
#[derive(Clone, Debug)]
pub struct Bringing {
    pub compiled: Arc<Transfer>,
    pub rooms: Vec<StringMatch>,
    pub to: Vec<String>,
    mode: Mode,
    /// A rule that is about whom it takes.
    takes: Box<PolicyRule>,
    /// Deleted, and its copies are to go.
    pub ending: bool,
}

impl Objects {
    pub fn draw(random: &mut Rng, now: Timestamp) -> Self {
        let policies = (0..random.usize(1..4)).map(|number| policy(random, number, now)).collect();
        let forwards = if random.bool() { vec![forward(random, 0)] } else { Vec::new() };
        let moves = if random.u8(0..3) == 0 { vec![movement(random)] } else { Vec::new() };
        Self { policies, forwards, moves, suspended: false, limits: limits(random) }
    }

    /// One policy of these rules for every room.
    pub fn of_rules(rules: Json) -> Self {
        let spec = json!({"serverRef": {"name": "main"}, "rooms": [{"glob": "*"}], "rules": rules});
        Self {
            policies: vec![Applied::new("p".into(), spec)],
            forwards: Vec::new(),
            moves: Vec::new(),
            suspended: false,
            limits: Limits { rate: None, max_in_flight: 32 },
        }
    }

    /// Somebody edits something; in words, what.
    pub fn edit(&mut self, random: &mut Rng, now: Timestamp) -> String {
        match random.u8(0..10) {
            0..=3 => {
                let number = random.usize(0..4);
                let new = policy(random, number, now);
                let said = format!("applies {}", new.describe());
                self.policies.retain(|policy| policy.declared.name != new.declared.name);
                self.policies.push(new);
                said
            }
            4 => match self.policies.pop() {
                Some(policy) => format!("deletes policy {}", policy.declared.name),
                None => "looks around".into(),
            },
            5 | 6 => {
                let number = random.usize(0..2);
                let new = forward(random, number);
                let said = format!("applies {}", new.describe());
                self.forwards.retain(|forward| forward.compiled.id != new.compiled.id);
                self.forwards.push(new);
                said
            }
            7 => {
                let at = random.usize(0..2);
                match self.forwards.get_mut(at) {
                    Some(forward) => {
                        forward.ending = true;
                        format!("deletes forward {}", forward.compiled.id.name)
                    }
                    None => "looks around".into(),
                }
            }
            8 => {
                self.moves.clear();
                if random.bool() {
                    self.moves.push(movement(random));
                }
                let moves: Vec<_> = self.moves.iter().map(Bringing::describe).collect();
                format!("lets there be these moves: {moves:?}")
            }
            _ => {
                self.limits = limits(random);
                format!("sets the limits to {:?}", self.limits)
            }
        }
    }

    /// The policies as the reference reads them.
    pub fn declared(&self) -> Vec<Declared> {
        self.policies.iter().map(|policy| policy.declared.clone()).collect()
    }

    /// The forwards and moves as the engine reads them.
    pub fn transfers(&self) -> Vec<TransferMember> {
        let all = self.forwards.iter().chain(&self.moves);
        let member = |one: &Bringing| TransferMember {
            transfer: Arc::clone(&one.compiled),
            reach: Reach::Home,
            ending: one.ending,
        };
        all.map(member).collect()
    }

    pub fn describe(&self) -> String {
        let policies = self.policies.iter().map(Applied::describe);
        let transfers = self.forwards.iter().chain(&self.moves).map(Bringing::describe);
        policies.chain(transfers).collect::<Vec<_>>().join("\n")
    }
}

impl Applied {
    pub fn new(name: String, spec: Json) -> Self {
        let spec = serde_json::from_value(spec).expect("a spec");
        let compiled = Policy::compile(ObjectName::new(HOME, &name), &spec).expect("a good spec");
        Self { declared: Declared { namespace: HOME, name, grants: Vec::new(), spec }, compiled: Arc::new(compiled) }
    }

    fn describe(&self) -> String {
        let spec = serde_json::to_string(&self.declared.spec).expect("JSON");
        format!("policy {}: {spec}", self.declared.name)
    }
}

impl Bringing {
    pub fn forward(name: &str, spec: &Json) -> Self {
        let read: ParticipantForwardSpec = serde_json::from_value(spec.clone()).expect("a spec");
        let compiled = Transfer::forward(ObjectName::new(HOME, name), &read).expect("a good spec");
        Self::new(compiled, &spec["source"], read.destination_rooms, read.mode, vec![Kind::Standard, Kind::Ingress])
    }

    fn movement(name: &str, spec: &Json) -> Self {
        let read: ParticipantMoveSpec = serde_json::from_value(spec.clone()).expect("a spec");
        let compiled = Transfer::movement(ObjectName::new(HOME, name), &read).expect("a good spec");
        Self::new(compiled, &spec["source"], vec![read.destination_room], read.mode, vec![Kind::Standard])
    }

    fn new(compiled: Transfer, source: &Json, to: Vec<String>, mode: Mode, kinds: Vec<Kind>) -> Self {
        let mut takes = json!({"name": "takes", "keep": true});
        for field in ["match", "except"] {
            if let Some(value) = source.get(field) {
                takes[field] = value.clone();
            }
        }
        let mut takes: PolicyRule = serde_json::from_value(takes).expect("a rule");
        takes.match_.get_or_insert_default().kinds = kinds;
        let rooms = serde_json::from_value(source["rooms"].clone()).expect("rooms");
        Self { compiled: Arc::new(compiled), rooms, to, mode, takes: Box::new(takes), ending: false }
    }

    /// Whether it takes a participant of a room: to every destination but that room itself.
    pub fn takes(&self, from: &str, participant: &Participant, now: Timestamp) -> bool {
        self.mode == Mode::Enforce
            && !self.ending
            && reference::any_matches(&self.rooms, from)
            && reference::is_about(&self.takes, participant, now)
    }

    pub fn acts(&self) -> bool {
        self.mode == Mode::Enforce
    }

    /// Whether copies of those in a room are its own.
    pub fn owns(&self, from: &str) -> bool {
        self.mode == Mode::Enforce && reference::any_matches(&self.rooms, from)
    }

    fn describe(&self) -> String {
        let Self { compiled, rooms, to, mode, takes, .. } = self;
        let (id, takes) = (&compiled.id, serde_json::to_string(takes).expect("JSON"));
        format!("{:?} {}: {mode:?} from {rooms:?} to {to:?}, {takes}", id.transport, id.name)
    }
}

fn policy(random: &mut Rng, number: usize, now: Timestamp) -> Applied {
    let name = format!("p{number}");
    let count = random.usize(1..4);
    let rules: Vec<Json> = (0..count).map(|number| rules::rule(random, number, now)).collect();
    let mode = if random.u8(0..6) == 0 { "Audit" } else { "Enforce" };
    let spec = json!({
        "serverRef": {"name": "main"},
        "rooms": rules::rooms(random),
        "priority": random.i32(-1..2),
        "mode": mode,
        "suspend": random.u8(0..10) == 0,
        "rules": rules,
    });
    Applied::new(name, spec)
}

fn source(random: &mut Rng, rooms: &[&str]) -> Json {
    let rooms: Vec<_> = rooms.iter().map(|room| json!({"exact": room})).collect();
    match random.u8(0..3) {
        0 => json!({"rooms": rooms}),
        1 => json!({"rooms": rooms, "match": {"attributes": [{"key": "role", "values": [{"exact": "host"}]}]}}),
        _ => json!({"rooms": rooms, "except": [{"identities": [{"exact": "troll"}]}]}),
    }
}

fn forward(random: &mut Rng, number: usize) -> Bringing {
    let from: &[&str] = if random.bool() { &["hall"] } else { &["hall", "hall-2"] };
    let to: &[&str] = match random.u8(0..3) {
        0 => &["overflow"],
        1 => &["annex"],
        _ => &["overflow", "annex"],
    };
    let mode = if random.u8(0..8) == 0 { "Audit" } else { "Enforce" };
    let spec = json!({
        "serverRef": {"name": "main"}, "source": source(random, from), "destinationRooms": to, "mode": mode,
    });
    Bringing::forward(&format!("f{number}"), &spec)
}

fn movement(random: &mut Rng) -> Bringing {
    let spec = json!({
        "serverRef": {"name": "main"}, "source": source(random, &["lobby"]), "destinationRoom": "hall",
    });
    Bringing::movement("m0", &spec)
}

fn limits(random: &mut Rng) -> Limits {
    let number = |number| NonZeroU32::new(number).expect("more than none");
    let rate = (random.u8(0..4) == 0).then(|| Rate { per_second: number(5), burst: number(10) });
    Limits { rate, max_in_flight: if random.u8(0..4) == 0 { 3 } else { 32 } }
}
