//! When a status is written, and what is told of it.

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::kubernetes::index::Standing;

/// What the API server has and what it should have, with the given reports.
fn pair(index: &mut Index, change: impl FnOnce(&mut PolicyReport)) -> (Status, Desired) {
    let present = match index.standing(&id(Kind::Policy)).unwrap() {
        Standing::Subject(entry) => Status::Subject(entry.status.clone()),
        Standing::Server(_) => panic!("a server"),
    };
    let report = report(index, change);
    (present, status_of(index, Kind::Policy, Some(&report), NOW))
}

#[test]
fn conditions_are_written_at_once_and_counts_now_and_then() {
    let mut index = cluster(json!({}));
    let (present, desired) = pair(&mut index, |_| {});
    let (start, mut memory) = (Instant::now(), Memory::default());
    assert_eq!(memory.decide(&present, &desired, start), Decision::Now);
    memory.written(start);
    index.written(&id(Kind::Policy), "p", "2".into(), desired.status);

    let (present, desired) = pair(&mut index, |_| {});
    assert_eq!(memory.decide(&present, &desired, start), Decision::Nothing);
    let (present, desired) = pair(&mut index, |policy| policy.counts.participants = 6);
    let soon = start + Duration::from_secs(2);
    assert_eq!(memory.decide(&present, &desired, start), Decision::At(soon));
    assert_eq!(memory.decide(&present, &desired, soon), Decision::Now);
    memory.written(soon);
    assert_eq!(memory.decide(&present, &desired, soon), Decision::At(soon + Duration::from_secs(30)));
    let (present, desired) = pair(&mut index, |policy| policy.failure = Some("no".into()));
    assert_eq!(memory.decide(&present, &desired, soon), Decision::At(soon + Duration::from_millis(500)));
    assert_eq!(memory.decide(&present, &desired, soon + Duration::from_secs(1)), Decision::Now);

    memory.failed(start);
    assert!(matches!(memory.decide(&present, &desired, start), Decision::At(_)));
}

#[test]
fn a_first_look_is_given_its_time() {
    let mut index = cluster(json!({}));
    let (start, mut memory) = (Instant::now(), Memory::default());
    let (present, desired) = pair(&mut index, |policy| policy.settled = false);
    let soon = start + Duration::from_millis(500);
    assert_eq!(memory.decide(&present, &desired, start), Decision::At(soon));
    assert_eq!(memory.decide(&present, &desired, soon), Decision::Now);

    // After a restart, what was Ready of the same generation is left so for longer.
    let (_, ready) = pair(&mut index, |_| {});
    index.written(&id(Kind::Policy), "p", "2".into(), ready.status);
    let (present, desired) = pair(&mut index, |policy| policy.settled = false);
    let mut memory = Memory::default();
    assert_eq!(memory.decide(&present, &desired, start), Decision::At(start + Duration::from_secs(15)));
}

#[test]
fn events_tell_of_failure_and_recovery_alone() {
    let mut index = cluster(json!({}));
    let mut turn_to = |change: fn(&mut PolicyReport)| {
        let (present, desired) = pair(&mut index, change);
        let turn = events::turn(&present, &desired);
        index.written(&id(Kind::Policy), "p", "2".into(), desired.status);
        turn.is_some()
    };
    assert!(!turn_to(|policy| policy.settled = false));
    assert!(!turn_to(|_| {}));
    assert!(turn_to(|policy| policy.failure = Some("no".into())));
    assert!(!turn_to(|policy| policy.failure = Some("still no".into())));
    assert!(turn_to(|_| {}));
    assert!(!turn_to(|policy| policy.counts.rooms = 0));
}
