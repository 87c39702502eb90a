//! `make scale`: what a hundred thousand participants under a thousand policies cost, on the simulated server.
//!
//! ```text
//! scale USHER                   measure Usher and the floor; figures go to docs/benchmarks
//! scale USHER --only CONTENDER  one of them (usher, floor); figures go to standard output alone
//! scale USHER --small           a thousandth of it, by Usher alone: is everybody as declared, by one change each?
//! scale USHER --render          write the page anew from the figures that are there
//! ```
//!
//! The simulated server, whoever is measured and this program are a process each. What each request was and when it
//! took effect, the server itself logs.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program for developers, which ends where it cannot go on"
)]

mod contender;
mod extent;
mod floor;
mod log;
mod manifests;
mod page;
mod results;
mod server;
mod truth;

use std::path::Path;

use self::{
    contender::Contender,
    extent::{Extent, FULL, SMALL},
    results::{Outcome, Results},
};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let (usher, rest) = args.split_first().expect("usage: scale USHER [--only CONTENDER | --small | --render]");
    let usher = std::path::absolute(usher).expect("a path");
    // Requests of this program itself belong to one thread.
    let everything = async {
        match rest {
            [] => {
                let mut results = Results::begin(FULL);
                results.alone = Some(contender::alone(&usher, FULL).await);
                for contender in Contender::ALL {
                    results.outcomes.push(contender::measure(contender, &usher, FULL).await);
                }
                println!("{}", page::text(&results));
                results.save();
                page::write(&results);
            }
            ["--only", name] => only(name, &usher).await,
            ["--small"] => small(&usher).await,
            ["--render"] => page::write(&Results::load()),
            _ => panic!("usage: scale USHER [--only CONTENDER | --small | --render]"),
        }
    };
    tokio::task::LocalSet::new().run_until(everything).await;
}

async fn only(name: &str, usher: &Path) {
    let contender = Contender::ALL.into_iter().find(|contender| contender.name() == name);
    let contender = contender.unwrap_or_else(|| panic!("there is no contender {name}"));
    let mut results = Results::begin(FULL);
    results.outcomes.push(contender::measure(contender, usher, FULL).await);
    println!("{}", page::text(&results));
}

/// Asserts that all is done, and nothing twice; not how fast.
async fn small(usher: &Path) {
    let outcome: Outcome = contender::measure(Contender::Usher, usher, SMALL).await;
    let Extent { participants, .. } = SMALL;
    for phase in [&outcome.cold, &outcome.change, &outcome.joins] {
        let everybody = if phase.name == "joins" { SMALL.joins() } else { participants };
        assert_eq!((phase.changed, phase.unchanged), (everybody, 0), "{phase:#?}");
        assert_eq!(phase.changes(), everybody as u64, "one change for each: {phase:#?}");
    }
    assert_eq!(outcome.undeclared, Some(0), "{outcome:#?}");
    println!("everybody is as declared, by one change each");
}
