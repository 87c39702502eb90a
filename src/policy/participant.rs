//! A participant of a room as the planner sees it: LiveKit's `ParticipantInfo` without what no rule can speak of.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use litemap::LiteMap;

use crate::api::{Kind, Source, State};

/// A participant's attributes by key. Most have few, and there are many participants: a tree would take ten times as
/// much memory.
pub type Attributes = LiteMap<Box<str>, Box<str>>;

/// A participant as it was observed. There are many: texts that never grow have no room to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Session id, given by the server; another one after each full reconnect.
    pub sid: Box<str>,
    /// Identity, given by the token; one participant of a room at a time has it.
    pub identity: Arc<str>,
    /// Display name, maybe empty.
    pub name: Box<str>,
    /// Metadata, maybe empty.
    pub metadata: Box<str>,
    /// Attributes by key; LiveKit never stores an empty value.
    pub attributes: Attributes,
    /// What kind of client it is; `None` for a kind this version does not know, which no rule ever matches.
    pub kind: Option<Kind>,
    /// How far its connection has come.
    pub state: State,
    /// What it may do.
    pub permission: Permission,
    /// Its published tracks.
    pub tracks: Vec<Track>,
    /// When this session began, by the server's clock.
    pub joined_at: Timestamp,
    /// Whether it is a copy made by ForwardParticipant (kind detail FORWARDED).
    pub forwarded: bool,
    /// Rises with each change within a session.
    pub version: u32,
}

impl Participant {
    /// Somebody of kind Standard who is connected and may do what an ordinary token allows, and nothing else yet.
    #[must_use]
    pub fn new(sid: &str, identity: &str, joined_at: Timestamp) -> Self {
        Self {
            sid: sid.into(),
            identity: identity.into(),
            name: Box::default(),
            metadata: Box::default(),
            attributes: Attributes::new(),
            kind: Some(Kind::Standard),
            state: State::Active,
            permission: Permission {
                can_subscribe: true,
                can_publish: true,
                can_publish_data: true,
                ..Permission::default()
            },
            tracks: Vec::new(),
            joined_at,
            forwarded: false,
            version: 1,
        }
    }
}

/// LiveKit's `ParticipantPermission`, whole: UpdateParticipant replaces all of it, so what no rule names must be sent
/// back as it was (auth/grants.go, `UpdateFromPermission`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Permission {
    /// May receive tracks.
    pub can_subscribe: bool,
    /// May publish tracks; together with `sources` one field, see [`Permission::publishing`].
    pub can_publish: bool,
    /// The sources it may publish; an empty set means every source.
    pub sources: Sources,
    /// May publish data.
    pub can_publish_data: bool,
    /// May change its own name, metadata and attributes.
    pub can_update_metadata: bool,
    /// May subscribe to metrics.
    pub can_subscribe_metrics: bool,
    /// May manage agent sessions.
    pub can_manage_agent_session: bool,
    /// Not shown to others; always carried over.
    pub hidden: bool,
    /// A recorder; always carried over.
    pub recorder: bool,
    /// An agent; always carried over.
    pub agent: bool,
}

impl Permission {
    /// What may be published: the one field that `can_publish` and `sources` are together.
    #[must_use]
    pub fn publishing(&self) -> Publishing {
        match (self.can_publish, self.sources) {
            (false, _) => Publishing::Nothing,
            (true, Sources::NONE) => Publishing::Everything,
            (true, sources) => Publishing::Only(sources),
        }
    }

    /// The same permission with another answer to what may be published.
    #[must_use]
    pub fn with_publishing(mut self, publishing: Publishing) -> Self {
        (self.can_publish, self.sources) = match publishing {
            // An empty list would say "every source", so it never goes out with `can_publish`.
            Publishing::Nothing | Publishing::Only(Sources::NONE) => (false, Sources::NONE),
            Publishing::Everything => (true, Sources::NONE),
            Publishing::Only(sources) => (true, sources),
        };
        self
    }
}

/// What a participant may publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Publishing {
    /// No track.
    Nothing,
    /// Tracks that claim one of these sources.
    Only(Sources),
    /// Every track, also one that claims no source.
    Everything,
}

impl Publishing {
    /// Whether everything that `self` allows is allowed by `other` too.
    #[must_use]
    pub fn within(self, other: Self) -> bool {
        match (self, other) {
            (Self::Nothing, _) | (_, Self::Everything) => true,
            (Self::Only(a), Self::Only(b)) => a.without(b).is_empty(),
            (Self::Everything | Self::Only(_), _) => false,
        }
    }

    /// What both allow.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Everything, other) => other,
            (one, Self::Everything) => one,
            (Self::Only(a), Self::Only(b)) => Self::Only(a).minus(a.without(b)),
            (Self::Nothing, _) | (_, Self::Nothing) => Self::Nothing,
        }
    }

    /// Whether LiveKit lets a track be published that claims this source.
    #[must_use]
    pub fn allows(self, claim: Sources) -> bool {
        Self::Only(claim).within(self)
    }

    /// What is left of it without some sources.
    #[must_use]
    pub fn minus(self, taken: Sources) -> Self {
        match self {
            Self::Only(sources) if sources.without(taken).is_empty() => Self::Nothing,
            Self::Only(sources) => Self::Only(sources.without(taken)),
            other => other,
        }
    }
}

impl fmt::Display for Publishing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Everything => f.write_str("everything"),
            Self::Only(sources) => sources.fmt(f),
        }
    }
}

/// A set of track sources, LiveKit's `UNKNOWN` among them. One bit a source, numbered as in `TrackSource`
/// (livekit_models.proto).
///
/// It has room for sources that only a later LiveKit knows: were they dropped from what a participant may publish,
/// the list sent back might be empty, which means every source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sources(u32);

impl Sources {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// The four sources that rules can name.
    pub const NAMED: Self = Self(0b1_1110);
    /// The source of a track that claims none.
    pub const UNKNOWN: Self = Self(1);

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a source is in the set.
    #[must_use]
    pub const fn contains(self, source: Source) -> bool {
        self.0 & Self::of(source).0 != 0
    }

    /// The set of one source.
    #[must_use]
    pub const fn of(source: Source) -> Self {
        Self(1 << number(source))
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// LiveKit's numbers of the sources in the set, rising.
    pub fn numbers(self) -> impl Iterator<Item = i32> {
        (0..SOURCE_BITS).filter(move |number| self.0 & (1 << number) != 0)
    }

    /// The set of LiveKit's numbers.
    #[must_use]
    pub fn from_numbers(numbers: &[i32]) -> Self {
        let known = numbers.iter().filter(|number| (0..SOURCE_BITS).contains(*number));
        Self(known.fold(0, |set, number| set | 1 << number))
    }
}

impl FromIterator<Source> for Sources {
    fn from_iter<I: IntoIterator<Item = Source>>(sources: I) -> Self {
        sources.into_iter().fold(Self::NONE, |set, source| set.with(Self::of(source)))
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for number in self.numbers() {
            match ALL_SOURCES.into_iter().find(|source| i32::from(self::number(*source)) == number) {
                Some(source) => list.entry(&source),
                None if number == 0 => list.entry(&format_args!("Unknown")),
                None => list.entry(&number),
            };
        }
        list.finish()
    }
}

/// How many numbers of sources a set has room for; LiveKit gives out five so far.
const SOURCE_BITS: i32 = 32;

/// The sources that rules can name, in LiveKit's order.
pub const ALL_SOURCES: [Source; 4] =
    [Source::Camera, Source::Microphone, Source::ScreenShare, Source::ScreenShareAudio];

/// The number of a source in `TrackSource` (livekit_models.proto); 0 is `UNKNOWN`.
#[must_use]
pub const fn number(source: Source) -> u8 {
    match source {
        Source::Camera => 1,
        Source::Microphone => 2,
        Source::ScreenShare => 3,
        Source::ScreenShareAudio => 4,
    }
}

/// A published track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// The track's id; another one after each publication.
    pub sid: String,
    /// What flows in it: the one thing the server knows by itself.
    pub media: Media,
    /// What the client says it is; `None` where it says nothing.
    pub claimed: Option<Source>,
    /// Whether it is muted.
    pub muted: bool,
}

/// What flows in a track (`TrackType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
    /// Data, which is of no source.
    Data,
}

impl Track {
    /// The source the track counts as. LiveKit checks only what the client claims, never what flows in the track, so
    /// sound that claims to be neither microphone nor screen counts as a microphone, and pictures that claim to be
    /// neither camera nor screen count as a camera.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        match (self.media, self.claimed) {
            (Media::Audio, Some(Source::ScreenShareAudio)) => Some(Source::ScreenShareAudio),
            (Media::Audio, _) => Some(Source::Microphone),
            (Media::Video, Some(Source::ScreenShare)) => Some(Source::ScreenShare),
            (Media::Video, _) => Some(Source::Camera),
            (Media::Data, _) => None,
        }
    }

    /// The source LiveKit takes the track for when it checks the permission.
    #[must_use]
    pub fn claim(&self) -> Sources {
        self.claimed.map_or(Sources::UNKNOWN, Sources::of)
    }
}
