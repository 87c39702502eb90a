//! A short budget: joins come first, and listings take what is left.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use serde_json::json;
use tokio::time::Instant;
use usher::{
    engine::{Limits, Rate},
    simulator::{Effect, Fault, Join},
};

use crate::{declared::Objects, ledger::Who, stage::Stage};

const PER_SECOND: u32 = 12;
const ROOMS: usize = 500;
const JOINS_PER_SECOND: usize = 5;
const FOR: Duration = Duration::from_secs(600);
/// How long LiveKit takes for a call.
const CALL: Duration = Duration::from_millis(2);

#[tokio::test(start_paused = true)]
async fn joins_do_not_wait_for_the_listings_of_five_hundred_rooms() {
    let objects = |_| {
        let number = NonZeroU32::new(PER_SECOND).unwrap();
        let mut objects =
            Objects::of_rules(json!([{"name": "audience", "set": {"permission": {"canPublish": false}}}]));
        objects.limits = Limits { rate: Some(Rate { per_second: number, burst: number }), max_in_flight: 32 };
        objects
    };
    let stage = Stage::new(1, objects, false);
    let simulator = stage.simulator();
    simulator.add_fault(Fault::always(Effect::SlowAnswer(CALL..=CALL)));
    for room in 0..ROOMS {
        let join = Join::new(&format!("room-{room}"), "early").permission(|given| given.can_publish = false);
        simulator.join(join).unwrap();
    }
    stage.show();
    let mut joined = BTreeMap::<Who, Instant>::new();
    let begun = Instant::now();
    for number in 0.. {
        let at = begun + Duration::from_secs(1) * number / JOINS_PER_SECOND as u32;
        if at > begun + FOR {
            break;
        }
        tokio::time::sleep_until(at).await;
        let who = (format!("room-{}", number as usize * 7 % ROOMS), format!("guest-{number}"));
        simulator.join(Join::new(&who.0, &who.1)).unwrap();
        joined.insert(who, at);
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let ledger = stage.shared.ledger();
    assert_eq!(ledger.broken, None, "the budget among others");
    let waited = joined.iter().map(|(who, at)| ledger.changed[who].duration_since(*at));
    let mut waited: Vec<Duration> = waited.collect();
    waited.sort_unstable();
    let share = |percent: usize| waited[waited.len() * percent / 100];
    let worst = waited[waited.len() - 1];
    let listings = ledger.listings.len();
    println!(
        "{} joins: median {:?}, 99th percentile {:?}, worst {worst:?}; {listings} listings, {} requests",
        waited.len(),
        share(50),
        share(99),
        ledger.requests,
    );
    assert!(share(50) < Duration::from_millis(100), "the median of joins is {:?}", share(50));
    // Half of the budget at most is for listings, and that half is used.
    let half = FOR.as_secs() * u64::from(PER_SECOND) / 2;
    assert!(listings as u64 >= half * 95 / 100, "{listings} listings; {half} were possible");
    let rooms = ledger.listings.iter().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(rooms.len(), ROOMS, "every room has had its turn");
}
