//! What concerns Usher alone: at rest, and at its start.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use usher_testkit::{
    TokenSpec, cpu,
    figures::{mebibytes, quantile, rounded},
    resident,
};

use super::{
    contender::Entrant,
    flood::Flooded,
    joins::{crowd, leave, wait_quiet},
};

/// What is measured of Usher alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Solo {
    /// Resident at rest, in MiB.
    pub resident: f64,
    /// CPU seconds in thirty seconds at rest.
    pub cpu_at_rest: f64,
    /// From the start of the process to the first participant that is as declared, in milliseconds: median, worst.
    pub cold_start: (f64, f64),
    pub flood: Flooded,
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
