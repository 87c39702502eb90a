//! Participants that behave by themselves.

mod play;

use std::{ops::RangeInclusive, time::Duration};

use livekit_protocol::TrackSource;

use super::{Change, Join};

pub use play::Play;

/// Who comes to which rooms, how often, and what they do there.
#[derive(Clone, Debug)]
pub struct Script {
    /// The rooms, of which each who comes is in one, in turn.
    pub rooms: Vec<String>,
    /// How many are there at once; nobody else comes before somebody has gone.
    pub participants: usize,
    /// How many come within a second, on average. Zero: all come at once, and later whenever there is a place.
    pub joins_per_second: f64,
    /// How long each stays before it leaves by itself; none is for ever.
    pub stay: Option<RangeInclusive<Duration>>,
    /// Who comes, by weight.
    pub roles: Vec<Role>,
}

/// A kind of participant.
#[derive(Clone, Debug)]
pub struct Role {
    /// How many of them come, in proportion to those of other roles.
    pub weight: u32,
    /// What identities begin with; a number follows.
    pub identity: String,
    /// What their first token says. Room and identity are filled in.
    pub token: Join,
    /// What they publish when they come, and again whenever they look and do not have it.
    pub publishes: Vec<TrackSource>,
    /// How often they look after themselves: publish what was unpublished, as far as they may, and do what the habits
    /// say. None is never.
    pub looks: Option<RangeInclusive<Duration>>,
    /// What they do when they look.
    pub habits: Habits,
}

/// What somebody does who looks after itself.
#[derive(Clone, Debug, Default)]
pub struct Habits {
    /// Unmutes its muted tracks.
    pub unmutes: bool,
    /// Changes itself, as far as it may.
    pub changes: Option<Change>,
    /// Reconnects with the token that the server last sent, and so with a new sid, with this chance.
    pub reconnects: f64,
    /// When it was removed, comes back with its first token.
    pub comes_back: bool,
}

impl Role {
    /// Somebody who comes and does nothing.
    #[must_use]
    pub fn new(identity: &str) -> Self {
        Self {
            weight: 1,
            identity: identity.to_owned(),
            token: Join::new("", ""),
            publishes: Vec::new(),
            looks: None,
            habits: Habits::default(),
        }
    }
}
