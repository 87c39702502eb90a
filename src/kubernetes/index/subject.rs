//! RoomPolicies, ParticipantForwards and ParticipantMoves: what each means.

use std::sync::Arc;

use super::{
    access::Claim,
    table::{Meaning, Outline},
};
use crate::{
    api::{
        ForwardSource, Kind, Mode, ParticipantForwardSpec, ParticipantMoveSpec, RoomPolicySpec, ServerRef, State,
        StringMatch,
    },
    policy::{Defaults, Guard, ObjectName, Path, Patterns, Policy, Problem, Problems, Scope},
};

/// What an object that governs rooms means.
#[derive(Debug)]
pub struct Subject {
    /// The server whose rooms it governs.
    pub server: ObjectName,
    /// It is to do nothing.
    pub suspend: bool,
    /// Whether it is to act or only to report.
    pub mode: Mode,
    /// Its priority; of forwards and moves 0.
    pub priority: i32,
    /// The rooms it wants to govern.
    pub claims: Vec<Claim>,
    /// The rooms it wants to bring participants into, by name.
    pub destinations: Vec<String>,
    /// Its rules, where it has any.
    pub policy: Option<Arc<Policy>>,
}

/// The server that a reference names.
pub(super) fn referred(from: &ObjectName, reference: &ServerRef) -> ObjectName {
    ObjectName::new(reference.namespace.as_deref().unwrap_or(&from.namespace), &reference.name)
}

impl Meaning<RoomPolicySpec> for Subject {
    fn compile(name: &ObjectName, spec: &RoomPolicySpec) -> Result<Self, Vec<Problem>> {
        let policy = Policy::compile(name.clone(), spec)?;
        Ok(Self {
            server: referred(name, &spec.server_ref),
            suspend: spec.suspend,
            mode: spec.mode,
            priority: spec.priority,
            claims: spec.rooms.iter().map(Claim::of).collect(),
            destinations: Vec::new(),
            policy: Some(Arc::new(policy)),
        })
    }

    fn outline(spec: &RoomPolicySpec) -> Outline {
        Outline { server: Some(spec.server_ref.clone()), priority: Some(spec.priority), suspend: spec.suspend }
    }
}

impl Meaning<ParticipantForwardSpec> for Subject {
    fn compile(name: &ObjectName, spec: &ParticipantForwardSpec) -> Result<Self, Vec<Problem>> {
        let kinds: &'static [Kind] = &[Kind::Standard, Kind::Ingress];
        let mut problems = Problems::default();
        check_source(&spec.source, kinds, &mut problems);
        let (root, to) = (Path::root("spec"), "destinationRooms");
        for (index, destination) in spec.destination_rooms.iter().enumerate() {
            check_destination(&spec.source, destination, &root.field(to).index(index), &mut problems);
        }
        problems.into_result()?;
        Ok(Self {
            server: referred(name, &spec.server_ref),
            suspend: spec.suspend,
            mode: spec.mode,
            priority: 0,
            claims: spec.source.rooms.iter().map(Claim::of).collect(),
            destinations: spec.destination_rooms.clone(),
            policy: None,
        })
    }

    fn outline(spec: &ParticipantForwardSpec) -> Outline {
        Outline { server: Some(spec.server_ref.clone()), priority: None, suspend: spec.suspend }
    }
}

impl Meaning<ParticipantMoveSpec> for Subject {
    fn compile(name: &ObjectName, spec: &ParticipantMoveSpec) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        check_source(&spec.source, &[Kind::Standard], &mut problems);
        let root = Path::root("spec");
        check_destination(&spec.source, &spec.destination_room, &root.field("destinationRoom"), &mut problems);
        problems.into_result()?;
        Ok(Self {
            server: referred(name, &spec.server_ref),
            suspend: spec.suspend,
            mode: spec.mode,
            priority: 0,
            claims: spec.source.rooms.iter().map(Claim::of).collect(),
            destinations: vec![spec.destination_room.clone()],
            policy: None,
        })
    }

    fn outline(spec: &ParticipantMoveSpec) -> Outline {
        Outline { server: Some(spec.server_ref.clone()), priority: None, suspend: spec.suspend }
    }
}

fn check_source(source: &ForwardSource, kinds: &'static [Kind], problems: &mut Problems) {
    let root = Path::root("spec");
    let path = root.field("source");
    Patterns::compile(&source.rooms, &path.field("rooms"), problems);
    let defaults = Defaults { kinds, states: &[State::Active], sees_all: false };
    Scope::compile(source.match_.as_ref(), &source.except, defaults, Guard::default(), &path, problems);
}

fn check_destination(source: &ForwardSource, destination: &str, path: &Path<'_>, problems: &mut Problems) {
    if source.rooms.iter().any(|room| matches!(room, StringMatch::Exact(exact) if exact == destination)) {
        problems.add(path, "is a source room too: remove it from one of the two");
    }
}
