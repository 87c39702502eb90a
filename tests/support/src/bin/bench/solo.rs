//! What concerns Usher alone: at rest, its start, and a flood of forged webhooks.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use usher_testkit::{
    Launch, TestDir, TokenSpec, cpu,
    figures::{mebibytes, quantile, rounded},
    resident,
};

use super::{
    contender::{Contender, Entrant},
    joins::{Joins, crowd, leave, wait_quiet},
    sample::{Outcome, Sample},
};

/// Connections of the flood, more than Usher serves at once; each sends the next webhook when the last is answered.
const CONNECTIONS: usize = 600;

/// What is measured of Usher alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Solo {
    /// Resident at rest, in MiB.
    pub resident: f64,
    /// CPU seconds in thirty seconds at rest.
    pub cpu_at_rest: f64,
    /// From the start of the process to the first participant that is as declared, in milliseconds: median, worst.
    pub cold_start: (f64, f64),
    /// The same joins without and with the flood.
    pub quiet: Outcome,
    pub flooded: Outcome,
    /// Forged webhooks a second, as Usher counted them.
    pub flood_rate: f64,
}

/// Resident memory in MiB, and CPU seconds in thirty seconds.
pub async fn rest(entrant: &Entrant, watched: Duration) -> (f64, f64) {
    sleep(Duration::from_secs(3)).await;
    let before = cpu(entrant.program().id());
    sleep(watched).await;
    let used = cpu(entrant.program().id()) - before;
    (mebibytes(resident(entrant.program().id())), rounded(used.as_secs_f64() * 30.0 / watched.as_secs_f64()))
}

/// Somebody joins while Usher is not there; then it starts. Median and worst.
pub async fn cold_start(entrant: &Entrant, times: usize) -> (f64, f64) {
    let crowd = crowd();
    let mut millis = Vec::new();
    for number in 0..times {
        entrant.program().kill().await;
        let guest = crowd.join(&entrant.livekit, &TokenSpec::new(&format!("cold-{number}"), "guest")).await;
        let begun = Timestamp::now();
        entrant.program().start_without_waiting();
        wait_quiet(&guest, Duration::from_secs(20)).await;
        let enforced = guest.infos().last().map_or(begun, |(at, _)| *at);
        millis.push(enforced.duration_since(begun).as_secs_f64() * 1000.0);
        entrant.program().ready().await;
        leave(vec![guest]).await;
    }
    millis.sort_by(f64::total_cmp);
    (quantile(&millis, 0.5).unwrap_or(f64::NAN), quantile(&millis, 1.0).unwrap_or(f64::NAN))
}

/// Joins with and without a flood, in turns: (quiet, flooded, forged webhooks a second).
pub async fn flood(entrant: &Entrant, joins: &Joins, rounds: usize) -> (Outcome, Outcome, f64) {
    let (mut quiet, mut flooded) = (Sample::default(), Sample::default());
    let (mut forged, mut lasted) = (0.0, 0.0);
    for round in 0..rounds {
        quiet.add(joins.round(entrant, 2 * round).await);
        let own = std::env::current_exe().expect("this program has a path");
        let dir = TestDir::current();
        let flood = Launch::new(own.with_file_name("flood"), dir.log("flood"))
            .args(entrant.webhooks())
            .arg(CONNECTIONS.to_string())
            .arg(&entrant.livekit.keys()[0].key);
        let flood = flood.start();
        sleep(Duration::from_millis(500)).await;
        let (before, begun) = (rejected(entrant).await, Instant::now());
        flooded.add(joins.round(entrant, 2 * round + 1).await);
        forged += rejected(entrant).await - before;
        lasted += begun.elapsed().as_secs_f64();
        flood.kill().await;
        sleep(Duration::from_secs(1)).await;
    }
    (quiet.outcome(Contender::Usher), flooded.outcome(Contender::Usher), (forged / lasted).round())
}

async fn rejected(entrant: &Entrant) -> f64 {
    entrant.metric("usher_webhooks_rejected_total{reason=\"signature\"}").await
}
