//! What is known of a room, and how new knowledge replaces old.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    act::Ticket,
    queue::Urgency,
    record::{Failure, Record},
};
use crate::policy::{Line, OnceKey, Participant, Ways};

/// Whoever is missing from so many listings in a row has left. One listing may be wrong.
const MISSED: u8 = 2;
/// So many listings show everybody between them: one may be wrong.
pub(super) const CERTAIN: u8 = 2;
/// How long sessions that are over are remembered: no webhook comes later than LiveKit's 30 s and its retries.
const DEPARTED: Duration = Duration::from_secs(60);
/// Whoever a webhook told of beyond this number waits for the next listing.
const MOST_STRANGERS: usize = 1024;

/// A governed room.
#[derive(Debug)]
pub(super) struct Room {
    /// Its name, shared with everything that names it.
    pub(super) name: Arc<str>,
    /// What holds in it.
    pub(super) line: Arc<Line>,
    /// The forwards and moves that concern it.
    pub(super) ways: Option<Arc<Ways>>,
    /// Who is in it, by identity. Boxed, for a tree has places that are empty.
    pub(super) records: BTreeMap<Arc<str>, Box<Record>>,
    /// Sessions that a webhook told of and that are still to be asked for, by identity.
    pub(super) strangers: BTreeMap<Arc<str>, Stranger>,
    departed: Departed,
    /// When the last successful listing began.
    pub(super) listed: Option<Instant>,
    /// Successful listings, as far as that matters: see [`Self::is_certain`].
    pub(super) listings: u8,
    /// When the last successful listing began, if it showed anybody: one that shows nobody may be wrong.
    pub(super) showed_somebody: Option<Instant>,
    /// When somebody last asked for a listing.
    pub(super) asked: Instant,
    /// The listing that is under way.
    pub(super) listing: Option<Ticket>,
    /// Somebody asked for a listing while one was under way, which began too early for them.
    pub(super) again: Option<Urgency>,
    /// When the next listing is due; any other timer is void.
    pub(super) due: Instant,
    /// The last listing failed.
    pub(super) failure: Option<Box<Failure>>,
    /// Listings of rooms in a row that lacked this room.
    pub(super) missed: u8,
    /// When the next rule of the line begins or ends; any other timer is void.
    pub(super) wake: Option<Timestamp>,
    /// When the room was first heard of.
    pub(super) since: Instant,
    /// Participants who had to be asked for one by one of late.
    pub(super) looks: Looks,
}

/// A session that a webhook told of and that is not known.
#[derive(Debug)]
pub(super) struct Stranger {
    /// The session.
    pub(super) sid: String,
    /// Tracks that were published meanwhile.
    pub(super) tracks: Vec<String>,
    /// When it was first heard of.
    pub(super) heard: Instant,
    /// The request that is under way.
    pub(super) busy: Option<Ticket>,
    /// The last request failed.
    pub(super) failure: Option<Failure>,
}

/// Counts over a short time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    since: Instant,
    count: usize,
    /// How many are about to be needed, as far as is known.
    expected: usize,
}

impl Looks {
    fn none(now: Instant) -> Self {
        Self { since: now, count: 0, expected: 0 }
    }

    /// How many there were, or are expected; begins to count anew after `span`.
    pub(super) fn within(&mut self, span: Duration, now: Instant) -> usize {
        if now.saturating_duration_since(self.since) > span {
            *self = Self { since: now, count: 0, ..*self };
        }
        self.count.max(self.expected)
    }

    /// Notes that so many will be needed.
    pub(super) fn expect(&mut self, count: usize) {
        self.expected = count;
    }

    pub(super) fn add(&mut self) {
        self.count += 1;
    }
}

/// Sessions that are over, each with the moment at which that was heard: what was asked before may still show them.
#[derive(Debug, Default)]
struct Departed {
    at: HashMap<Box<str>, Instant>,
    order: VecDeque<(Instant, Box<str>)>,
}

impl Departed {
    fn note(&mut self, sid: &str, now: Instant) {
        while self.order.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > DEPARTED) {
            if let Some((_, sid)) = self.order.pop_front() {
                self.at.remove(&sid);
            }
        }
        if !self.at.contains_key(sid) {
            self.at.insert(sid.into(), now);
            self.order.push_back((now, sid.into()));
        }
    }

    fn contains(&self, sid: &str) -> bool {
        self.at.contains_key(sid)
    }

    /// Whether a session ended after something began.
    fn since(&self, sid: &str, begun: Instant) -> bool {
        self.at.get(sid).is_some_and(|at| *at >= begun)
    }
}

impl Room {
    pub(super) fn new(name: Arc<str>, line: Arc<Line>, now: Instant) -> Self {
        Self {
            name,
            line,
            ways: None,
            records: BTreeMap::new(),
            strangers: BTreeMap::new(),
            departed: Departed::default(),
            listed: None,
            listings: 0,
            showed_somebody: None,
            asked: now,
            listing: None,
            again: None,
            due: now,
            failure: None,
            missed: 0,
            wake: None,
            since: now,
            looks: Looks::none(now),
        }
    }

    /// Whether a webhook that tells of a session tells something new: a session that is neither known, nor over, nor
    /// older than the one that is known.
    pub(super) fn is_news(&self, identity: &str, sid: &str, joined_at: Option<Timestamp>) -> bool {
        !self.departed.contains(sid)
            && self.records.get(identity).is_none_or(|known| {
                *known.participant.sid != *sid && joined_at.is_none_or(|at| known.participant.joined_at <= at)
            })
    }

    /// Nobody is in it yet: that is as much as listings tell.
    pub(super) fn begins(&mut self, now: Instant) {
        self.listed = Some(now);
        self.listings = CERTAIN;
        self.since = now;
    }

    /// Forgets that it was listed, not whom that showed.
    pub(super) fn unlist(&mut self) {
        self.listed = None;
        self.listings = 0;
        self.listing = None;
        self.again = None;
        self.failure = None;
    }

    /// Whether it has been listed so often that whoever is not known is not there, as far as anybody can know.
    pub(super) fn is_certain(&self) -> bool {
        self.listings >= CERTAIN && self.failure.is_none()
    }

    /// Why it cannot be listed, if that is worth telling.
    pub(super) fn told(&self) -> Option<&Arc<str>> {
        self.failure.as_deref().and_then(Failure::told)
    }

    /// Takes in somebody new, or a new session in the place of an old one.
    pub(super) fn insert(&mut self, mut participant: Participant, observed: Instant, now: Instant) -> Arc<str> {
        if let Some((known, _)) = self.records.get_key_value(&participant.identity) {
            participant.identity = Arc::clone(known);
        }
        let identity = Arc::clone(&participant.identity);
        self.records.insert(Arc::clone(&identity), Box::new(Record::new(participant, Some(observed), now)));
        identity
    }

    /// Notes that a session has to be asked for.
    pub(super) fn stranger(&mut self, identity: &Arc<str>, sid: String, track: Option<String>, heard: Instant) {
        if self.strangers.len() >= MOST_STRANGERS && !self.strangers.contains_key(identity) {
            return;
        }
        let fresh = |sid| Stranger { sid, tracks: Vec::new(), heard, busy: None, failure: None };
        let stranger = self.strangers.entry(Arc::clone(identity)).or_insert_with(|| fresh(sid.clone()));
        if stranger.sid != sid {
            *stranger = fresh(sid);
        }
        stranger.tracks.extend(track);
    }

    /// Takes in a participant that LiveKit has shown in answer to a request begun at `begun`, unless what is known is
    /// newer.
    pub(super) fn observed(&mut self, participant: Participant, begun: Instant, now: Instant) {
        if self.departed.since(&participant.sid, begun) {
            return;
        }
        match self.records.get_mut(&participant.identity) {
            Some(record) if record.participant.sid == participant.sid => {
                record.missed = 0;
                record.show(participant, begun, now);
            }
            // Two sessions took turns while the request was under way; nobody knows which is the last.
            Some(record) if record.changed > begun => record.observed = None,
            _ => drop(self.insert(participant, begun, now)),
        }
    }

    /// Takes in a whole listing begun at `begun`, and answers whom it shows. Of the tracks of those who were not known
    /// before, the OncePerTrack effects `learned` have had their turn.
    pub(super) fn list(
        &mut self,
        participants: Vec<Participant>,
        begun: Instant,
        now: Instant,
        learned: &[OnceKey],
    ) -> Vec<Arc<str>> {
        for record in self.records.values_mut().filter(|record| record.changed <= begun) {
            record.missed += 1;
        }
        let mut shown = Vec::with_capacity(participants.len());
        for participant in participants {
            if self.departed.since(&participant.sid, begun) {
                continue;
            }
            shown.push(match self.records.get_mut(&participant.identity) {
                Some(record) if record.changed > begun => Arc::clone(&record.participant.identity),
                Some(record) if record.participant.sid == participant.sid => {
                    record.missed = 0;
                    record.show(participant, begun, now);
                    Arc::clone(&record.participant.identity)
                }
                _ => {
                    let identity = self.insert(participant, begun, now);
                    let stranger = self.strangers.remove(&identity);
                    if let Some(record) = self.records.get_mut(&identity) {
                        record.learn(learned, stranger.as_ref().map_or(&[], |stranger| &stranger.tracks));
                    }
                    identity
                }
            });
        }
        self.records.retain(|_, record| record.missed < MISSED);
        self.listed = Some(begun);
        self.listings = self.listings.saturating_add(1);
        self.showed_somebody = (!shown.is_empty()).then_some(begun);
        self.failure = None;
        self.looks = Looks::none(now);
        shown
    }

    /// Takes in the end of a session.
    pub(super) fn left(&mut self, identity: &str, sid: &str, now: Instant) {
        if self.records.get(identity).is_some_and(|record| *record.participant.sid == *sid) {
            self.records.remove(identity);
        }
        if self.strangers.get(identity).is_some_and(|stranger| stranger.sid == sid) {
            self.strangers.remove(identity);
        }
        self.departed.note(sid, now);
    }

    /// Takes in the end of every session that began before a moment.
    pub(super) fn finished(&mut self, at: Timestamp, now: Instant) {
        let departed = &mut self.departed;
        self.records.retain(|_, record| {
            let stays = record.participant.joined_at > at;
            if !stays {
                departed.note(&record.participant.sid, now);
            }
            stays
        });
    }

    /// The participants that are there, as far as is known.
    pub(super) fn present(&self) -> impl Iterator<Item = &Record> {
        self.records.values().map(|record| &**record).filter(|record| record.missed == 0)
    }
}
