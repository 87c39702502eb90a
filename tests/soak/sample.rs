//! What the operator has when nobody is there and nothing goes on.

use std::{
    fmt,
    time::{Duration, Instant},
};

use usher_testkit::{anonymous, connections_to, descriptors, resident, threads};

use crate::stage::Stage;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// The lowest number is found when no look has shown a lower one for so long.
const SETTLED: Duration = Duration::from_secs(1);

/// The end of a cycle.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Since the beginning.
    pub at: Duration,
    /// Participants who have come so far.
    pub joined: u64,
    /// Memory in RAM, in bytes, and the part of it that is not the program's own file: of that, more is read in as the
    /// program gets to it.
    pub resident: u64,
    pub anonymous: u64,
    /// Open file descriptors, without those of connections to LiveKit: of them it keeps one or two for a while.
    pub descriptors: usize,
    /// Threads of the process.
    pub threads: usize,
    /// Tasks that are alive, as the operator's own metrics say, without one for each such connection.
    pub tasks: usize,
}

impl Sample {
    /// The columns of what it shows.
    pub const HEAD: &str = "   at   joined  resident KiB  anonymous KiB  descriptors  threads  tasks";

    /// The lowest numbers of some looks: something is always just under way.
    pub async fn take(stage: &Stage, begun: Instant) -> Self {
        let mut lowest = Self::look(stage, begun).await;
        let mut since = Instant::now();
        while since.elapsed() < SETTLED {
            tokio::time::sleep(LOOK).await;
            let seen = Self::look(stage, begun).await;
            let before = lowest.counts();
            lowest.descriptors = lowest.descriptors.min(seen.descriptors);
            lowest.threads = lowest.threads.min(seen.threads);
            lowest.tasks = lowest.tasks.min(seen.tasks);
            (lowest.at, lowest.resident, lowest.anonymous) = (seen.at, seen.resident, seen.anonymous);
            if lowest.counts() != before {
                since = Instant::now();
            }
        }
        lowest
    }

    async fn look(stage: &Stage, begun: Instant) -> Self {
        let process = stage.operator.id();
        loop {
            let connections = connections_to(process, stage.server.port());
            let (descriptors, tasks) = (descriptors(process), stage.operator.metric("usher_tasks").await as usize);
            if connections_to(process, stage.server.port()) == connections {
                return Self {
                    at: begun.elapsed(),
                    joined: stage.people.joined,
                    resident: resident(process),
                    anonymous: anonymous(process),
                    descriptors: descriptors - connections,
                    threads: threads(process),
                    tasks: tasks - connections,
                };
            }
        }
    }

    fn counts(&self) -> [usize; 3] {
        [self.descriptors, self.threads, self.tasks]
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, joined, resident, anonymous, descriptors, threads, tasks } = self;
        let (secs, resident, anonymous) = (at.as_secs(), resident / 1024, anonymous / 1024);
        write!(f, "{secs:4}s {joined:8} {resident:13} {anonymous:14} {descriptors:12} {threads:8} {tasks:6}")
    }
}
