//! All that the engine was told, and what it did.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;
use usher::{
    engine::{Clock, Event, What},
    livekit::Error,
    policy::{Participant, Track},
};

use crate::{declared::Objects, witness::Request};

/// Room and identity.
pub type Who = (String, String);

/// So much of what was told of one identity is kept.
const KEPT: usize = 24;
/// From a webhook that is older nothing is computed; its time is cut to the second.
const PROMPT: Duration = Duration::from_secs(6);

/// A participant as the engine was told of it.
#[derive(Clone, Debug)]
pub struct Told {
    pub participant: Participant,
    /// When the request began that this is the answer to, or the webhook came; `None` where it is no base to act on.
    pub begun: Option<Instant>,
    pub at: Instant,
}

/// The first rule that was broken ends the schedule.
#[derive(Debug)]
pub struct Ledger {
    pub clock: Clock,
    began: Instant,
    story: Option<Vec<String>>,
    pub broken: Option<String>,
    /// The objects that were shown, with the moment of it; the last are in force.
    pub shown: VecDeque<(Instant, Arc<Objects>)>,
    /// Which life of the engine this is.
    pub life: u64,
    told: BTreeMap<Who, VecDeque<Told>>,
    /// Sessions that the engine was told the end of.
    pub over: BTreeSet<String>,
    /// When somebody was last removed, as far as the engine knows.
    pub removed: BTreeMap<Who, Instant>,
    /// Nothing may be asked before the second moment; said at the first.
    pub limited: Option<(Instant, Instant)>,
    pub under_way: usize,
    /// Requests that may be sent at once, and when that was computed.
    pub tokens: Option<(f64, Instant)>,
    /// When anything was last changed, or tried to.
    pub wrote: Instant,
    pub requests: u64,
    pub writes: usize,
    /// When somebody was last changed.
    pub changed: BTreeMap<Who, Instant>,
    /// Listings of rooms that were answered.
    pub listings: Vec<String>,
    /// Sources that were withdrawn from a session, each time.
    pub withdrawn: Vec<(String, usher::policy::Sources)>,
}

impl Ledger {
    pub fn new(clock: Clock, with_story: bool) -> Self {
        let now = Instant::now();
        Self {
            clock,
            began: now,
            story: with_story.then(Vec::new),
            broken: None,
            shown: VecDeque::new(),
            life: 0,
            told: BTreeMap::new(),
            over: BTreeSet::new(),
            removed: BTreeMap::new(),
            limited: None,
            under_way: 0,
            tokens: None,
            wrote: now,
            requests: 0,
            writes: 0,
            changed: BTreeMap::new(),
            listings: Vec::new(),
            withdrawn: Vec::new(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Adds a line to the story.
    pub fn say(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{:9.3} {}", self.began.elapsed().as_secs_f64(), what()));
        }
    }

    pub fn story(&self) -> String {
        self.story.as_deref().unwrap_or_default().join("\n")
    }

    /// Notes that a rule was broken.
    pub fn break_rule(&mut self, what: String) {
        self.say(|| format!("!! {what}"));
        self.broken.get_or_insert(what);
    }

    /// The engine starts anew and knows nothing.
    pub fn begin_life(&mut self) {
        self.life += 1;
        self.shown.clear();
        self.told.clear();
        self.over.clear();
        self.removed.clear();
        self.limited = None;
        self.under_way = 0;
        self.tokens = None;
    }

    pub fn show(&mut self, objects: Arc<Objects>) {
        if self.shown.back().is_none_or(|(_, before)| before.limits != objects.limits) {
            self.tokens = None;
        }
        self.shown.push_back((Instant::now(), objects));
        while self.shown.len() > 4 {
            self.shown.pop_front();
        }
    }

    /// The objects that the engine may act by: those in force, and those that were until this moment.
    pub fn in_force(&self) -> Vec<Arc<Objects>> {
        let now = Instant::now();
        let last = self.shown.len().saturating_sub(1);
        let until = |number: usize| self.shown.get(number + 1).map(|(at, _)| *at);
        let counts = |number: usize| number == last || until(number).is_some_and(|until| is_now(until, now));
        let shown = self.shown.iter().enumerate().filter(|(number, _)| counts(*number));
        shown.map(|(_, (_, objects))| Arc::clone(objects)).collect()
    }

    /// All that the engine was told of an identity in a room, oldest first.
    pub fn told(&self, who: &Who) -> impl DoubleEndedIterator<Item = &Told> {
        self.told.get(who).into_iter().flatten()
    }

    /// The engine is told of a participant.
    pub fn tell(&mut self, room: &str, participant: &Participant, begun: Option<Instant>) {
        let told = self.told.entry((room.to_owned(), participant.identity.to_string())).or_default();
        told.push_back(Told { participant: participant.clone(), begun, at: Instant::now() });
        while told.len() > KEPT {
            told.pop_front();
        }
    }

    /// The engine is told of a part of a participant, and may put it together with whatever it knew.
    pub fn amend(&mut self, room: &str, identity: &str, change: impl Fn(&mut Participant)) {
        let who = (room.to_owned(), identity.to_owned());
        let latest: Vec<Told> = self.told(&who).rev().take(4).cloned().collect();
        for mut told in latest.into_iter().rev() {
            change(&mut told.participant);
            self.tell(room, &told.participant, told.begun);
        }
    }

    /// The engine hears a webhook.
    pub fn hear(&mut self, event: &Event) {
        match &event.what {
            What::Joined { participant, whole } => {
                let who = (event.room.clone(), participant.identity.to_string());
                let is_new = self.told(&who).all(|told| told.participant.sid != participant.sid);
                let age = self.now().duration_since(event.created_at).unsigned_abs();
                let is_base = is_new && *whole && age <= PROMPT;
                self.tell(&event.room, participant, is_base.then(Instant::now));
            }
            What::TrackPublished { identity, track, .. } => {
                let has = |participant: &Participant| participant.tracks.iter().any(|known| known.sid == track.sid);
                let add = |participant: &mut Participant| participant.tracks.push(track.clone());
                self.amend(&event.room, identity, |participant| {
                    if !has(participant) {
                        add(participant)
                    }
                });
            }
            What::TrackUnpublished { identity, track } => {
                let is_other = |known: &Track| known.sid != *track;
                self.amend(&event.room, identity, |participant| participant.tracks.retain(is_other));
            }
            What::Left { sid, .. } => drop(self.over.insert(sid.clone())),
            What::RoomStarted | What::RoomFinished => {}
        }
    }

    /// The engine has an answer.
    pub fn answered(&mut self, request: &Request, failure: Option<&Error>) {
        let now = Instant::now();
        if let Some(error) = failure {
            self.say(|| format!("   {request}: {error}"));
            if let Error::Status { status: 429 | 503, retry_after: Some(pause) } = error
                && self.limited.is_none_or(|(_, until)| until < now + *pause)
            {
                self.limited = Some((now, now + *pause));
            }
            return;
        }
        match request {
            Request::Update(who, _) => drop(self.changed.insert(who.clone(), now)),
            Request::List(room) => self.listings.push(room.clone()),
            Request::Remove(who) => {
                let gone = self.told(who).next_back().map(|told| told.participant.sid.to_string());
                self.over.extend(gone);
                self.removed.insert(who.clone(), now);
            }
            Request::Mute((room, identity), sid, muted) => self.amend(room, identity, |participant| {
                participant.tracks.iter_mut().filter(|track| track.sid == *sid).for_each(|track| track.muted = *muted);
            }),
            _ => {}
        }
    }
}

/// Whether something was in this very moment: the engine's tasks take turns in it.
pub fn is_now(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) <= Duration::from_millis(1)
}
