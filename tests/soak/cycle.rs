//! One cycle: weather, calm, and what is left when all have gone.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use usher_testkit::eventually;

use crate::{sample::Sample, stage::Stage, weather::Spell};

/// Between two things that happen.
const TICK: Duration = Duration::from_millis(25);
/// How long everybody may take to become as declared: the longest pause after failures, and some listings.
const PATIENCE: Duration = Duration::from_secs(120);
/// So long LiveKit is down.
const DOWN: Duration = Duration::from_millis(300);
/// Edits are taken within this time.
const READ: Duration = Duration::from_millis(600);

/// How fast everything goes.
pub struct Pace {
    /// How long each spell lasts.
    pub spell: Duration,
    pub joins_per_second: f64,
    /// How long nothing happens before what is left is counted.
    pub rest: Duration,
}

/// Plays one, and says what the operator has at its end.
pub async fn play(stage: &mut Stage, pace: &Pace, begun: Instant) -> Sample {
    stage.cycle += 1;
    for (number, spell) in Spell::ALL.into_iter().enumerate() {
        if spell == Spell::Crash {
            stage.server.crash(DOWN).await;
            stage.people.come_back(&stage.server);
        }
        stage.server.act(|simulator| spell.begin(simulator));
        stage.edit(number);
        happen(stage, pace).await;
    }
    stage.server.act(|simulator| simulator.heal());
    stage.write();
    sleep(READ).await;
    become_as_declared(stage).await;
    assert!(stage.operator.is_running(), "the operator has ended: {:?}", stage.operator.status());
    assert_eq!(stage.operator.metric("usher_panics_total").await, 0.0, "panics");

    stage.people.leave(&stage.server);
    // With its end, every connection ends: how many there are otherwise depends on how busy it was.
    stage.server.crash(DOWN).await;
    sleep(pace.rest).await;
    Sample::take(stage, begun).await
}

async fn happen(stage: &mut Stage, pace: &Pace) {
    let begun = Instant::now();
    let mut come = 0;
    while begun.elapsed() < pace.spell {
        while f64::from(come) < begun.elapsed().as_secs_f64() * pace.joins_per_second {
            come += 1;
            stage.people.come(&stage.server, &mut stage.random, stage.cycle);
            stage.people.act(&stage.server, &mut stage.random);
        }
        sleep(TICK).await;
    }
}

async fn become_as_declared(stage: &Stage) {
    eventually(PATIENCE, "everybody is as declared", async || {
        let deviations = stage.server.act(|simulator| stage.declared.deviations(simulator));
        if deviations.is_empty() { Ok(()) } else { Err(format!("{deviations:#?}")) }
    })
    .await;
    let missing = stage.people.missing(&stage.server);
    assert!(missing.is_empty(), "{missing:#?}");
}
