//! What a status holds beside its reason, and what it keeps.

use super::*;
use crate::api::Sample;

#[test]
fn times_stay_while_the_status_does() {
    let mut index = cluster(json!({}));
    let enforced = report(&mut index, |_| {});
    let first = status_of(&index, Kind::Policy, Some(&enforced), THEN);
    assert_eq!(first.status.conditions()[0].observed_generation, Some(3));
    index.written(&id(Kind::Policy), "p", "2".into(), first.status.clone());
    let again = status_of(&index, Kind::Policy, Some(&enforced), NOW);
    assert_eq!(again.status.difference(&first.status), Difference::None);

    let empty = report(&mut index, |policy| policy.counts.rooms = 0);
    let other = status_of(&index, Kind::Policy, Some(&empty), NOW);
    assert_eq!(other.status.difference(&first.status), Difference::Conditions);
    assert_eq!(other.status.conditions()[0].last_transition_time.0, THEN);

    let failed = report(&mut index, |policy| policy.failure = Some("no".into()));
    let other = status_of(&index, Kind::Policy, Some(&failed), NOW);
    assert_eq!(other.status.conditions()[0].last_transition_time.0, Timestamp::constant(2_000, 0));
}

#[test]
fn samples_are_sorted_cut_and_few() {
    let mut index = cluster(json!({}));
    let report = report(&mut index, |policy| {
        policy.samples = (0..30)
            .rev()
            .map(|number| Sample {
                room: "stage".into(),
                identity: format!("i{number:02}"),
                rule: None,
                field: "name".into(),
                wanted: Some("ü".repeat(100)),
                seen: None,
                message: None,
            })
            .collect();
    });
    let samples = subject(status_of(&index, Kind::Policy, Some(&report), NOW)).samples;
    assert_eq!((samples.len(), samples[0].identity.as_str()), (20, "i00"));
    assert_eq!(samples[0].wanted.as_ref().unwrap().chars().count(), 64);
}

#[test]
fn a_resync_is_handled_when_the_report_says_so() {
    let mut index = cluster(json!({}));
    let mut report = report(&mut index, |_| {});
    let handled = |index: &Index, report: &ServerReport| {
        subject(status_of(index, Kind::Policy, Some(report), NOW)).last_handled_reconcile_at
    };
    assert_eq!(handled(&index, &report), None);
    report.resync_done = 1;
    assert_eq!(handled(&index, &report).as_deref(), Some("now"));
}

#[test]
fn numbers_stay_until_the_first_report_comes() {
    let mut index = cluster(json!({}));
    let report = report(&mut index, |_| {});
    let first = status_of(&index, Kind::Policy, Some(&report), THEN);
    index.written(&id(Kind::Policy), "p", "2".into(), first.status);
    let waiting = subject(status_of(&index, Kind::Policy, None, NOW));
    assert_eq!(waiting.summary.unwrap().participants, 5);
}
