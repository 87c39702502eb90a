//! What to do about one participant: the difference between what rules want and what is seen, in a safe order.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    action::{Action, Because, Circumstances, Open, Plan, Update},
    field::{Decision, Field, Flag, Value},
    participant::{ALL_SOURCES, Participant, Publishing, Sources, Track},
    resolve::{At, Resolution},
    rule::MuteState,
    smaller,
};

/// At most one removal of an identity in this time.
const REMOVAL_INTERVAL: Duration = Duration::from_secs(1);

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
    planner.permission();
    planner.texts();
    planner.attributes();
    let publishing = planner.send_update();
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

    fn permission(&mut self) {
        let mut permission = self.participant.permission;
        if let Some((at, wanted)) = self.resolution.publishing()
            && let Some(publishing) = self.publishing(at, wanted)
        {
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
        if permission != self.participant.permission {
            self.update.permission = Some(permission);
        }
    }

    /// What is to be granted now, if that is something else than what is seen.
    fn publishing(&mut self, at: At, wanted: Publishing) -> Option<Publishing> {
        let seen = self.participant.permission.publishing();
        let session = self.circumstances.session;
        let allowed = wanted.minus(session.stays_withdrawn());
        let (mut withdraws, mut unpublishes) = (Sources::NONE, Vec::new());
        for track in &self.participant.tracks {
            let claim = track.claim();
            if is_misplaced(track, wanted)
                && seen.allows(claim)
                && allowed.allows(claim)
                && !session.has_unpublished(&track.sid)
            {
                withdraws = withdraws.with(claim);
                unpublishes.push(track.sid.clone());
            }
        }
        let target = allowed.minus(withdraws);
        if wanted == seen && target == seen {
            return None;
        }
        let why = self.decision(at, Field::Publishing, Value::Publishing(wanted), Value::Publishing(seen));
        if target == seen {
            self.leave(why, Because::StaysWithdrawn);
            return None;
        }
        let target = match self.damped(&Field::Publishing) {
            // What narrows goes out at once, only what widens waits.
            Some(until) if !target.within(seen) => {
                self.put_off(why.clone(), until, Because::Damped(until));
                target.and(seen)
            }
            _ => target,
        };
        if target == seen {
            return None;
        }
        (self.update.withdraws, self.update.unpublishes) = (withdraws, unpublishes);
        self.update.why.push(why);
        Some(target)
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
            if wanted.map(|value| &**value) == seen.map(|value| &**value) {
                continue;
            }
            let value = |value: Option<Arc<str>>| value.map_or(Value::Absent, Value::Text);
            let seen = value(seen.map(|value| (**value).into()));
            let why = self.decision(at, Field::Attribute(Arc::clone(key)), value(wanted.cloned()), seen);
            if self.undamped(why) {
                self.update.attributes.push((Arc::clone(key), wanted.cloned()));
            }
        }
    }

    /// Puts the update into the plan: whole, or in parts where the whole was refused. Answers what may be published
    /// when it has been sent.
    fn send_update(&mut self) -> Publishing {
        let mut publishing = self.participant.permission.publishing();
        let update = std::mem::take(&mut self.update);
        if update.parts() == 0 {
            return publishing;
        }
        let updates = if self.circumstances.session.goes_apart() { apart(update) } else { vec![update] };
        for update in updates {
            match self.circumstances.session.refused(&update, self.circumstances.now) {
                None => {
                    publishing = update.permission.map_or(publishing, |permission| permission.publishing());
                    self.plan.actions.push(Action::Update(update));
                }
                Some((until, message)) => {
                    for why in update.why {
                        self.put_off(why, until, Because::Refused(Arc::clone(&message)));
                    }
                }
            }
        }
        publishing
    }

    /// Plans mutes, except of tracks that go because of what may be published from now on.
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
        let (muted, once) = (state.muted(), state.once());
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
        self.plan.wake = smaller(self.plan.wake, Some(until));
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
    let Update { permission, name, metadata, attributes, withdraws, unpublishes, why } = update;
    let (permission_why, why): (Vec<_>, Vec<_>) =
        why.into_iter().partition(|decision| matches!(decision.field, Field::Publishing | Field::Flag(_)));
    let (name_why, why): (Vec<_>, Vec<_>) = why.into_iter().partition(|decision| decision.field == Field::Name);
    let (metadata_why, attributes_why): (Vec<_>, Vec<_>) =
        why.into_iter().partition(|decision| decision.field == Field::Metadata);
    let parts = [
        Update { permission, withdraws, unpublishes, why: permission_why, ..Update::default() },
        Update { name, why: name_why, ..Update::default() },
        Update { metadata, why: metadata_why, ..Update::default() },
        Update { attributes, why: attributes_why, ..Update::default() },
    ];
    parts.into_iter().filter(|part| part.parts() > 0).collect()
}
