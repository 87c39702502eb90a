//! Scenarios in which something is broken. Their times are seconds, so all contenders go through the outages at once.

use std::time::Duration;

use futures::{future::join_all, join};
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use usher_testkit::{Cluster, Participants, TokenSpec, cpu};

use super::{
    contender::Entrant,
    joins::{PATIENCE, crowd, enter, leave, wait_quiet},
    sample::{Sample, is_quiet},
};

/// How many participants.
const GUESTS: usize = 20;
/// After an outage: longer than Usher's resync interval and whatever LiveKit still repeats.
const LONG_PATIENCE: Duration = Duration::from_secs(40);
/// While somebody else's change is awaited: longer than four looks.
const DRIFT_PATIENCE: Duration = Duration::from_secs(20);
/// How often Usher and the polling script look, for the drift alone.
pub const DRIFT_INTERVAL: &str = "5s";

fn specs(room: &str) -> Vec<TokenSpec> {
    (0..GUESTS).map(|number| TokenSpec::new(&format!("{room}-{}", number % 5), &format!("guest-{number}"))).collect()
}

/// Who enforces is killed; while it is away, participants join; then it is started again.
pub async fn receiver_down(entrant: &Entrant, name: &str, away: Duration) -> Sample {
    let (crowd, specs) = (crowd(), specs(name));
    let back_at = Instant::now() + away;
    entrant.program().kill().await;
    let requests = entrant.requests().await;
    let back = async {
        sleep_until(back_at).await;
        entrant.program().start_without_waiting();
    };
    let pause = away.mul_f64(0.95 / GUESTS as f64);
    let ((), guests) = join!(back, enter(&crowd, entrant, &specs, pause, away + LONG_PATIENCE));
    let asked = entrant.requests().await;
    let mut sample = Sample {
        requests: asked.all - requests.all,
        writes: asked.writes - requests.writes,
        cpu: cpu(entrant.program().id()),
        ..Sample::default()
    };
    sample.observe(&guests);
    leave(guests).await;
    sample
}

/// LiveKit is killed and started again; its participants come back with the tokens of their first join, which know
/// nothing of what was changed since.
pub async fn livekit_killed(entrant: &Entrant, round: usize) -> Sample {
    let (crowd, specs) = (crowd(), specs(&format!("killed-{round}")));
    let guests = enter(&crowd, entrant, &specs, Duration::ZERO, PATIENCE).await;
    entrant.livekit.restart().await;
    let before = cpu(entrant.program().id());
    join_all(guests.iter().map(|guest| async {
        guest.reconnect_first().await;
        wait_quiet(guest, PATIENCE).await;
    }))
    .await;
    let requests = entrant.requests().await;
    let used = cpu(entrant.program().id()) - before;
    let mut sample = Sample { requests: requests.all, writes: requests.writes, cpu: used, ..Sample::default() };
    sample.observe(&guests);
    leave(guests).await;
    sample
}

/// Another administrator lets everybody publish, of which no webhook tells.
pub async fn drift(entrants: &[Entrant], cluster: &Cluster) -> Vec<Sample> {
    for entrant in entrants {
        entrant.resync_every(cluster, DRIFT_INTERVAL).await;
    }
    let crowds: Vec<Participants> = entrants.iter().map(|_| crowd()).collect();
    let samples = join_all(entrants.iter().zip(&crowds).map(|(entrant, crowd)| drift_of(entrant, crowd))).await;
    for entrant in entrants {
        entrant.resync_every(cluster, "30s").await;
    }
    samples
}

async fn drift_of(entrant: &Entrant, crowd: &Participants) -> Sample {
    let specs = specs("drift");
    let guests = enter(crowd, entrant, &specs, Duration::ZERO, PATIENCE).await;
    // Not at the beginning of anybody's interval.
    sleep(Duration::from_millis(fastrand::u64(0..5000))).await;
    let (requests, before) = (entrant.requests().await, cpu(entrant.program().id()));
    for spec in &specs {
        let granted = json!({"permission": {"can_subscribe": true, "can_publish": true, "can_publish_data": true}});
        entrant.livekit.update_participant(&spec.room, &spec.identity, granted).await;
    }
    join_all(guests.iter().map(|guest| async {
        let granted = guest.wait_for(DRIFT_PATIENCE, |info| !is_quiet(info));
        // It may be taken back before anybody looks.
        let _ = timeout(Duration::from_secs(1), granted).await;
        wait_quiet(guest, DRIFT_PATIENCE).await;
    }))
    .await;
    let (asked, used) = (entrant.requests().await, cpu(entrant.program().id()) - before);
    let ours = specs.len() as f64;
    let mut sample = Sample {
        requests: asked.all - requests.all - ours,
        writes: asked.writes - requests.writes - ours,
        cpu: used,
        ..Sample::default()
    };
    sample.observe(&guests);
    leave(guests).await;
    sample
}
