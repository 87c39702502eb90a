//! What is measured of a contender in a scenario.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use usher_testkit::{
    Info, Participant,
    figures::{quantile, rounded},
};

use super::contender::Contender;

/// Whether a participant is as declared.
pub fn is_quiet(info: &Info) -> bool {
    !info.permission.can_publish
}

/// How long a participant was last seen by its own client to be otherwise than declared, in milliseconds; none if it
/// still is. Of one that was never seen so, for the change came before it was connected: zero.
pub fn unenforced_for(participant: &Participant) -> Option<f64> {
    let infos = participant.infos();
    let session = &infos.last()?.1.sid;
    let mut since_then = infos.iter().rev().take_while(|(_, info)| info.sid == *session).peekable();
    let mut enforced = None;
    while let Some((at, _)) = since_then.next_if(|(_, info)| is_quiet(info)) {
        enforced = Some(*at);
    }
    let before = since_then.take_while(|(_, info)| !is_quiet(info)).last().map(|(at, _)| *at);
    let enforced = enforced?;
    Some(before.map_or(0.0, |before| enforced.duration_since(before).as_secs_f64().max(0.0) * 1000.0))
}

/// What one contender did in one scenario, all rounds together.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Of each participant that was enforced, after how many milliseconds.
    pub millis: Vec<f64>,
    /// The median of each round that was taken in; none of one in which nobody was enforced.
    pub medians: Vec<Option<f64>>,
    /// How many never were.
    pub unenforced: usize,
    /// Requests to LiveKit.
    pub requests: f64,
    /// Of these, changes.
    pub writes: f64,
    /// CPU time of the contender.
    pub cpu: Duration,
}

impl Sample {
    /// Takes in another round.
    pub fn add(&mut self, mut other: Self) {
        other.millis.sort_by(f64::total_cmp);
        self.medians.push(quantile(&other.millis, 0.5));
        self.millis.extend(other.millis);
        self.unenforced += other.unenforced;
        self.requests += other.requests;
        self.writes += other.writes;
        self.cpu += other.cpu;
    }

    /// Takes in participants.
    pub fn observe<'a>(&mut self, participants: impl IntoIterator<Item = &'a Participant>) {
        for participant in participants {
            match unenforced_for(participant) {
                Some(millis) => self.millis.push(millis),
                None => self.unenforced += 1,
            }
        }
    }

    /// The figures that are shown.
    pub fn outcome(mut self, contender: Contender) -> Outcome {
        self.millis.sort_by(f64::total_cmp);
        let participants = self.millis.len() + self.unenforced;
        Outcome {
            contender,
            participants,
            unenforced: self.unenforced,
            p50: quantile(&self.millis, 0.5),
            medians: self.medians,
            p95: quantile(&self.millis, 0.95),
            p99: quantile(&self.millis, 0.99),
            worst: self.millis.last().copied().map(rounded),
            requests_each: rounded(self.requests / participants as f64),
            writes_each: rounded(self.writes / participants as f64),
            cpu_of_100: rounded(self.cpu.as_secs_f64() * 100.0 / participants as f64),
        }
    }
}

/// What one contender did in one scenario. Times are in milliseconds, of those that were enforced.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub contender: Contender,
    pub participants: usize,
    pub unenforced: usize,
    pub p50: Option<f64>,
    /// The median of each round, in their order and so that those of contenders match; empty where there were no rounds.
    pub medians: Vec<Option<f64>>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    pub worst: Option<f64>,
    /// Requests to LiveKit for each participant, listings included.
    pub requests_each: f64,
    /// UpdateParticipant alone.
    pub writes_each: f64,
    /// CPU seconds for a hundred participants.
    pub cpu_of_100: f64,
}
