//! A budget that is too short for the declared resync is told.

use std::time::Duration;

use super::*;

#[test]
fn a_server_says_how_often_its_rooms_are_listed_when_that_is_less_than_declared() {
    let mut index = cluster(json!({}));
    let told = |index: &Index, report: &ServerReport| {
        let desired = status_of(index, Kind::Server, Some(report), NOW);
        (conditions(&desired), desired.status.conditions()[0].message.clone())
    };
    let mut report = report(&mut index, |_| {});
    let ready = "Ready=True:Enforced".to_owned();
    assert_eq!(told(&index, &report), (ready.clone(), "The server answers.".to_owned()));
    report.stretched = Some(Duration::from_secs(50));
    let message = "The server answers. For its rooms spec.requests.perSecond is too low: each is listed every 50 s at \
                   the latest and not as often as resyncInterval says.";
    assert_eq!(told(&index, &report), (ready, message.to_owned()));
}

#[test]
fn a_new_interval_is_written_like_a_new_condition() {
    let mut index = cluster(json!({}));
    let mut report = report(&mut index, |_| {});
    let before = status_of(&index, Kind::Server, Some(&report), NOW).status;
    report.stretched = Some(Duration::from_secs(50));
    let after = status_of(&index, Kind::Server, Some(&report), NOW).status;
    assert_eq!(after.difference(&before), Difference::Conditions);
}
