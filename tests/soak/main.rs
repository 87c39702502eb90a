//! A soak: for an hour, participants come, go, publish and unmute themselves, manifests are edited, broken and mended,
//! LiveKit is slow, refuses, hangs and crashes, and webhooks get lost. The operator is the program that its users run,
//! LiveKit is the simulated one.
//!
//! - It goes in *cycles* ([`cycle`]): some weather, then calm, in which everybody has to become as declared
//!   ([`declared`]); then all leave, and what the operator still has is noted ([`sample`]).
//! - Whoever and whatever comes in a cycle has names of its own: what is kept of them adds up.
//! - What the samples tell is judged by thirds ([`judgement`]).
//!
//! The short form runs with all tests. `make soak` runs the long one, on the release build.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

mod cycle;
mod declared;
mod judgement;
mod operator;
mod people;
mod sample;
mod server;
mod stage;
mod weather;

use std::{
    env,
    path::PathBuf,
    time::{Duration, Instant},
};

use usher_testkit::repository;

use crate::{cycle::Pace, judgement::Tolerance, sample::Sample, stage::Stage};

/// How long it goes on.
enum Extent {
    Cycles(usize),
    Time(Duration),
}

/// Few cycles in a hurry.
const SHORT: Pace =
    Pace { spell: Duration::from_millis(250), joins_per_second: 60.0, rest: Duration::from_millis(500) };
/// Of little CPU, and with time to forget.
const LONG: Pace = Pace { spell: Duration::from_secs(5), joins_per_second: 8.0, rest: Duration::from_secs(12) };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_and_goes_leaves_nothing_behind() {
    let minutes = env::var("USHER_SOAK_MINUTES").ok();
    let minutes = minutes.map(|text| text.parse::<u64>().expect("USHER_SOAK_MINUTES is a number"));
    let (program, pace, extent, tolerance) = match minutes {
        None => (PathBuf::from(env!("CARGO_BIN_EXE_usher")), SHORT, Extent::Cycles(4), Tolerance::LOOSE),
        Some(minutes) => {
            let lasts = Duration::from_secs(minutes * 60);
            (repository().join("target/release/usher"), LONG, Extent::Time(lasts), Tolerance::STRICT)
        }
    };
    let mut stage = Stage::set(program).await;
    let (begun, mut samples) = (Instant::now(), Vec::new());
    println!("{}", Sample::HEAD);
    while goes_on(&extent, samples.len(), begun.elapsed()) {
        let sample = cycle::play(&mut stage, &pace, begun).await;
        println!("{sample}");
        samples.push(sample);
    }
    let findings = judgement::judge(&samples, tolerance);
    assert!(findings.is_empty(), "{findings:#?}");
}

fn goes_on(extent: &Extent, cycles: usize, elapsed: Duration) -> bool {
    match extent {
        Extent::Cycles(all) => cycles < *all,
        Extent::Time(time) => elapsed < *time,
    }
}
