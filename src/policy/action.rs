//! What is to be done about one participant, and what is not done although it should be.

use std::{fmt, sync::Arc};

use jiff::Timestamp;

use super::{
    field::Decision,
    line::Place,
    participant::{Permission, Sources},
    rule::OnceKey,
    session::Session,
};

/// What to do about one participant now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they must happen.
    pub actions: Vec<Action>,
    /// What is not as declared and is not acted upon now.
    pub open: Vec<Open>,
    /// OncePerTrack effects that need no action, for the tracks are as wanted: they have had their turn.
    pub settled: Vec<(String, OnceKey)>,
    /// When to plan again though nothing is heard of the participant.
    pub wake: Option<Timestamp>,
}

/// One request to LiveKit, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// RemoveParticipant.
    Remove {
        /// Whether LiveKit Cloud is to revoke the participant's tokens too.
        revoke_tokens: bool,
        /// Why.
        why: Decision,
    },
    /// UpdateParticipant.
    Update(Update),
    /// MutePublishedTrack.
    Mute {
        /// The track.
        track: String,
        /// Mute or unmute.
        muted: bool,
        /// The OncePerTrack effect that has its turn by this.
        once: Option<OnceKey>,
        /// Why.
        why: Decision,
    },
}

/// An UpdateParticipant: only what changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// The whole new permission.
    pub permission: Option<Permission>,
    /// The new display name.
    pub name: Option<Arc<str>>,
    /// The new metadata.
    pub metadata: Option<Arc<str>>,
    /// Attributes to set, or with `None` to remove.
    pub attributes: Vec<(Arc<str>, Option<Arc<str>>)>,
    /// The sources that the new permission lacks only so that tracks are unpublished. They are given back next.
    pub withdraws: Sources,
    /// The ids of these tracks.
    pub unpublishes: Vec<String>,
    /// Why.
    pub why: Vec<Decision>,
}

impl Update {
    /// How many of permission, name, metadata and attributes it has.
    #[must_use]
    pub fn parts(&self) -> usize {
        usize::from(self.permission.is_some())
            + usize::from(self.name.is_some())
            + usize::from(self.metadata.is_some())
            + usize::from(!self.attributes.is_empty())
    }
}

impl Action {
    /// The decisions it carries out.
    #[must_use]
    pub fn why(&self) -> &[Decision] {
        match self {
            Self::Remove { why, .. } | Self::Mute { why, .. } => std::slice::from_ref(why),
            Self::Update(update) => &update.why,
        }
    }

    /// Whether it is computed from the whole of what was seen, so that an old observation makes a wrong request.
    #[must_use]
    pub fn needs_fresh_base(&self) -> bool {
        match self {
            Self::Remove { .. } => true,
            Self::Update(update) => update.permission.is_some(),
            Self::Mute { .. } => false,
        }
    }
}

/// Something that is not as declared and is not acted upon now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// What it is.
    pub decision: Decision,
    /// Why nothing is done.
    pub because: Because,
}

/// Why nothing is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// Somebody undoes every correction; the next one comes at this moment.
    Damped(Timestamp),
    /// The identity was removed a moment ago; the next removal comes at this moment.
    JustRemoved(Timestamp),
    /// An object of higher place is not understood and might protect the participant.
    Unknown,
    /// The server refused it.
    Refused(Arc<str>),
    /// The participant published other things under a source so often that it stays withdrawn in this session.
    StaysWithdrawn,
    /// The server does not let tracks be unmuted.
    RemoteUnmuteDisabled,
}

/// What a plan depends on beside the rules and the participant.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// What is remembered of the session.
    pub session: &'a Session,
    /// When the identity was last removed from the room.
    pub removed_at: Option<Timestamp>,
    /// Whether the server lets tracks be unmuted, as far as is known.
    pub can_unmute: bool,
    /// From this place in the line on, nothing may be removed.
    pub unknown_from: Option<&'a Place>,
    /// The time.
    pub now: Timestamp,
}

impl fmt::Display for Because {
    /// Without the moments, for what stands in status must not tick.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damped(_) => "something undoes every correction, so the next ones come later and later",
            Self::JustRemoved(_) => "was removed a moment ago and is back; is removed again at most once a second",
            Self::Unknown => "is not removed while a policy of higher place is invalid, which might keep it",
            Self::Refused(message) => return write!(f, "the server refused it: {message}"),
            Self::StaysWithdrawn => {
                "other media was published under this source three times in a session, so it stays withdrawn"
            }
            Self::RemoteUnmuteDisabled => "the server does not let tracks be unmuted: set room.enable_remote_unmute",
        })
    }
}
