//! What is to become of a copy, or of the place where one should be.

use std::sync::Arc;

use jiff::Timestamp;

use super::{participant::Participant, transfer::Transfer, ways::Ways};

/// How an identity is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nobody knows.
    Unknown,
    /// Not at all.
    Absent,
    /// As a copy (kind detail FORWARDED).
    Copy,
    /// Otherwise: nobody else of that identity can be brought there.
    InUse,
}

impl Presence {
    /// How a participant that was seen is there.
    #[must_use]
    pub fn of(participant: &Participant) -> Self {
        if participant.forwarded { Self::Copy } else { Self::InUse }
    }
}

/// The forward that a copy in `room` has to go for: one that owns it, where no forward wants it. `sources` is
/// everybody of the copy's identity in other rooms, as far as those can be a source of `ways`.
///
/// A forward owns the copies in its destinations whose identity is in its source rooms. Where the source has gone,
/// LiveKit ends the copy by itself, so that a listing that shows nobody ends nothing here.
#[must_use]
pub fn retired_by<'a>(
    room: &str,
    ways: &'a Ways,
    sources: &[(&str, &Participant)],
    now: Timestamp,
) -> Option<&'a Arc<Transfer>> {
    let present = |forward: &Transfer| {
        let is_source = |(from, participant): &&(&str, &Participant)| {
            *from != room && forward.rooms.matches(from) && forward.counts(participant)
        };
        sources.iter().filter(is_source).map(|(_, participant)| *participant).collect::<Vec<_>>()
    };
    let mut owner = None;
    for forward in ways.copies.iter().filter(|forward| forward.acts()) {
        let present = present(forward);
        if present.iter().any(|participant| forward.takes(participant, now).0) {
            return None;
        }
        if !present.is_empty() {
            owner = owner.or(Some(forward));
        }
    }
    let ended = ways.ended.iter().filter(|one| one.leads_to(room));
    owner.or_else(|| ended.into_iter().find(|ended| !present(ended).is_empty()))
}
