//! Interim.
use super::{Because, Circumstances, Decision, Line, ObjectName, Participant, Resolver, plan};
use crate::api::Sample;
/// Interim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Tally {
    pub participants: u32,
    pub compliant: u32,
    pub pending: u32,
    pub failed: u32,
    pub violations: u32,
    pub decided: bool,
    pub overruled_by: Option<ObjectName>,
    pub failure: Option<String>,
    pub remote_unmute_disabled: bool,
    pub samples: Vec<Sample>,
}
#[allow(missing_docs)]
impl Tally {
    pub fn merge(&mut self, o: &Self) {
        self.participants += o.participants;
        self.compliant += o.compliant;
        self.pending += o.pending;
        self.failed += o.failed;
        self.violations += o.violations;
        self.decided |= o.decided;
        if self.overruled_by.is_none() {
            self.overruled_by.clone_from(&o.overruled_by);
        }
        if self.failure.is_none() {
            self.failure.clone_from(&o.failure);
        }
        self.remote_unmute_disabled |= o.remote_unmute_disabled;
        self.samples.extend(o.samples.iter().cloned());
        self.samples.sort();
        self.samples.truncate(20);
    }
    pub fn overridden_by(&self) -> Option<&ObjectName> {
        if self.decided { None } else { self.overruled_by.as_ref() }
    }
}
/// Interim.
#[derive(Debug)]
pub struct RoomTally<'a> {
    room: &'a str,
    line: &'a Line,
    parts: Vec<(ObjectName, Tally)>,
}
#[allow(missing_docs)]
impl<'a> RoomTally<'a> {
    pub fn new(room: &'a str, line: &'a Line) -> Self {
        let names = line
            .enforced
            .iter()
            .map(|s| s.policy.name.clone())
            .chain(line.audited.iter().map(|a| a.members[a.subject].policy.name.clone()));
        Self { room, line, parts: names.map(|n| (n, Tally::default())).collect() }
    }
    pub fn add(&mut self, resolver: &mut Resolver, p: &Participant, c: Circumstances<'_>, failure: Option<&str>) {
        let r = resolver.resolve(&self.line.enforced, p, c.now);
        let planned = plan(&r, p, c);
        for (i, part) in r.parts().iter().enumerate() {
            if !part.matched {
                continue;
            }
            let name = &self.line.enforced[i].policy.name;
            let t = &mut self.parts[i].1;
            t.participants += 1;
            t.decided |= part.decided;
            if let Some(w) = part.overruled_by {
                t.overruled_by.get_or_insert_with(|| self.line.enforced[w].policy.name.clone());
            }
            let mine = |d: &&Decision| d.by.policy == *name;
            let mut failed = false;
            let mut pending = false;
            let sample = |d: &Decision, m: Option<String>| Sample {
                room: self.room.into(),
                identity: p.identity.clone(),
                rule: Some(d.by.rule.to_string()),
                field: d.field.to_string(),
                wanted: Some(d.wanted.to_string().chars().take(64).collect()),
                seen: Some(d.seen.to_string().chars().take(64).collect()),
                message: m,
            };
            for d in planned.actions.iter().flat_map(super::Action::why).filter(mine) {
                if failure.is_some() {
                    failed = true;
                    t.failure = failure.map(Into::into);
                } else {
                    pending = true;
                }
                t.samples.push(sample(d, failure.map(Into::into)));
            }
            for o in planned.open.iter().filter(|o| mine(&&o.decision)) {
                match &o.because {
                    Because::Refused(m) => {
                        failed = true;
                        t.failure = Some(m.to_string());
                        t.samples.push(sample(&o.decision, Some(m.to_string())));
                    }
                    Because::RemoteUnmuteDisabled => {
                        failed = true;
                        t.remote_unmute_disabled = true;
                        t.samples.push(sample(&o.decision, None));
                    }
                    Because::StaysWithdrawn => {
                        failed = true;
                        t.samples.push(sample(&o.decision, None));
                    }
                    _ => {
                        pending = true;
                        t.samples.push(sample(&o.decision, None));
                    }
                }
            }
            if failed {
                t.failed += 1
            } else if pending {
                t.pending += 1
            } else {
                t.compliant += 1
            }
            t.samples.sort();
            t.samples.truncate(20);
        }
    }
    pub fn into_parts(self) -> Vec<(ObjectName, Tally)> {
        self.parts
    }
}
