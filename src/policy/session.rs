//! What is remembered of one participant's session, because LiveKit does not show it.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use super::{
    action::{Action, Update},
    field::{Decision, Field, Value},
    participant::{ALL_SOURCES, Participant, Sources},
    rule::OnceKey,
};

/// So many corrections of one field …
pub const CORRECTIONS: usize = 5;
/// … within this time mean that somebody undoes what we do.
const WINDOW: Duration = Duration::from_secs(60);
/// The first pause; each one that follows is twice as long.
const SHORTEST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long what the server refused is not sent again unless it changes.
const REFUSED_FOR: Duration = Duration::from_secs(300);
/// The withdrawal of a source that is not taken back.
const LAST_WITHDRAWAL: usize = 3;

/// What is remembered of a session. There are many, and most remember one correction.
#[derive(Clone, Debug, Default)]
pub struct Session {
    corrections: Vec<(Field, Corrections)>,
    rest: Option<Box<Rest>>,
}

/// What few sessions have any of.
#[derive(Clone, Debug, Default)]
struct Rest {
    /// What was withdrawn for a moment, each time.
    withdrawals: Vec<Sources>,
    /// The tracks that were unpublished by that.
    unpublished: Vec<String>,
    done_once: BTreeMap<String, Vec<OnceKey>>,
    refusals: Vec<Refusal>,
    apart: bool,
}

/// How often something was put right of late, and whether that is to be left for a while because others undo it.
#[derive(Clone, Debug, Default)]
pub struct Corrections {
    /// The latest, at most [`CORRECTIONS`], oldest first.
    at: Vec<Timestamp>,
    pause: Option<Box<Pause>>,
}

/// A while in which something is left alone.
#[derive(Clone, Debug)]
struct Pause {
    length: Duration,
    until: Timestamp,
}

/// Something the server would not take.
#[derive(Clone, Debug)]
struct Refusal {
    content: u64,
    until: Timestamp,
    message: Arc<str>,
}

impl Session {
    /// Until when a field is left alone because somebody undoes every correction of it.
    #[must_use]
    pub fn damped_until(&self, field: &Field, now: Timestamp) -> Option<Timestamp> {
        let (_, corrections) = self.corrections.iter().find(|(other, _)| other == field)?;
        corrections.damped_until(now)
    }

    /// Whether a OncePerTrack effect has had its turn with a track.
    #[must_use]
    pub fn is_done(&self, track: &str, key: OnceKey) -> bool {
        self.rest().is_some_and(|rest| rest.done_once.get(track).is_some_and(|keys| keys.contains(&key)))
    }

    /// Notes that OncePerTrack effects have had their turn with a track.
    pub fn set_done(&mut self, track: &str, keys: impl IntoIterator<Item = OnceKey>) {
        for key in keys {
            if !self.is_done(track, key) {
                self.rest_mut().done_once.entry(track.to_owned()).or_default().push(key);
            }
        }
    }

    /// Forgets tracks that are no more.
    pub fn retain_tracks(&mut self, participant: &Participant) {
        let Some(rest) = &mut self.rest else { return };
        let is_there = |sid: &String| participant.tracks.iter().any(|track| track.sid == *sid);
        rest.done_once.retain(|sid, _| is_there(sid));
        rest.unpublished.retain(is_there);
    }

    /// Whether a source was withdrawn because of this track before.
    #[must_use]
    pub(super) fn has_unpublished(&self, track: &str) -> bool {
        self.rest().is_some_and(|rest| rest.unpublished.iter().any(|unpublished| unpublished == track))
    }

    /// Sources that were withdrawn so often that they are not given back in this session.
    #[must_use]
    pub(super) fn stays_withdrawn(&self) -> Sources {
        let Some(rest) = self.rest() else { return Sources::NONE };
        let times = |source| rest.withdrawals.iter().filter(|withdrawn| withdrawn.contains(source)).count();
        ALL_SOURCES.into_iter().filter(|source| times(*source) >= LAST_WITHDRAWAL).collect()
    }

    /// Whether a combined update was refused, so that its parts go one by one.
    #[must_use]
    pub(super) fn goes_apart(&self) -> bool {
        self.rest().is_some_and(|rest| rest.apart)
    }

    /// Until when, and why, an update is not sent because the server refused the same before.
    #[must_use]
    pub(super) fn refused(&self, update: &Update, now: Timestamp) -> Option<(Timestamp, Arc<str>)> {
        let refusals = self.rest().map(|rest| &rest.refusals).filter(|refusals| !refusals.is_empty())?;
        let content = fingerprint(update);
        let refusal = refusals.iter().find(|refusal| refusal.content == content && now < refusal.until)?;
        Some((refusal.until, Arc::clone(&refusal.message)))
    }

    /// Notes that an action has been carried out. `allowed`: so many corrections of a field may come without a pause, of
    /// several who correct the same at most [`CORRECTIONS`] altogether.
    pub fn carried_out(&mut self, action: &Action, now: Timestamp, allowed: usize) {
        match action {
            Action::Remove { .. } => {}
            Action::Mute { track, once, .. } => self.set_done(track, *once),
            Action::Update(update) => {
                if !update.withdraws.is_empty() {
                    let rest = self.rest_mut();
                    rest.withdrawals.push(update.withdraws);
                    rest.unpublished.extend(update.unpublishes.iter().cloned());
                }
                // What is never put off does not count either: it would only put off the rest.
                for decision in update.why.iter().filter(|decision| !narrows(update, decision)) {
                    self.correct(&decision.field, now, allowed);
                }
            }
        }
    }

    /// Notes that the server would not carry out an update: a combined one is tried in parts, a single one not again
    /// for a while.
    pub fn was_refused(&mut self, update: &Update, message: Arc<str>, now: Timestamp) {
        let rest = self.rest_mut();
        rest.refusals.retain(|refusal| now < refusal.until);
        if update.parts() > 1 {
            rest.apart = true;
        } else {
            let until = now.checked_add(REFUSED_FOR).unwrap_or(Timestamp::MAX);
            rest.refusals.push(Refusal { content: fingerprint(update), until, message });
        }
    }

    fn rest(&self) -> Option<&Rest> {
        self.rest.as_deref()
    }

    fn rest_mut(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    fn correct(&mut self, field: &Field, now: Timestamp, allowed: usize) {
        let place = self.corrections.iter().position(|(other, _)| other == field).unwrap_or_else(|| {
            // Many sessions have one, few have more.
            self.corrections.reserve_exact(1);
            self.corrections.push((field.clone(), Corrections::default()));
            self.corrections.len() - 1
        });
        self.corrections[place].1.add(now, allowed);
    }
}

impl Corrections {
    /// Until when it is left alone.
    #[must_use]
    pub fn damped_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.pause.as_ref().map(|pause| pause.until).filter(|until| now < *until)
    }

    /// Notes that it was put right. So many times are `allowed` without a pause.
    pub fn add(&mut self, now: Timestamp, allowed: usize) {
        let excess = (self.at.len() + 1).saturating_sub(allowed);
        self.at.drain(..excess);
        self.at.reserve_exact(1);
        self.at.push(now);
        let resumed = self.pause.take().filter(|pause| within(pause.until, now, WINDOW));
        let length = match resumed {
            Some(pause) => (pause.length * 2).min(LONGEST_PAUSE),
            None if self.at.len() == allowed && within(self.at[0], now, WINDOW) => SHORTEST_PAUSE,
            None => return,
        };
        self.pause = now.checked_add(length).ok().map(|until| Box::new(Pause { length, until }));
    }
}

fn within(earlier: Timestamp, later: Timestamp, span: Duration) -> bool {
    later.duration_since(earlier).unsigned_abs() <= span
}

fn fingerprint(update: &Update) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&update.permission, &update.name, &update.metadata, &update.attributes).hash(&mut hasher);
    hasher.finish()
}

/// Whether an update only takes something away where it carries out this decision.
fn narrows(update: &Update, decision: &Decision) -> bool {
    match (&decision.wanted, &decision.seen, update.permission) {
        (Value::Flag(wanted), ..) => !wanted,
        // Not what is wanted in the end: what is sent may be less for a while.
        (_, Value::Publishing(seen), Some(permission)) => permission.publishing().within(*seen),
        _ => false,
    }
}
