//! A participant and what can be changed about it.

use std::{collections::BTreeMap, sync::Arc};

use livekit_protocol::{
    DisconnectReason, ParticipantInfo, ParticipantPermission, TrackSource,
    participant_info::{Kind, KindDetail, State},
};

use super::{
    sid::Sid,
    track::{Publication, Track},
};
use crate::simulator::clock::Moment;

/// What a token says of the participant that joins with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// The room.
    pub room: String,
    /// Who.
    pub identity: String,
    /// The name others see.
    pub name: String,
    /// Metadata.
    pub metadata: String,
    /// Attributes.
    pub attributes: BTreeMap<String, String>,
    /// What kind of participant.
    pub kind: Kind,
    /// And more exactly.
    pub kind_details: Vec<KindDetail>,
    /// What it may do.
    pub permission: ParticipantPermission,
    /// Since when the token is good, in seconds of Unix time: what a revocation looks at. None is now.
    pub issued_at: Option<i64>,
}

impl Join {
    /// Somebody of kind Standard who may do what LiveKit allows where a token says nothing (auth/grants.go).
    #[must_use]
    pub fn new(room: &str, identity: &str) -> Self {
        Self {
            room: room.to_owned(),
            identity: identity.to_owned(),
            name: String::new(),
            metadata: String::new(),
            attributes: BTreeMap::new(),
            kind: Kind::Standard,
            kind_details: Vec::new(),
            permission: ParticipantPermission {
                can_subscribe: true,
                can_publish: true,
                can_publish_data: true,
                ..Default::default()
            },
            issued_at: None,
        }
    }

    /// The same with an attribute.
    #[must_use]
    pub fn attribute(mut self, key: &str, value: &str) -> Self {
        self.attributes.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The same with another permission.
    #[must_use]
    pub fn permission(mut self, change: impl FnOnce(&mut ParticipantPermission)) -> Self {
        change(&mut self.permission);
        self
    }
}

/// What to change of a participant: empty texts change nothing, an empty value deletes its attribute.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the names are LiveKit's")]
pub struct Change {
    pub name: String,
    pub metadata: String,
    pub attributes: BTreeMap<String, String>,
}

/// Tracks are few, attributes as well, and participants many: plain boxes take the least memory.
#[derive(Clone, Debug)]
pub(super) struct Participant {
    pub(super) sid: Sid,
    pub(super) identity: Arc<str>,
    pub(super) state: State,
    pub(super) kind: Kind,
    pub(super) version: u32,
    /// How many tracks it has ever published in this session.
    published: u32,
    publisher: bool,
    pub(super) joined: Moment,
    name: Box<str>,
    metadata: Box<str>,
    /// Sorted by key.
    attributes: Vec<(Box<str>, Box<str>)>,
    kind_details: Vec<KindDetail>,
    pub(super) permission: ParticipantPermission,
    pub(super) tracks: Vec<Track>,
    /// The rooms in which there are copies of it.
    pub(super) copies: Vec<Arc<str>>,
    /// The room it is a copy from.
    pub(super) copy_of: Option<Arc<str>>,
}

impl Participant {
    pub(super) fn new(sid: Sid, join: Join, now: Moment) -> Self {
        Self {
            sid,
            identity: join.identity.into(),
            state: State::Joining,
            kind: join.kind,
            version: 0,
            published: 0,
            publisher: false,
            joined: now,
            name: join.name.into(),
            metadata: join.metadata.into(),
            attributes: join.attributes.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
            kind_details: join.kind_details,
            permission: join.permission,
            tracks: Vec::new(),
            copies: Vec::new(),
            copy_of: None,
        }
    }

    /// The claims of the token that the server last sent it (roommanager.go refreshToken): with them it comes back as
    /// it was. The details of its kind are not among them.
    pub(super) fn claims(&self, room: &str, now: Moment) -> Join {
        Join {
            room: room.to_owned(),
            identity: self.identity.to_string(),
            name: self.name.to_string(),
            metadata: self.metadata.to_string(),
            attributes: self.attributes.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            kind: self.kind,
            kind_details: Vec::new(),
            permission: self.permission.clone(),
            issued_at: Some(now.seconds()),
        }
    }

    /// A copy of it for another room, without tracks.
    pub(super) fn copy(&self, sid: Sid, from: Arc<str>, now: Moment) -> Self {
        let mut copy = Self {
            sid,
            version: 2,
            published: 0,
            publisher: false,
            joined: now,
            tracks: Vec::new(),
            copies: Vec::new(),
            copy_of: Some(from),
            ..self.clone()
        };
        if !copy.kind_details.contains(&KindDetail::Forwarded) {
            copy.kind_details.push(KindDetail::Forwarded);
        }
        copy
    }

    /// Not counted among a room's participants (rtc/participant.go IsDependent).
    pub(super) fn is_dependent(&self) -> bool {
        #[allow(deprecated, reason = "LiveKit still looks at them")]
        let flagged = self.permission.agent || self.permission.recorder;
        flagged || matches!(self.kind, Kind::Agent | Kind::Egress)
    }

    pub(super) fn is_recorder(&self) -> bool {
        #[allow(deprecated, reason = "LiveKit still looks at it")]
        let flagged = self.permission.recorder;
        flagged || self.kind == Kind::Egress
    }

    pub(super) fn is_publisher(&self) -> bool {
        self.publisher && self.permission.can_publish
    }

    /// Whether it may publish a track that is said to be of this source: an empty list is every source.
    pub(super) fn may_publish(&self, source: TrackSource) -> bool {
        let sources = &self.permission.can_publish_sources;
        self.permission.can_publish && (sources.is_empty() || sources.contains(&i32::from(source)))
    }

    /// Publishes a track; false when that is not allowed.
    pub(super) fn publish(&mut self, sid: Sid, publication: &Publication, now: Moment) -> Option<&Track> {
        if !self.may_publish(publication.source) {
            return None;
        }
        self.version += if self.publisher { 1 } else { 2 };
        self.publisher = true;
        self.published += 1;
        self.tracks.push(Track {
            sid,
            media: publication.media,
            source: publication.source,
            name: publication.name.as_str().into(),
            muted: publication.muted,
            published: now,
            mid: self.published - 1,
        });
        self.tracks.last()
    }

    /// Changes what is given, one step of the version for each (rtc/participant.go SetName, SetMetadata,
    /// SetAttributes). Equal attributes are a change nevertheless.
    pub(super) fn change(&mut self, change: &Change) {
        if !change.name.is_empty() && *self.name != *change.name {
            self.name = change.name.as_str().into();
            self.version += 1;
        }
        if !change.metadata.is_empty() && *self.metadata != *change.metadata {
            self.metadata = change.metadata.as_str().into();
            self.version += 1;
        }
        if change.attributes.is_empty() {
            return;
        }
        self.version += 1;
        for (key, value) in &change.attributes {
            match (self.attributes.binary_search_by(|(known, _)| (**known).cmp(key)), value.as_str()) {
                (Ok(at), "") => drop(self.attributes.remove(at)),
                (Ok(at), value) => self.attributes[at].1 = value.into(),
                (Err(_), "") => {}
                (Err(at), value) => self.attributes.insert(at, (key.as_str().into(), value.into())),
            }
        }
    }

    /// Replaces the permission; the answer is the tracks that are no longer allowed and are unpublished by it.
    pub(super) fn permit(&mut self, permission: &ParticipantPermission) -> Vec<Track> {
        if self.permission == *permission {
            return Vec::new();
        }
        self.permission.clone_from(permission);
        // LiveKit keeps the sources by name, and has no name for others.
        for source in &mut self.permission.can_publish_sources {
            *source = TrackSource::try_from(*source).unwrap_or(TrackSource::Unknown).into();
        }
        self.version += 1;
        let (stay, go) = std::mem::take(&mut self.tracks).into_iter().partition(|track| self.may_publish(track.source));
        self.tracks = stay;
        go
    }

    /// Mutes or unmutes a track; none when there is no such track.
    pub(super) fn mute(&mut self, track: &str, muted: bool) -> Option<&Track> {
        let track = self.tracks.iter_mut().find(|known| known.sid.to_string() == track)?;
        self.version += u32::from(track.muted != muted);
        track.muted = muted;
        Some(track)
    }

    pub(super) fn leave(&mut self) {
        self.version += 1;
        self.state = State::Disconnected;
    }

    pub(super) fn info(&self) -> ParticipantInfo {
        ParticipantInfo {
            sid: self.sid.to_string(),
            identity: self.identity.to_string(),
            state: self.state.into(),
            tracks: self.tracks.iter().map(Track::info).collect(),
            metadata: self.metadata.to_string(),
            joined_at: self.joined.seconds(),
            joined_at_ms: self.joined.millis(),
            name: self.name.to_string(),
            version: self.version,
            permission: Some(self.permission.clone()),
            is_publisher: self.is_publisher(),
            kind: self.kind.into(),
            attributes: self.attributes.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            kind_details: self.kind_details.iter().map(|detail| (*detail).into()).collect(),
            ..Default::default()
        }
    }

    pub(super) fn farewell(&self, reason: DisconnectReason) -> ParticipantInfo {
        ParticipantInfo { disconnect_reason: reason.into(), tracks: Vec::new(), ..self.info() }
    }
}
