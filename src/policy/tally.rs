//! What a room contributes to the status of each policy that speaks in it.

use super::{
    action::{Because, Circumstances, Plan},
    counts::{Counts, Samples},
    field::{Decision, ObjectName},
    line::{Line, Place, Standing},
    participant::Participant,
    plan::plan,
    resolve::{Part, Resolver},
    smaller,
};
use crate::api::Sample;

/// What one or more rooms say of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyTally {
    /// Of rooms in which it speaks, and participants that one of its rules matches: compliant are those for whom
    /// everything that it decides is as it says.
    pub counts: Counts,
    /// It decided something for somebody.
    pub decided: bool,
    /// Who overruled it; of several, who stands first in the line.
    pub overruled_by: Option<Place>,
    /// Why something cannot be done; of several reasons the first in the alphabet, so that it stays the same.
    pub failure: Option<String>,
    /// It wants tracks unmuted that the server does not let be unmuted.
    pub remote_unmute_disabled: bool,
    /// What is not as declared.
    pub samples: Samples,
}

impl PolicyTally {
    /// Adds what other rooms say. In which order rooms are added is irrelevant.
    pub fn merge(&mut self, other: &Self) {
        self.counts += other.counts;
        self.decided |= other.decided;
        self.remote_unmute_disabled |= other.remote_unmute_disabled;
        lower(&mut self.overruled_by, other.overruled_by.as_ref());
        lower(&mut self.failure, other.failure.as_ref());
        self.samples.extend(other.samples.iter().cloned());
    }

    /// Who decides everything that the policy speaks of; `None` where it has a say or matches nobody.
    #[must_use]
    pub fn overridden_by(&self) -> Option<&ObjectName> {
        let overruled = self.overruled_by.as_ref().filter(|_| !self.decided)?;
        Some(overruled.name())
    }

    /// Notes the part it had in the resolution of a participant.
    fn took_part(&mut self, part: Part, line: &[Standing]) {
        self.counts.participants += 1;
        self.decided |= part.decided;
        let by = part.overruled_by.map(|member| &line[member].place);
        if by.is_some_and(|by| self.overruled_by.as_ref().is_none_or(|first| by < first)) {
            self.overruled_by = by.cloned();
        }
    }
}

/// Counts the participants of one room.
#[derive(Debug)]
pub struct RoomTally<'a> {
    room: &'a str,
    line: &'a Line,
    /// By their number in the line.
    enforced: Vec<PolicyTally>,
    /// By the number of their line.
    audited: Vec<PolicyTally>,
    /// What has become of one participant for each policy of the line; kept for its memory.
    outcomes: Vec<Outcome>,
    with_samples: bool,
}

/// How far a policy is enforced on a participant, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Compliant,
    Pending,
    Failed,
}

impl<'a> RoomTally<'a> {
    /// Begins to count in a room, and maybe to take samples of what is not as declared.
    #[must_use]
    pub fn new(room: &'a str, line: &'a Line, with_samples: bool) -> Self {
        let zero = PolicyTally { counts: Counts { rooms: 1, ..Counts::default() }, ..PolicyTally::default() };
        Self {
            room,
            line,
            enforced: vec![zero.clone(); line.enforced.len()],
            audited: vec![zero; line.audited.len()],
            outcomes: Vec::new(),
            with_samples,
        }
    }

    /// Counts a participant, and answers the plan it was judged by. `failure` is what the last request for the
    /// participant failed with, if it is not to be sent again soon: then what the plan would do counts as failed.
    pub fn add(
        &mut self,
        resolver: &mut Resolver,
        participant: &Participant,
        circumstances: Circumstances<'_>,
        failure: Option<&str>,
    ) -> Plan {
        let plan = self.add_enforced(resolver, participant, circumstances, failure);
        for (line, tally) in self.line.audited.iter().zip(&mut self.audited) {
            let resolution = resolver.resolve(&line.members, participant, circumstances.now);
            let part = resolution.parts()[line.subject];
            if !part.matched {
                continue;
            }
            tally.took_part(part, &line.members);
            let subject = &line.members[line.subject].policy.name;
            let plan = self::plan(&resolution, participant, circumstances);
            // Whether it would be done now or later is the same to somebody who does nothing.
            let before = tally.counts.violations;
            for decision in decisions(&plan).filter(|decision| decision.by.policy == *subject) {
                tally.counts.violations += 1;
                if self.with_samples {
                    sample(tally, self.room, participant, decision, None);
                }
            }
            tally.counts.compliant += u32::from(tally.counts.violations == before);
        }
        plan
    }

    fn add_enforced(
        &mut self,
        resolver: &mut Resolver,
        participant: &Participant,
        circumstances: Circumstances<'_>,
        failure: Option<&str>,
    ) -> Plan {
        let line = &self.line.enforced;
        let resolution = resolver.resolve(line, participant, circumstances.now);
        let plan = self::plan(&resolution, participant, circumstances);
        self.outcomes.clear();
        self.outcomes.resize(line.len(), Outcome::Compliant);
        let mut note = |decision: &Decision, outcome: Outcome, message: Option<&str>, because: Option<&Because>| {
            let found = line.iter().position(|standing| standing.policy.name == decision.by.policy);
            let Some(member) = found else { return };
            let tally = &mut self.enforced[member];
            self.outcomes[member] = self.outcomes[member].max(outcome);
            match because {
                Some(Because::RemoteUnmuteDisabled) => tally.remote_unmute_disabled = true,
                // A participant must not make a policy fail by what it does itself.
                Some(Because::StaysWithdrawn) => {}
                _ if outcome == Outcome::Failed => {
                    let failure = message.map(|message| format!("{}: {message}", decision.field));
                    tally.failure = smaller(tally.failure.take(), failure);
                }
                _ => {}
            }
            if self.with_samples {
                sample(tally, self.room, participant, decision, message);
            }
        };
        let acting = if failure.is_some() { Outcome::Failed } else { Outcome::Pending };
        for decision in plan.actions.iter().flat_map(|action| action.why()) {
            note(decision, acting, failure, None);
        }
        for open in &plan.open {
            let message = open.because.to_string();
            note(&open.decision, outcome_of(&open.because), Some(&message), Some(&open.because));
        }
        for ((part, outcome), tally) in resolution.parts().iter().zip(&self.outcomes).zip(&mut self.enforced) {
            if part.matched {
                tally.took_part(*part, line);
                *match outcome {
                    Outcome::Compliant => &mut tally.counts.compliant,
                    Outcome::Pending => &mut tally.counts.pending,
                    Outcome::Failed => &mut tally.counts.failed,
                } += 1;
            }
        }
        plan
    }

    /// What the room says of each policy, enforced or audited.
    pub fn into_parts(self) -> impl Iterator<Item = (ObjectName, PolicyTally)> + use<'a> {
        let audited = self.line.audited.iter().map(|line| &line.members[line.subject]);
        let standings = self.line.enforced.iter().chain(audited);
        standings.map(|standing| standing.policy.name.clone()).zip(self.enforced.into_iter().chain(self.audited))
    }
}

/// Takes the smaller of two, if there are any.
fn lower<T: Ord + Clone>(known: &mut Option<T>, other: Option<&T>) {
    if let Some(other) = other
        && known.as_ref().is_none_or(|known| other < known)
    {
        *known = Some(other.clone());
    }
}

/// What a plan says is not as declared.
fn decisions(plan: &Plan) -> impl Iterator<Item = &Decision> {
    plan.actions.iter().flat_map(|action| action.why()).chain(plan.open.iter().map(|open| &open.decision))
}

fn outcome_of(because: &Because) -> Outcome {
    match because {
        Because::Damped(_) | Because::JustRemoved(_) | Because::Unknown => Outcome::Pending,
        Because::Refused(_) | Because::StaysWithdrawn | Because::RemoteUnmuteDisabled => Outcome::Failed,
    }
}

fn sample(tally: &mut PolicyTally, room: &str, participant: &Participant, decision: &Decision, message: Option<&str>) {
    let identity = &*participant.identity;
    // Most of many would only be thrown away again.
    if tally.samples.is_beyond(room, identity) {
        return;
    }
    tally.samples.add(Sample {
        room: room.to_owned(),
        identity: identity.to_owned(),
        rule: Some(decision.by.rule.to_string()),
        field: decision.field.to_string(),
        wanted: Some(decision.wanted.to_string()),
        seen: Some(decision.seen.to_string()),
        message: message.map(Into::into),
    });
}
