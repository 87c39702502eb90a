//! The figures of a run, as they are kept.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use usher_testkit::{
    cpu,
    figures::{self, mebibytes, quantile, rounded},
    most_resident, repository, resident,
};

use super::{contender::Contender, extent::Extent, log::Calls, server::Server};

/// A run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    pub date: String,
    /// Cores of the machine, which all processes shared.
    pub cores: usize,
    pub extent: Extent,
    /// Memory of the operator under the policies with nobody there, in MiB.
    #[serde(default)]
    pub alone: Option<f64>,
    pub outcomes: Vec<Outcome>,
}

/// What one contender did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub contender: Contender,
    /// From the start of the process until everybody is as declared who was there before.
    pub cold: Phase,
    /// From an edit that touches everybody until they are as it says.
    pub change: Phase,
    pub joins: Phase,
    /// Who was not as declared at last.
    pub undeclared: Option<usize>,
}

/// A part of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Phase {
    pub name: String,
    /// From its beginning to the change of the last participant.
    pub seconds: f64,
    /// CPU seconds of the contender, and of the simulated server.
    pub cpu: f64,
    pub server_cpu: f64,
    /// Memory of the contender at its end, and at most until then, in MiB.
    pub resident: f64,
    pub most: f64,
    /// Requests by method.
    pub requests: BTreeMap<String, u64>,
    /// How many participants were changed, and how many should have been and were not.
    pub changed: usize,
    pub unchanged: usize,
    /// From joining to the change that made them as declared, in milliseconds: p50, p95, p99, worst.
    pub times: Option<[f64; 4]>,
}

/// What a process has used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu: Duration,
    pub server_cpu: Duration,
    pub resident: f64,
    pub most: f64,
}

impl Usage {
    /// What a process has used, and the server.
    pub fn of(process: i32, server: &Server) -> Self {
        Self {
            cpu: cpu(process),
            server_cpu: cpu(server.process.id()),
            resident: mebibytes(resident(process)),
            most: mebibytes(most_resident(process)),
        }
    }
}

impl Phase {
    /// What the calls of a phase come to: those of participants whose identities begin so.
    pub fn of(
        name: &str,
        calls: Calls<'_>,
        begun: Timestamp,
        (prefix, count): (&str, usize),
        [before, after]: [Usage; 2],
    ) -> Self {
        let changes = calls.first_changes(prefix);
        let last = changes.values().map(|call| call.time).max().unwrap_or(begun);
        let mut times: Vec<_> = changes.values().filter_map(|call| call.since_join_ms).collect();
        times.sort_by(f64::total_cmp);
        let at = |part| quantile(&times, part).unwrap_or(f64::NAN);
        Self {
            name: name.to_owned(),
            seconds: rounded(last.duration_since(begun).as_secs_f64()),
            cpu: rounded((after.cpu - before.cpu).as_secs_f64()),
            server_cpu: rounded((after.server_cpu - before.server_cpu).as_secs_f64()),
            resident: after.resident,
            most: after.most,
            requests: calls.by_method(),
            changed: changes.len(),
            unchanged: count.saturating_sub(changes.len()),
            times: (name == "joins").then(|| [at(0.5), at(0.95), at(0.99), at(1.0)]),
        }
    }

    /// Requests that change a participant.
    pub fn changes(&self) -> u64 {
        self.requests.get("UpdateParticipant").copied().unwrap_or_default()
    }

    /// All requests.
    pub fn all_requests(&self) -> u64 {
        self.requests.values().sum()
    }
}

impl Results {
    /// Without figures yet.
    pub fn begin(extent: Extent) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Self { date: jiff::Zoned::now().date().to_string(), cores, extent, alone: None, outcomes: Vec::new() }
    }

    pub fn of(&self, contender: Contender) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.contender == contender)
    }

    fn path() -> PathBuf {
        repository().join("docs/benchmarks/scale.json")
    }

    pub fn load() -> Self {
        figures::load(&Self::path())
    }

    pub fn save(&self) {
        figures::save(self, &Self::path());
    }
}
