//! What is known of a room, and how new knowledge replaces old.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::queue::Urgency;
use crate::policy::{Action, Line, OnceKey, Participant, Session, Track};

/// From an observation older than this nothing is computed that LiveKit takes as a whole.
pub(super) const FRESH: Duration = Duration::from_secs(2);
/// A `participant_joined` older than this tells who joined, and no more what the participant is.
pub(super) const PROMPT: Duration = Duration::from_secs(5);
/// Whoever is missing from so many listings in a row has left. One listing may be wrong.
const MISSED: u8 = 2;

/// A governed room.
#[derive(Debug)]
pub(super) struct Room {
    /// Its name, shared with everything that names it.
    pub(super) name: Arc<str>,
    /// What holds in it.
    pub(super) line: Arc<Line>,
    /// Who is in it, by identity.
    pub(super) records: HashMap<Arc<str>, Record>,
    /// When each identity was last removed; of the last seconds only.
    pub(super) removals: HashMap<Arc<str>, Timestamp>,
    /// When the last successful listing began.
    pub(super) listed: Option<Instant>,
    /// It was heard of from its very beginning, so that everybody in it is known without a listing.
    pub(super) whole: bool,
    /// Whether a listing is queued or under way.
    pub(super) listing: bool,
    /// When the next listing is due; an older timer is void.
    pub(super) due: Instant,
    /// Listings of rooms in a row that lacked this room.
    pub(super) missed: u8,
    /// When the next rule of the line begins or ends.
    pub(super) wake: Option<Timestamp>,
    /// When the room was first heard of.
    pub(super) since: Instant,
}

/// What is known of a participant.
#[derive(Debug)]
pub(super) struct Record {
    /// As last seen.
    pub(super) participant: Participant,
    /// When the observation began that `participant` comes from; `None` where that was too long ago to act on.
    pub(super) observed: Option<Instant>,
    /// When the record was last changed.
    pub(super) changed: Instant,
    /// What LiveKit does not show.
    pub(super) session: Session,
    /// A request for this participant is under way.
    pub(super) busy: bool,
    /// It is queued, this urgently.
    pub(super) queued: Option<Urgency>,
    /// When to look again though nothing is heard.
    pub(super) wake: Option<Timestamp>,
    /// The last request that failed.
    pub(super) failure: Option<Failure>,
    /// What was carried out last and should show in `participant` by now.
    pub(super) carried_out: Option<Action>,
    /// Listings in a row that lacked the participant.
    pub(super) missed: u8,
    /// Since when it is known not to be as declared, and how that was noticed.
    pub(super) since: Option<(Instant, Urgency)>,
}

/// A request that failed and is to be repeated.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// Why.
    pub(super) message: Arc<str>,
    /// How often in a row.
    pub(super) times: u32,
    /// Not again before this moment.
    pub(super) until: Instant,
}

/// What a listing changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// Whom to look at.
    pub(super) look: Vec<Arc<str>>,
}

impl Room {
    pub(super) fn new(name: Arc<str>, line: Arc<Line>, now: Instant) -> Self {
        Self {
            name,
            line,
            records: HashMap::new(),
            removals: HashMap::new(),
            listed: None,
            whole: false,
            listing: false,
            due: now,
            missed: 0,
            wake: None,
            since: now,
        }
    }

    /// Takes in a `participant_joined`. Answers the identity to look at, if the event tells something new.
    pub(super) fn joined(
        &mut self,
        participant: Participant,
        base: Option<Instant>,
        received: Instant,
    ) -> Option<Arc<str>> {
        if let Some(record) = self.records.get(participant.identity.as_str()) {
            // Late or doubled: what is known is newer, for the payload shows the moment of joining.
            if record.participant.sid == participant.sid || record.participant.joined_at > participant.joined_at {
                return None;
            }
        }
        Some(self.insert(participant, base, received))
    }

    /// Takes in a participant that LiveKit has shown in answer to a request begun at `begun`.
    pub(super) fn observed(&mut self, participant: Participant, begun: Instant, now: Instant) -> Arc<str> {
        match self.records.get_mut(participant.identity.as_str()) {
            Some(record) if record.participant.sid == participant.sid => {
                let identity = participant.identity.as_str().into();
                record.show(participant, begun, now);
                identity
            }
            _ => self.insert(participant, Some(begun), now),
        }
    }

    /// Takes in a whole listing begun at `begun`. `learn`: of tracks not known before, these OncePerTrack effects have
    /// had their turn.
    pub(super) fn list(
        &mut self,
        participants: Vec<Participant>,
        begun: Instant,
        now: Instant,
        learn: &dyn Fn() -> Vec<OnceKey>,
    ) -> Listed {
        let mut listed = Listed::default();
        let mut seen: Vec<Arc<str>> = Vec::with_capacity(participants.len());
        for participant in participants {
            let known = self.records.get(participant.identity.as_str());
            let identity = match known {
                // A listing never replaces what changed after it began, or is of a higher version.
                Some(record) if record.changed > begun => Arc::from(participant.identity.as_str()),
                Some(record)
                    if record.participant.sid == participant.sid
                        && record.participant.version > participant.version =>
                {
                    Arc::from(participant.identity.as_str())
                }
                Some(record) if record.participant.sid == participant.sid => self.observed(participant, begun, now),
                _ => {
                    let identity = self.insert(participant, Some(begun), now);
                    if let Some(record) = self.records.get_mut(&identity) {
                        record.learn(&learn());
                    }
                    identity
                }
            };
            listed.look.push(Arc::clone(&identity));
            seen.push(identity);
        }
        seen.sort_unstable();
        for (identity, record) in &mut self.records {
            record.missed = match seen.binary_search(identity) {
                Ok(_) => 0,
                Err(_) if record.changed > begun => record.missed,
                Err(_) => record.missed + 1,
            };
        }
        self.records.retain(|_, record| record.missed < MISSED);
        self.listed = Some(begun);
        listed
    }

    /// Takes in the end of a session.
    pub(super) fn left(&mut self, identity: &str, sid: &str) {
        if self.records.get(identity).is_some_and(|record| record.participant.sid == sid) {
            self.records.remove(identity);
        }
    }

    /// The participants that are there, as far as is known.
    pub(super) fn present(&self) -> impl Iterator<Item = &Record> {
        self.records.values().filter(|record| record.missed == 0)
    }

    fn insert(&mut self, participant: Participant, observed: Option<Instant>, now: Instant) -> Arc<str> {
        let identity: Arc<str> = participant.identity.as_str().into();
        let record = Record {
            participant,
            observed,
            changed: now,
            session: Session::default(),
            // A request for an earlier session of the identity may still be under way; its answer finds another sid.
            busy: false,
            queued: None,
            wake: None,
            failure: None,
            carried_out: None,
            missed: 0,
            since: None,
        };
        self.records.insert(Arc::clone(&identity), record);
        identity
    }
}

impl Failure {
    /// The failure that follows another, or the first. It is repeated after a pause that doubles each time, up to half
    /// a minute, and is cut by chance, so that what failed together is not repeated together.
    pub(super) fn another(before: Option<&Self>, message: Arc<str>, asked: Option<Duration>, now: Instant) -> Self {
        let times = before.map_or(1, |before| before.times.saturating_add(1));
        let pause = Duration::from_millis(200 << times.min(8)).min(Duration::from_secs(30));
        let pause = asked.unwrap_or_else(|| pause.mul_f64(0.5 + fastrand::f64() / 2.0));
        Self { message, times, until: now + pause }
    }
}

impl Record {
    /// Replaces what was seen of the same session.
    pub(super) fn show(&mut self, participant: Participant, begun: Instant, now: Instant) {
        if self.participant.version > participant.version {
            // An answer that was overtaken. It still proves that the session was there.
            return;
        }
        if self.participant != participant {
            self.changed = now;
        }
        self.carried_out = None;
        self.participant = participant;
        self.observed = self.observed.max(Some(begun));
        self.session.retain_tracks(&self.participant);
    }

    /// Adds a track that a webhook told of; whether it is new.
    pub(super) fn published(&mut self, track: Track, now: Instant) -> bool {
        let new = self.participant.tracks.iter().all(|known| known.sid != track.sid);
        if new {
            self.participant.tracks.push(track);
            self.changed = now;
        }
        new
    }

    /// Notes for all tracks that these OncePerTrack effects have had their turn.
    pub(super) fn learn(&mut self, keys: &[OnceKey]) {
        for track in &self.participant.tracks {
            self.session.set_done(&track.sid, keys.iter().copied());
        }
    }

    /// Whether the whole of what was seen is new enough to be changed and sent back.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.observed.is_some_and(|observed| now.saturating_duration_since(observed) <= FRESH)
    }
}
