//! What the engine works from, and what it says of its work. Both are values, replaced whole.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::{
    api::Features,
    livekit::webhook::Verifier,
    policy::{Counts, Decision, ObjectName, Policy, PolicySet, RuleName, Samples, Transfer, TransferId, TransferSet},
};

/// Every server that may be worked on. There is none of it before all initial lists of objects are complete: nothing
/// is done on what is not known.
#[derive(Debug)]
pub struct Catalog<S> {
    /// By the name of the LiveKitServer. One that cannot be worked on (no Secret, conflicted) is not in it.
    pub servers: HashMap<ObjectName, Server<S>>,
}

/// One server of the catalog.
#[derive(Debug)]
pub struct Server<S> {
    /// What its worker works from.
    pub view: Arc<ServerView<S>>,
    /// Knows all of its keys.
    pub verifier: Arc<Verifier>,
}

/// What the worker of one server works from.
#[derive(Debug)]
pub struct ServerView<S> {
    /// The LiveKitServer.
    pub server: ObjectName,
    /// Its rooms. Another one (by address in memory) means that url, credentials or CA have changed, so that what was
    /// found out about the server counts no more.
    pub service: Arc<S>,
    /// Everything that governs its rooms.
    pub policies: Arc<PolicySet>,
    /// The forwards and moves between its rooms.
    pub transfers: Arc<TransferSet>,
    /// How often a governed room is listed even when no webhook arrives.
    pub resync_interval: Duration,
    /// How much may be asked of the server.
    pub limits: Limits,
    /// Nothing is done while it is set.
    pub suspended: bool,
    /// Rises when somebody asks for a resync now; the report says up to where it was done.
    pub resync_request: u64,
}

/// How much may be asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests a second and how many at once after a pause; `None` for no limit.
    pub rate: Option<Rate>,
    /// Requests under way at the same time.
    pub max_in_flight: usize,
}

/// Requests over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many a second.
    pub per_second: std::num::NonZeroU32,
    /// So many at once after a pause.
    pub burst: std::num::NonZeroU32,
}

/// What has been done to a participant and people want to be told of one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// The LiveKitServer.
    pub server: ObjectName,
    /// The room that the participant was in.
    pub room: Arc<str>,
    /// Who.
    pub identity: Arc<str>,
    /// What was done, and who wanted it.
    pub what: Done,
    /// From noticing that the participant is not as declared to LiveKit's word that this is done. Of forwards and moves,
    /// and of what was never noticed to be otherwise, there is none.
    pub after: Option<Duration>,
}

/// What has been done, and who wanted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was removed, by a rule.
    Removed(RuleName),
    /// Something about it was changed: each field with the rule that decided it, as it was planned. It is told only to who
    /// wants to be told of everything.
    Changed(Vec<Decision>),
    /// A copy of another participant was removed.
    Retired(TransferId),
    /// It was forwarded or moved to another room.
    Brought(TransferId, Arc<str>),
}

/// Who is told of deeds.
#[derive(Clone, Debug)]
pub struct Audience {
    /// Takes them; what it cannot hold is not told.
    pub deeds: mpsc::Sender<Deed>,
    /// Wants to be told of each changed field too, and not only of who was removed or brought elsewhere.
    pub of_changes: bool,
}

/// What the engine knows of every server it works on.
pub type Reports = BTreeMap<ObjectName, Arc<ServerReport>>;

/// What the engine knows of a server and of the policies on it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerReport {
    /// Whether it answers.
    pub health: Health,
    /// What it can do.
    pub features: Features,
    /// Governed rooms in session.
    pub rooms: u32,
    /// Participants in them.
    pub participants: u32,
    /// When every governed room had last been listed.
    pub resynced_at: Option<Timestamp>,
    /// The resync request that has been done, see [`ServerView::resync_request`].
    pub resync_done: u64,
    /// How often a governed room is listed at least, where the request budget is too short for the declared interval.
    pub stretched: Option<Duration>,
    /// The policies of the view.
    pub policies: BTreeMap<ObjectName, PolicyReport>,
    /// The forwards and moves of the view.
    pub transfers: BTreeMap<TransferId, TransferReport>,
}

/// Whether a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not asked yet.
    Unknown,
    /// It answers.
    Good,
    /// It cannot be reached; why.
    Unreachable(String),
    /// It does not accept the key; what it said.
    Unauthorized(String),
    /// It wants fewer requests.
    RateLimited(String),
}

/// What the engine knows of a policy.
#[derive(Clone, Debug)]
pub struct PolicyReport {
    /// The version of the policy that this is about: compare by address.
    pub policy: Arc<Policy>,
    /// Since this version came, every room has been looked at, and what it wanted has been done or has failed.
    /// Stays set until another version comes.
    pub settled: bool,
    /// Its rooms and participants.
    pub counts: Counts,
    /// The policy that decides everything this one speaks of, where there is nothing left to decide.
    pub overridden_by: Option<ObjectName>,
    /// Why something failed; the same text as long as it fails for the same reason.
    pub failure: Option<String>,
    /// It wants tracks unmuted and the server does not let it.
    pub remote_unmute_disabled: bool,
    /// What is not as declared.
    pub samples: Samples,
}

impl PartialEq for PolicyReport {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.policy, &other.policy)
            && (self.settled, self.remote_unmute_disabled, self.counts)
                == (other.settled, other.remote_unmute_disabled, other.counts)
            && (&self.overridden_by, &self.failure, &self.samples)
                == (&other.overridden_by, &other.failure, &other.samples)
    }
}

/// What the engine knows of a forward or a move.
#[derive(Clone, Debug)]
pub struct TransferReport {
    /// The version that this is about: compare by address.
    pub transfer: Arc<Transfer>,
    /// Since this version came, every room has been looked at, and what it wanted has been done or has failed.
    pub settled: bool,
    /// Of a forward that is being deleted: none of its copies is left.
    pub retired: bool,
    /// Of a forward: destinations that it has no more and where copies may stand, sorted.
    pub left: Vec<Arc<str>>,
    /// Its source rooms and the participants that it takes.
    pub counts: Counts,
    /// An identity that is in a destination otherwise than as a copy, in words.
    pub in_use: Option<String>,
    /// A circle of moves that it is part of, in words.
    pub circle: Option<String>,
    /// Somebody ends its copies again and again.
    pub undone: bool,
    /// Why something failed.
    pub failure: Option<String>,
    /// What is not as declared.
    pub samples: Samples,
}

impl PartialEq for TransferReport {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.transfer, &other.transfer)
            && (self.settled, self.retired, self.undone, self.counts, &self.left)
                == (other.settled, other.retired, other.undone, other.counts, &other.left)
            && (&self.in_use, &self.circle, &self.failure, &self.samples)
                == (&other.in_use, &other.circle, &other.failure, &other.samples)
    }
}
