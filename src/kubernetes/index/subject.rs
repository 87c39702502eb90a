//! RoomPolicies, ParticipantForwards and ParticipantMoves: what each means.

use std::sync::Arc;

use super::{
    access::Claim,
    table::{Meaning, Outline},
};
use crate::{
    api::{DeletionPolicy, Mode, ParticipantForwardSpec, ParticipantMoveSpec, RoomPolicySpec, ServerRef},
    policy::{ObjectName, Policy, Problem, Transfer},
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
    /// What the engine works from.
    pub compiled: Compiled,
}

/// What the engine works from.
#[derive(Debug)]
pub enum Compiled {
    /// The rules of a RoomPolicy.
    Policy(Arc<Policy>),
    /// A ParticipantForward.
    Forward(Arc<Transfer>, DeletionPolicy),
    /// A ParticipantMove.
    Move(Arc<Transfer>),
}

impl Compiled {
    /// Whether the copies that it makes are to end with it.
    #[must_use]
    pub fn stops(&self) -> bool {
        matches!(self, Self::Forward(_, DeletionPolicy::Stop))
    }
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
            compiled: Compiled::Policy(Arc::new(policy)),
        })
    }

    fn outline(spec: &RoomPolicySpec) -> Outline {
        Outline { server: Some(spec.server_ref.clone()), priority: Some(spec.priority), suspend: spec.suspend }
    }
}

impl Meaning<ParticipantForwardSpec> for Subject {
    fn compile(name: &ObjectName, spec: &ParticipantForwardSpec) -> Result<Self, Vec<Problem>> {
        let transfer = Transfer::forward(name.clone(), spec)?;
        Ok(Self {
            server: referred(name, &spec.server_ref),
            suspend: spec.suspend,
            mode: spec.mode,
            priority: 0,
            claims: spec.source.rooms.iter().map(Claim::of).collect(),
            destinations: spec.destination_rooms.clone(),
            compiled: Compiled::Forward(Arc::new(transfer), spec.deletion_policy),
        })
    }

    fn outline(spec: &ParticipantForwardSpec) -> Outline {
        Outline { server: Some(spec.server_ref.clone()), priority: None, suspend: spec.suspend }
    }
}

impl Meaning<ParticipantMoveSpec> for Subject {
    fn compile(name: &ObjectName, spec: &ParticipantMoveSpec) -> Result<Self, Vec<Problem>> {
        let transfer = Transfer::movement(name.clone(), spec)?;
        Ok(Self {
            server: referred(name, &spec.server_ref),
            suspend: spec.suspend,
            mode: spec.mode,
            priority: 0,
            claims: spec.source.rooms.iter().map(Claim::of).collect(),
            destinations: vec![spec.destination_room.clone()],
            compiled: Compiled::Move(Arc::new(transfer)),
        })
    }

    fn outline(spec: &ParticipantMoveSpec) -> Outline {
        Outline { server: Some(spec.server_ref.clone()), priority: None, suspend: spec.suspend }
    }
}
