//! What the four kinds have in common, so that everything else is written once.

use std::fmt::{self, Debug};

use kube::{Resource, api::ApiResource, core::NamespaceResourceScope};
use serde::{Serialize, de::DeserializeOwned};

use super::index::{Meaning, ServerMeaning, Subject};
use crate::{
    api::{
        LiveKitServer, LiveKitServerSpec, LiveKitServerStatus, ParticipantForward, ParticipantForwardSpec,
        ParticipantMove, ParticipantMoveSpec, PolicyStatus, RoomPolicy, RoomPolicySpec,
    },
    policy::ObjectName,
};

/// One of our kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// LiveKitServer
    Server,
    /// RoomPolicy
    Policy,
    /// ParticipantForward
    Forward,
    /// ParticipantMove
    Move,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Server, Self::Policy, Self::Forward, Self::Move];

    /// Its name in a manifest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "LiveKitServer",
            Self::Policy => "RoomPolicy",
            Self::Forward => "ParticipantForward",
            Self::Move => "ParticipantMove",
        }
    }

    /// The same for a client.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        match self {
            Self::Server => ApiResource::erase::<LiveKitServer>(&()),
            Self::Policy => ApiResource::erase::<RoomPolicy>(&()),
            Self::Forward => ApiResource::erase::<ParticipantForward>(&()),
            Self::Move => ApiResource::erase::<ParticipantMove>(&()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names an object of one of our kinds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace and name.
    pub name: ObjectName,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// An object of one of our kinds, as the API server has it.
pub trait Governing:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug + Send + Sync + 'static
{
    /// Which kind it is.
    const KIND: Kind;
    /// Its spec.
    type Spec;
    /// Its status.
    type Status: DeserializeOwned + Serialize + Clone + Debug + Default + Send + Sync;
    /// What its spec means once it is compiled.
    type Meaning: Meaning<Self::Spec>;

    /// Its spec.
    fn spec(&self) -> &Self::Spec;
    /// Its status.
    fn take_status(&mut self) -> Option<Self::Status>;
}

macro_rules! governing {
    ($($object:ident, $kind:ident, $spec:ident, $status:ident, $meaning:ident;)+) => {
        $(impl Governing for $object {
            const KIND: Kind = Kind::$kind;
            type Spec = $spec;
            type Status = $status;
            type Meaning = $meaning;

            fn spec(&self) -> &$spec {
                &self.spec
            }

            fn take_status(&mut self) -> Option<$status> {
                self.status.take()
            }
        })+
    };
}

governing! {
    LiveKitServer, Server, LiveKitServerSpec, LiveKitServerStatus, ServerMeaning;
    RoomPolicy, Policy, RoomPolicySpec, PolicyStatus, Subject;
    ParticipantForward, Forward, ParticipantForwardSpec, PolicyStatus, Subject;
    ParticipantMove, Move, ParticipantMoveSpec, PolicyStatus, Subject;
}
