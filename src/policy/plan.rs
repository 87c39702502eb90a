//! What to do about one participant: the difference between what rules want and what is seen, in a safe order.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    field::{Decision, Field, Flag, Value},
    line::Place,
    participant::{ALL_SOURCES, Participant, Permission, Publishing, Sources, Track},
    resolve::{At, Resolution},
    rule::{MuteState, OnceKey, earliest},
    session::Session,
};

/// At most one removal of an identity in this time.
const REMOVAL_INTERVAL: Duration = Duration::from_secs(1);

/// What to do about one participant now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they must happen.
    pub actions: Vec<Action>,
    /// What is not as declared and is not acted upon now.
    pub open: Vec<Open>,
    /// OncePerTrack effects that need no action, for the tracks are as wanted: they have had their turn.
    pub settled: Vec<(String, OnceKey)>,
    /// When to plan again though nothing is heard of the participant.
    pub wake: Option<Timestamp>,
}

/// One request to LiveKit, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// RemoveParticipant.
    Remove {
        /// Whether LiveKit Cloud is to revoke the participant's tokens too.
        revoke_tokens: bool,
        /// Why.
        why: Decision,
    },
    /// UpdateParticipant.
    Update(Update),
    /// MutePublishedTrack.
    Mute {
        /// The track.
        track: String,
        /// Mute or unmute.
        muted: bool,
        /// The OncePerTrack effect that has its turn by this.
        once: Option<OnceKey>,
        /// Why.
        why: Decision,
    },
}

/// An UpdateParticipant: only what changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// The whole new permission.
    pub permission: Option<Permission>,
    /// The new display name.
    pub name: Option<Arc<str>>,
    /// The new metadata.
    pub metadata: Option<Arc<str>>,
    /// Attributes to set, or with `None` to remove.
    pub attributes: Vec<(Arc<str>, Option<Arc<str>>)>,
    /// The sources that the new permission lacks only so that these tracks are unpublished, by track id.
    pub withdraws: Vec<(Sources, String)>,
    /// Why.
    pub why: Vec<Decision>,
}

impl Update {
    /// How many of permission, name, metadata and attributes it has.
    #[must_use]
    pub fn parts(&self) -> usize {
        usize::from(self.permission.is_some())
            + usize::from(self.name.is_some())
            + usize::from(self.metadata.is_some())
            + usize::from(!self.attributes.is_empty())
    }
}

impl Action {
    /// The decisions it carries out.
    #[must_use]
    pub fn why(&self) -> &[Decision] {
        match self {
            Self::Remove { why, .. } | Self::Mute { why, .. } => std::slice::from_ref(why),
            Self::Update(update) => &update.why,
        }
    }

    /// Whether it is computed from the whole of what was seen, so that an old observation makes a wrong request.
    #[must_use]
    pub fn needs_fresh_base(&self) -> bool {
        match self {
            Self::Remove { .. } => true,
            Self::Update(update) => update.permission.is_some(),
            Self::Mute { .. } => false,
        }
    }
}

/// Something that is not as declared and is not acted upon now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// What it is.
    pub decision: Decision,
    /// Why nothing is done.
    pub because: Because,
}

/// Why nothing is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// Somebody undoes every correction; the next one comes at this moment.
    Damped(Timestamp),
    /// The identity was removed a moment ago; the next removal comes at this moment.
    JustRemoved(Timestamp),
    /// An object of higher place is not understood and might protect the participant.
    Unknown,
    /// The server refused it.
    Refused(Arc<str>),
    /// The participant published other things under a source so often that it stays withdrawn in this session.
    StaysWithdrawn,
    /// The server does not let tracks be unmuted.
    RemoteUnmuteDisabled,
}

/// What a plan depends on beside the rules and the participant.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// What is remembered of the session.
    pub session: &'a Session,
    /// When the identity was last removed from the room.
    pub removed_at: Option<Timestamp>,
    /// Whether the server lets tracks be unmuted, as far as is known.
    pub can_unmute: bool,
    /// From this place in the line on, nothing may be removed.
    pub unknown_from: Option<&'a Place>,
    /// The time.
    pub now: Timestamp,
}

/// Plans for one participant.
#[must_use]
pub fn plan(resolution: &Resolution<'_>, participant: &Participant, circumstances: Circumstances<'_>) -> Plan {
    let mut planner = Planner {
        resolution,
        participant,
        circumstances,
        plan: Plan { wake: resolution.next_change(), ..Plan::default() },
        update: Update::default(),
    };
    if planner.remove() {
        return planner.plan;
    }
    let publishing = planner.permission();
    planner.texts();
    planner.attributes();
    planner.send_update();
    planner.mutes(publishing);
    planner.plan
}

struct Planner<'a> {
    resolution: &'a Resolution<'a>,
    participant: &'a Participant,
    circumstances: Circumstances<'a>,
    plan: Plan,
    update: Update,
}

impl Planner<'_> {
    /// Plans a removal; whether that ends the plan.
    fn remove(&mut self) -> bool {
        let Some((at, revoke_tokens)) = self.resolution.removal() else { return false };
        let why = self.decision(at, Field::Presence, Value::Removed { revoke_tokens }, Value::Kept);
        let place = &self.resolution.standing(at).place;
        if self.circumstances.unknown_from.is_some_and(|unknown| unknown < place) {
            self.leave(why, Because::Unknown);
            return false;
        }
        let wait = self.circumstances.removed_at.and_then(|at| at.checked_add(REMOVAL_INTERVAL).ok());
        match wait.filter(|until| self.circumstances.now < *until) {
            Some(until) => self.put_off(why, until, Because::JustRemoved(until)),
            None => self.plan.actions.push(Action::Remove { revoke_tokens, why }),
        }
        true
    }

    /// Plans the permission, and answers what may be published when the plan has been carried out.
    fn permission(&mut self) -> Publishing {
        let mut permission = self.participant.permission;
        let mut publishing = permission.publishing();
        if let Some((at, wanted)) = self.resolution.publishing() {
            publishing = self.publishing(at, wanted);
            permission = permission.with_publishing(publishing);
        }
        for flag in Flag::ALL {
            let Some((at, wanted)) = self.resolution.flag(flag) else { continue };
            let seen = flag.of(&permission);
            if seen == wanted {
                continue;
            }
            let why = self.decision(at, Field::Flag(flag), Value::Flag(wanted), Value::Flag(seen));
            if wanted && let Some(until) = self.damped(&why.field) {
                self.put_off(why, until, Because::Damped(until));
                continue;
            }
            *flag.of_mut(&mut permission) = wanted;
            self.update.why.push(why);
        }
        // Compared by meaning: the order of sources and what they are while nothing may be published say nothing.
        if permission != self.participant.permission && !self.update.why.is_empty() {
            self.update.permission = Some(permission);
        }
        publishing
    }

    /// Plans what may be published, and answers it.
    fn publishing(&mut self, at: At, wanted: Publishing) -> Publishing {
        let seen = self.participant.permission.publishing();
        let session = self.circumstances.session;
        let kept_back = session.stays_withdrawn();
        let allowed = wanted.minus(kept_back);
        let withdraws: Vec<_> = (self.participant.tracks.iter())
            .filter(|track| {
                is_misplaced(track, wanted) && allowed.allows(track.claim()) && !session.has_withdrawn(&track.sid)
            })
            .map(|track| (track.claim(), track.sid.clone()))
            .collect();
        let claims = withdraws.iter().fold(Sources::NONE, |all, (claim, _)| all.with(*claim));
        let target = allowed.minus(claims);
        if wanted == seen && target == seen {
            return seen;
        }
        let why = self.decision(at, Field::Publishing, Value::Publishing(wanted), Value::Publishing(seen));
        if target == seen {
            self.leave(why, Because::StaysWithdrawn);
            return seen;
        }
        self.update.withdraws = withdraws;
        if !target.within(seen)
            && let Some(until) = self.damped(&Field::Publishing)
        {
            // What narrows goes out at once, only what widens waits.
            let narrowed = target.and(seen);
            if narrowed != seen {
                self.update.why.push(why.clone());
            }
            self.put_off(why, until, Because::Damped(until));
            return narrowed;
        }
        self.update.why.push(why);
        target
    }

    fn texts(&mut self) {
        let (name, metadata) = (self.resolution.name(), self.resolution.metadata());
        self.update.name = self.text(name, Field::Name, &self.participant.name);
        self.update.metadata = self.text(metadata, Field::Metadata, &self.participant.metadata);
    }

    fn text(&mut self, decided: Option<(At, &Arc<str>)>, field: Field, seen: &str) -> Option<Arc<str>> {
        let (at, wanted) = decided.filter(|(_, wanted)| ***wanted != *seen)?;
        let why = self.decision(at, field, Value::Text(Arc::clone(wanted)), Value::Text(seen.into()));
        self.undamped(why).then(|| Arc::clone(wanted))
    }

    fn attributes(&mut self) {
        for (at, key, wanted) in self.resolution.attributes() {
            let seen = self.participant.attributes.get(&**key);
            if wanted.map(|value| &**value) == seen.map(String::as_str) {
                continue;
            }
            let value = |value: Option<Arc<str>>| value.map_or(Value::Absent, Value::Text);
            let seen = value(seen.map(|value| value.as_str().into()));
            let why = self.decision(at, Field::Attribute(Arc::clone(key)), value(wanted.cloned()), seen);
            if self.undamped(why) {
                self.update.attributes.push((Arc::clone(key), wanted.cloned()));
            }
        }
    }

    /// Puts the update into the plan: whole, or in parts where the whole was refused.
    fn send_update(&mut self) {
        let update = std::mem::take(&mut self.update);
        if update.parts() == 0 {
            return;
        }
        let updates = if self.circumstances.session.goes_apart() { apart(update) } else { vec![update] };
        for update in updates {
            match self.circumstances.session.refused(&update, self.circumstances.now) {
                None => self.plan.actions.push(Action::Update(update)),
                Some((until, message)) => {
                    for why in update.why {
                        self.put_off(why, until, Because::Refused(Arc::clone(&message)));
                    }
                }
            }
        }
    }

    fn mutes(&mut self, publishing: Publishing) {
        let seen = self.participant.permission.publishing();
        for source in ALL_SOURCES {
            let Some((at, state)) = self.resolution.mute(source) else { continue };
            for track in self.participant.tracks.iter().filter(|track| track.source() == Some(source)) {
                let goes = seen.allows(track.claim()) && !publishing.allows(track.claim());
                if !goes {
                    self.mute(at, state, track, Field::Mute(source));
                }
            }
        }
    }

    fn mute(&mut self, at: At, state: MuteState, track: &Track, field: Field) {
        let (muted, once) = match state {
            MuteState::AlwaysMuted => (true, None),
            MuteState::Once { muted, key } => (muted, Some(key)),
        };
        if once.is_some_and(|key| self.circumstances.session.is_done(&track.sid, key)) {
            return;
        }
        if track.muted == muted {
            self.plan.settled.extend(once.map(|key| (track.sid.clone(), key)));
            return;
        }
        let why = self.decision(at, field, Value::Muted(muted), Value::Muted(track.muted));
        if !muted && !self.circumstances.can_unmute {
            self.leave(why, Because::RemoteUnmuteDisabled);
            return;
        }
        self.plan.actions.push(Action::Mute { track: track.sid.clone(), muted, once, why });
    }

    fn damped(&self, field: &Field) -> Option<Timestamp> {
        self.circumstances.session.damped_until(field, self.circumstances.now)
    }

    /// Puts a decision into the update unless its field is left alone for a while; whether it did.
    fn undamped(&mut self, why: Decision) -> bool {
        match self.damped(&why.field) {
            Some(until) => {
                self.put_off(why, until, Because::Damped(until));
                false
            }
            None => {
                self.update.why.push(why);
                true
            }
        }
    }

    fn leave(&mut self, decision: Decision, because: Because) {
        self.plan.open.push(Open { decision, because });
    }

    fn put_off(&mut self, decision: Decision, until: Timestamp, because: Because) {
        self.plan.wake = earliest(self.plan.wake, Some(until));
        self.leave(decision, because);
    }

    fn decision(&self, at: At, field: Field, wanted: Value, seen: Value) -> Decision {
        self.resolution.decision(at, field, wanted, seen, self.participant, self.circumstances.now)
    }
}

/// Whether a track shows or carries something that may not be published, though the source it claims may.
fn is_misplaced(track: &Track, wanted: Publishing) -> bool {
    let Publishing::Only(sources) = wanted else { return false };
    track.source().is_some_and(|source| !sources.contains(source))
}

/// The parts of an update, the permission first: a bad attribute never keeps a right open.
fn apart(update: Update) -> Vec<Update> {
    let Update { permission, name, metadata, attributes, withdraws, why } = update;
    let (permission_why, why): (Vec<_>, Vec<_>) =
        why.into_iter().partition(|decision| matches!(decision.field, Field::Publishing | Field::Flag(_)));
    let (name_why, why): (Vec<_>, Vec<_>) = why.into_iter().partition(|decision| decision.field == Field::Name);
    let (metadata_why, attributes_why): (Vec<_>, Vec<_>) =
        why.into_iter().partition(|decision| decision.field == Field::Metadata);
    let parts = [
        Update { permission, withdraws, why: permission_why, ..Update::default() },
        Update { name, why: name_why, ..Update::default() },
        Update { metadata, why: metadata_why, ..Update::default() },
        Update { attributes, why: attributes_why, ..Update::default() },
    ];
    parts.into_iter().filter(|part| part.parts() > 0).collect()
}
