//! What rules can decide about a participant, and how a decision came about.

use std::{fmt, sync::Arc};

use super::participant::{Permission, Publishing};
use crate::api::Source;

/// One thing about a participant that exactly one rule decides: the first in the line that speaks of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// Whether the participant may be in the room at all (`remove`, `keep`).
    Presence,
    /// What it may publish (`canPublish` and `canPublishSources`).
    Publishing,
    /// Another bit of its permission.
    Flag(Flag),
    /// Its display name.
    Name,
    /// Its metadata.
    Metadata,
    /// One of its attributes.
    Attribute(Arc<str>),
    /// Whether its tracks of one source are muted.
    Mute(Source),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Presence => f.write_str("remove"),
            Self::Publishing => f.write_str("permission.canPublish"),
            Self::Flag(flag) => write!(f, "permission.{}", flag.name()),
            Self::Name => f.write_str("name"),
            Self::Metadata => f.write_str("metadata"),
            Self::Attribute(key) => write!(f, "attributes.{key}"),
            Self::Mute(source) => write!(f, "mute.{source:?}"),
        }
    }
}

/// A bit of the permission that stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flag {
    /// `canSubscribe`
    Subscribe,
    /// `canPublishData`
    PublishData,
    /// `canUpdateMetadata`
    UpdateMetadata,
    /// `canSubscribeMetrics`
    SubscribeMetrics,
    /// `canManageAgentSession`
    ManageAgentSession,
}

impl Flag {
    /// Every flag, in the order of [`Flag::index`].
    pub const ALL: [Self; 5] =
        [Self::Subscribe, Self::PublishData, Self::UpdateMetadata, Self::SubscribeMetrics, Self::ManageAgentSession];

    /// Its place in [`Flag::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name in a manifest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Subscribe => "canSubscribe",
            Self::PublishData => "canPublishData",
            Self::UpdateMetadata => "canUpdateMetadata",
            Self::SubscribeMetrics => "canSubscribeMetrics",
            Self::ManageAgentSession => "canManageAgentSession",
        }
    }

    /// Its value in a permission.
    #[must_use]
    pub const fn of(self, permission: &Permission) -> bool {
        match self {
            Self::Subscribe => permission.can_subscribe,
            Self::PublishData => permission.can_publish_data,
            Self::UpdateMetadata => permission.can_update_metadata,
            Self::SubscribeMetrics => permission.can_subscribe_metrics,
            Self::ManageAgentSession => permission.can_manage_agent_session,
        }
    }

    /// Its place in a permission, to be written.
    pub const fn of_mut(self, permission: &mut Permission) -> &mut bool {
        match self {
            Self::Subscribe => &mut permission.can_subscribe,
            Self::PublishData => &mut permission.can_publish_data,
            Self::UpdateMetadata => &mut permission.can_update_metadata,
            Self::SubscribeMetrics => &mut permission.can_subscribe_metrics,
            Self::ManageAgentSession => &mut permission.can_manage_agent_session,
        }
    }
}

/// What a field is, or shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of [`Field::Presence`]: in the room, as it may be.
    Kept,
    /// Of [`Field::Presence`]: not in the room.
    Removed {
        /// Whether LiveKit Cloud is to revoke the participant's tokens too.
        revoke_tokens: bool,
    },
    /// Of [`Field::Publishing`].
    Publishing(Publishing),
    /// Of [`Field::Flag`].
    Flag(bool),
    /// Of [`Field::Name`], [`Field::Metadata`], [`Field::Attribute`].
    Text(Arc<str>),
    /// Of [`Field::Attribute`]: there is none of that key. Of [`Field::Mute`], where a participant is looked at: there
    /// is no track of that source.
    Absent,
    /// Of [`Field::Mute`]; of all the source's tracks together, muted is if each one is.
    Muted(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("present"),
            Self::Removed { .. } => f.write_str("removed"),
            Self::Publishing(publishing) => publishing.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Absent => f.write_str("absent"),
            Self::Muted(true) => f.write_str("muted"),
            Self::Muted(false) => f.write_str("unmuted"),
        }
    }
}

/// Names an object of a cluster. Orders by namespace, then name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl ObjectName {
    /// The name of an object.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Names a rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleName {
    /// The policy.
    pub policy: ObjectName,
    /// The rule's name in it.
    pub rule: Arc<str>,
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.policy, self.rule)
    }
}

/// What one field of one participant shall be and is, who says so and who was overruled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The field.
    pub field: Field,
    /// What it shall be.
    pub wanted: Value,
    /// What it was when it was looked at.
    pub seen: Value,
    /// The rule that decided.
    pub by: RuleName,
    /// The rules that spoke of the field too, in the order in which they would have come.
    pub over: Vec<RuleName>,
}
