//! Many schedules.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::schedule::{self, Outcome};

/// How many are played where `USHER_CHAOS_SCHEDULES` does not say it.
const SCHEDULES: u64 = 10_000;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} must be a number")))
}

/// Plays a schedule on a runtime of its own, by a clock that goes only when everybody waits.
fn play(seed: u64, with_story: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(schedule::play(seed, with_story))
}

/// The seeds of schedules that broke a rule, and the rule; after so many of them no more are looked for.
fn broken(seeds: std::ops::Range<u64>) -> Vec<(u64, String)> {
    const ENOUGH: usize = 5;
    let (next, requests) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let found = Mutex::new(Vec::new());
    let play_on = || {
        while found.lock().unwrap().len() < ENOUGH {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let broken = match catch_unwind(AssertUnwindSafe(|| play(seed, false))) {
                Ok(outcome) => {
                    requests.fetch_add(outcome.requests, Ordering::Relaxed);
                    outcome.broken
                }
                Err(_) => Some("a panic".to_owned()),
            };
            found.lock().unwrap().extend(broken.map(|broken| (seed, broken)));
        }
    };
    let threads = thread::available_parallelism().map_or(2, |number| number.get().min(8));
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(play_on))));
    println!("seeds {seeds:?}: {} requests were judged", requests.load(Ordering::Relaxed));
    let mut found = found.into_inner().unwrap();
    found.sort();
    found
}

#[test]
fn no_rule_is_broken_and_all_becomes_as_declared() {
    if let Some(seed) = number("USHER_CHAOS_SEED") {
        let Outcome { broken, story, .. } = play(seed, true);
        println!("{story}");
        assert_eq!(broken, None, "seed {seed}");
        return;
    }
    let schedules = number("USHER_CHAOS_SCHEDULES").unwrap_or(SCHEDULES);
    let found = broken(0..schedules);
    let told: String = found.iter().map(|(seed, broken)| format!("seed {seed}: {broken}\n")).collect();
    if let Some((seed, _)) = found.first() {
        panic!(
            "{told}for the story of the first: \
             USHER_CHAOS_SEED={seed} cargo test --locked --test chaos no_rule -- --nocapture"
        );
    }
}

#[test]
fn a_seed_tells_the_same_story_again() {
    for seed in 0..20 {
        let [first, second] = [play(seed, true).story, play(seed, true).story];
        let differs = first.lines().zip(second.lines()).find(|(first, second)| first != second);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.lines().count(), second.lines().count(), "seed {seed}");
    }
}
