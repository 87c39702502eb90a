//! What is known of a participant.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    act::{Ticket, same},
    queue::Urgency,
};
use crate::{
    livekit::Class,
    policy::{Action, OnceKey, Participant, Session, Track},
};

/// From an observation older than this nothing is computed that LiveKit takes as a whole.
pub(super) const FRESH: Duration = Duration::from_secs(2);
/// The longest pause before a failed request is repeated.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The pause before something is repeated that will hardly go better.
const REFUSED_PAUSE: Duration = Duration::from_secs(300);

/// What is known of a participant. There are many: what few have is boxed.
#[derive(Debug)]
pub(super) struct Record {
    /// As last seen.
    pub(super) participant: Participant,
    /// When the observation began that `participant` comes from; `None` where it is no base to act on.
    pub(super) observed: Option<Instant>,
    /// When the record was last changed.
    pub(super) changed: Instant,
    /// When the session was first heard of.
    pub(super) met: Instant,
    /// What LiveKit does not show.
    pub(super) session: Session,
    /// The request for this participant that is under way.
    pub(super) busy: Option<Ticket>,
    /// When it was last planned for.
    pub(super) planned: Option<Instant>,
    /// When to look again though nothing is heard; any other timer is void.
    pub(super) wake: Option<Timestamp>,
    /// When to try again after a failure; any other timer is void.
    pub(super) retry: Option<Instant>,
    /// The last request that failed and may heal.
    pub(super) failure: Option<Box<Failure>>,
    /// What the server refused to do and will hardly do soon. Updates are not among them: the session knows those.
    refused: Vec<(Action, Failure)>,
    /// What was carried out last and should show in `participant` by now.
    pub(super) carried_out: Option<Box<Action>>,
    /// Listings in a row that lacked the participant.
    pub(super) missed: u8,
    /// That it is not as declared.
    pub(super) noticed: Option<Noticed>,
}

/// That a participant is not as declared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noticed {
    /// Since when that is known.
    pub(super) at: Instant,
    /// What made it known.
    pub(super) by: Urgency,
    /// Something has been done about it.
    pub(super) acted: bool,
}

/// A request that failed and is to be repeated.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    message: Arc<str>,
    /// What was to be done; `None` where that was to look, without which nothing is done.
    pub(super) action: Option<Action>,
    /// How often in a row.
    pub(super) times: u32,
    /// Not again before this moment.
    pub(super) until: Instant,
    lasts: bool,
}

impl Record {
    pub(super) fn new(participant: Participant, observed: Option<Instant>, now: Instant) -> Self {
        Self {
            participant,
            observed,
            changed: now,
            met: now,
            session: Session::default(),
            busy: None,
            planned: None,
            wake: None,
            retry: None,
            failure: None,
            refused: Vec::new(),
            carried_out: None,
            missed: 0,
            noticed: None,
        }
    }

    /// Replaces what was seen of the same session; false if what is known is newer.
    pub(super) fn show(&mut self, participant: Participant, begun: Instant, now: Instant) -> bool {
        if self.participant.version > participant.version {
            return false;
        }
        if self.participant != participant {
            self.changed = now;
        }
        self.carried_out = None;
        self.replace(participant);
        self.observed = self.observed.max(Some(begun));
        self.session.retain_tracks(&self.participant);
        true
    }

    /// Takes in what a webhook tells of the same session, of which it need not show the `whole`; false if as much is
    /// known. It is no base to act on: webhooks come late and twice.
    pub(super) fn hear(&mut self, participant: Participant, whole: bool, now: Instant) -> bool {
        let known = &self.participant;
        let is_later = participant.version > known.version
            || participant.version == known.version && participant.state != known.state;
        if !is_later {
            return false;
        }
        if whole {
            self.replace(participant);
            self.session.retain_tracks(&self.participant);
        } else {
            self.participant.state = participant.state;
        }
        self.carried_out = None;
        self.observed = None;
        self.changed = now;
        true
    }

    /// Replaces what was seen, but for the text of the identity, which the room has as well.
    fn replace(&mut self, seen: Participant) {
        let identity = Arc::clone(&self.participant.identity);
        self.participant = Participant { identity, ..seen };
    }

    /// Notes that the server refused something.
    pub(super) fn was_refused(&mut self, action: Action, failure: Failure) {
        self.refused.retain(|(other, _)| !same(other, &action));
        self.refused.push((action, failure));
    }

    /// Until when something is not tried because the server refused it.
    pub(super) fn refused_until(&self, action: &Action, now: Instant) -> Option<Instant> {
        let refused = self.refused.iter().filter(|(_, failure)| failure.until > now);
        refused.filter(|(other, _)| same(other, action)).map(|(_, failure)| failure.until).next()
    }

    /// Until when something is not tried because it, or the look before it, failed a moment ago.
    pub(super) fn waits_until(&self, action: &Action, now: Instant) -> Option<Instant> {
        let failure = self.failure.as_deref().filter(|failure| failure.until > now)?;
        failure.action.as_ref().is_none_or(|failed| same(failed, action)).then_some(failure.until)
    }

    /// Forgets what failed, for there may be other wishes now.
    pub(super) fn forgive(&mut self) {
        self.failure = None;
        self.refused.clear();
    }

    /// Why something failed, if that is worth telling.
    pub(super) fn told(&self) -> Option<&Arc<str>> {
        let refused = self.refused.first().map(|(_, failure)| failure);
        self.failure.as_deref().and_then(Failure::told).or_else(|| refused.and_then(Failure::told))
    }

    /// Notes that the server has carried something out, and that it is new.
    pub(super) fn has_acted(&mut self, action: Action, now: Instant) {
        self.changed = now;
        self.carried_out = Some(Box::new(action));
        if let Some(noticed) = &mut self.noticed {
            noticed.acted = true;
        }
    }

    /// Adds a track that a webhook told of; whether it is new.
    pub(super) fn published(&mut self, track: Track, now: Instant) -> bool {
        let new = self.participant.tracks.iter().all(|known| known.sid != track.sid);
        if new {
            self.participant.tracks.push(track);
            self.changed = self.changed.max(now);
        }
        new
    }

    /// Takes out a track that a webhook told the end of; whether it was known.
    pub(super) fn unpublished(&mut self, track: &str, now: Instant) -> bool {
        let before = self.participant.tracks.len();
        self.participant.tracks.retain(|known| known.sid != track);
        let known = self.participant.tracks.len() < before;
        if known {
            self.changed = self.changed.max(now);
            self.session.retain_tracks(&self.participant);
        }
        known
    }

    /// Notes for all tracks but these that OncePerTrack effects have had their turn.
    pub(super) fn learn(&mut self, keys: &[OnceKey], but: &[String]) {
        for track in self.participant.tracks.iter().filter(|track| !but.contains(&track.sid)) {
            self.session.set_done(&track.sid, keys.iter().copied());
        }
    }

    /// Whether the whole of what was seen is new enough to be changed and sent back.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.observed.is_some_and(|observed| now.saturating_duration_since(observed) <= FRESH)
    }

    /// Whether it is known not to be as declared since before a moment and something may still be done about it, or
    /// nobody has looked since then.
    pub(super) fn is_open(&self, arrival: Instant, before: Instant) -> bool {
        self.missed == 0
            && self.met <= before
            && self.told().is_none()
            && (self.planned.is_none_or(|planned| planned < arrival)
                || self.noticed.is_some_and(|noticed| noticed.at <= before))
    }
}

impl Failure {
    /// The failure that follows another, or the first. What may heal is repeated after a pause that doubles each time
    /// and is cut by chance, so that what failed together is not repeated together.
    pub(super) fn another(before: Option<&Self>, message: Arc<str>, class: Class, now: Instant) -> Self {
        let times = before.map_or(1, |before| before.times.saturating_add(1));
        let doubled = Duration::from_millis(200 << times.min(8)).min(LONGEST_PAUSE);
        let (pause, lasts) = match class {
            Class::Transient { retry_after: Some(asked) } => (asked.mul_f64(1.0 + fastrand::f64() / 10.0), false),
            Class::Transient { .. } | Class::Unauthorized | Class::Gone => {
                (doubled.mul_f64(0.5 + fastrand::f64() / 2.0), false)
            }
            Class::Refused | Class::Unsupported(_) => (REFUSED_PAUSE, true),
        };
        Self { message, action: None, times, until: now + pause, lasts }
    }

    /// The same, of an action.
    pub(super) fn of(self, action: Option<Action>) -> Self {
        Self { action, ..self }
    }

    /// Why, if it is worth telling: what goes well at the second try was no failure to anybody.
    pub(super) fn told(&self) -> Option<&Arc<str>> {
        (self.lasts || self.times > 1).then_some(&self.message)
    }
}
