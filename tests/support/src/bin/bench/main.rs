//! `make bench`: how long participants may do what they may not, under Usher and under other ways of forbidding it,
//! side by side on the real stack.
//!
//! ```text
//! bench                 measure all; figures go to docs/benchmarks
//! bench --short         few rounds of it, to see that it works; figures go to target/bench alone
//! bench --only NAME     scenarios whose names begin so; the same
//! bench --flood         the flood alone, anew into the figures that are there
//! bench --render        write the page anew from the figures that are there
//! ```

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program for developers, which ends where it cannot go on"
)]

mod contender;
mod flood;
mod joins;
mod page;
mod picture;
mod results;
mod sample;
mod sink;
mod solo;
mod troubles;

use std::time::Duration;

use futures::future::join_all;
use usher_testkit::{
    Cluster,
    figures::{load, mebibytes, save},
    most_resident, resident,
};

use self::{
    contender::{Contender, Entrant},
    flood::Flooded,
    joins::Joins,
    results::{Memory, Results, Scenario},
    sample::Sample,
    solo::Solo,
};

/// How much is measured.
#[derive(Clone, Copy)]
struct Extent {
    /// Rounds of steady joins, of each burst, of killing LiveKit.
    rounds: (usize, usize, usize),
    long_outage: bool,
    cold_starts: usize,
    rest: Duration,
}

/// Of a burst the rounds of one contender differ more than two contenders do: by a factor of two and a half.
const FULL: Extent = Extent { rounds: (16, 30, 8), long_outage: true, cold_starts: 5, rest: Duration::from_secs(15) };
const SHORT: Extent = Extent { rounds: (1, 1, 1), long_outage: false, cold_starts: 3, rest: Duration::from_secs(5) };

/// Nobody is measured at the first request of its life.
const WARM_UP: Joins = Joins { name: "warm-up", count: 10, rooms: 2, pause: Duration::ZERO };
const STEADY: Joins = Joins { name: "steady", count: 25, rooms: 10, pause: Duration::from_millis(200) };
const ONE_ROOM: Joins = Joins { name: "burst-one-room", count: 150, rooms: 1, pause: Duration::ZERO };
const MANY_ROOMS: Joins = Joins { name: "burst-many-rooms", count: 150, rooms: 30, pause: Duration::ZERO };
const FLOOD: Joins = Joins { name: "flood", ..STEADY };

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => {
            let results = measure(FULL, "").await;
            save(&results, &results::published());
            page::write(&results);
        }
        ["--short"] => save(&measure(SHORT, "").await, &results::passing()),
        ["--only", prefix] => save(&measure(FULL, prefix).await, &results::passing()),
        ["--flood"] => {
            let mut results: Results = load(&results::published());
            let solo = results.solo.as_mut().expect("the flood is measured beside all else first");
            solo.flood = flood_alone().await;
            save(&results, &results::published());
            page::write(&results);
        }
        ["--render"] => page::write(&load(&results::published())),
        _ => panic!("usage: bench [--short | --only NAME | --flood | --render]"),
    }
}

async fn measure(extent: Extent, only: &str) -> Results {
    let wanted = |name: &str| name.starts_with(only);
    let cluster = Cluster::shared().await;
    let mut results = Results::begin();
    let mut entrants = Vec::new();
    for contender in Contender::ALL {
        entrants.push(Entrant::start(contender, cluster).await);
    }
    let usher = &entrants[0];
    let at_rest = if wanted("rest") { Some(solo::rest(usher, extent.rest).await) } else { None };

    for entrant in &entrants {
        WARM_UP.round(entrant, 0).await;
    }
    let (steady, bursts, kills) = extent.rounds;
    for (joins, rounds) in [(STEADY, steady), (ONE_ROOM, bursts), (MANY_ROOMS, bursts)] {
        if wanted(joins.name) {
            let round = async |entrant: &Entrant, round| joins.round(entrant, round).await;
            results.add(in_turns(joins.name, &entrants, rounds, round).await);
        }
    }
    results.memory = entrants.iter().map(memory).collect();
    if wanted("livekit-killed") {
        results.add(in_turns("livekit-killed", &entrants, kills, troubles::livekit_killed).await);
    }
    let outages = [("receiver-down-6s", 6, true), ("receiver-down-45s", 45, extent.long_outage)];
    for (name, secs, enabled) in outages {
        if enabled && wanted(name) {
            let away = Duration::from_secs(secs);
            let samples = join_all(entrants.iter().map(|one| troubles::receiver_down(one, name, away))).await;
            results.add(Scenario::new(name, &entrants, samples));
        }
    }
    if wanted("drift") {
        results.add(Scenario::new("drift", &entrants, troubles::drift(&entrants, cluster).await));
    }
    if let (Some((resident, cpu_at_rest)), true) = (at_rest, only.is_empty()) {
        let cold_start = solo::cold_start(usher, extent.cold_starts).await;
        let flood = flood::flood(usher, &FLOOD, kills).await;
        results.solo = Some(Solo { resident, cpu_at_rest, cold_start, flood });
    } else if wanted("cold") {
        println!("{:#?}", solo::cold_start(usher, extent.cold_starts).await);
    }
    join_all(entrants.iter().map(Entrant::end)).await;
    println!("{}", page::text(&results));
    results
}

/// Real joins during a flood, by Usher alone.
async fn flood_alone() -> Flooded {
    let usher = Entrant::start(Contender::Usher, Cluster::shared().await).await;
    WARM_UP.round(&usher, 0).await;
    let flooded = flood::flood(&usher, &FLOOD, FULL.rounds.2).await;
    usher.end().await;
    flooded
}

/// One contender after the other, round by round, in an order that is drawn anew for each: so the machine's mood hits
/// all, and nobody always follows the same other.
async fn in_turns(
    name: &str,
    entrants: &[Entrant],
    rounds: usize,
    measure: impl AsyncFn(&Entrant, usize) -> Sample,
) -> Scenario {
    let mut samples = vec![Sample::default(); entrants.len()];
    let mut order: Vec<_> = (0..entrants.len()).collect();
    for round in 0..rounds {
        fastrand::shuffle(&mut order);
        for &place in &order {
            samples[place].add(measure(&entrants[place], round).await);
        }
        eprintln!("{name}: round {} of {rounds}", round + 1);
    }
    Scenario::new(name, entrants, samples)
}

fn memory(entrant: &Entrant) -> Memory {
    let process = entrant.program().id();
    Memory {
        contender: entrant.contender,
        resident: mebibytes(resident(process)),
        most: mebibytes(most_resident(process)),
    }
}
