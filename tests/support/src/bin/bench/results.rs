//! The figures of a run, as they are kept.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use usher_testkit::repository;

use super::{
    contender::{Contender, Entrant},
    sample::{Outcome, Sample},
    solo::Solo,
};

/// A run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// When it was made.
    pub date: String,
    /// Cores of the machine, which everything shared.
    pub cores: usize,
    pub scenarios: Vec<Scenario>,
    /// After the joins.
    pub memory: Vec<Memory>,
    pub solo: Option<Solo>,
}

/// A scenario, with what each contender did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scenario {
    pub name: String,
    pub outcomes: Vec<Outcome>,
}

/// A contender's memory in MiB: now and at most.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Memory {
    pub contender: Contender,
    pub resident: f64,
    pub most: f64,
}

/// The figures that the documentation shows.
pub fn published() -> PathBuf {
    repository().join("docs/benchmarks/enforcement.json")
}

/// Those of a run that proves nothing.
pub fn passing() -> PathBuf {
    repository().join("target/bench/enforcement.json")
}

impl Results {
    /// Without figures yet.
    pub fn begin() -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let date = jiff::Zoned::now().date().to_string();
        Self { date, cores, scenarios: Vec::new(), memory: Vec::new(), solo: None }
    }

    pub fn add(&mut self, scenario: Scenario) {
        eprintln!("{}: done", scenario.name);
        self.scenarios.push(scenario);
    }
}

impl Scenario {
    pub fn new(name: &str, entrants: &[Entrant], samples: Vec<Sample>) -> Self {
        let outcomes = entrants.iter().zip(samples).map(|(entrant, sample)| sample.outcome(entrant.contender));
        Self { name: name.to_owned(), outcomes: outcomes.collect() }
    }

    pub fn of(&self, contender: Contender) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.contender == contender)
    }
}
