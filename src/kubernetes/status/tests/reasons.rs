//! Which reason is given for what.

use super::*;
use crate::api::Feature;

#[test]
fn a_policy_goes_through_its_reasons() {
    let mut index = cluster(json!({}));
    let said = |index: &Index, report: Option<&ServerReport>| conditions(&status_of(index, Kind::Policy, report, NOW));
    let waiting = "Ready=False:Progressing Reconciling=True:Progressing";
    assert_eq!(said(&index, None), waiting);
    for (health, reason) in [
        (Health::Unknown, "Progressing"),
        (Health::Unreachable("x".into()), "ServerUnreachable"),
        (Health::Unauthorized("x".into()), "Unauthorized"),
        (Health::RateLimited("x".into()), "RateLimited"),
    ] {
        let report = ServerReport { health, ..report(&mut index, |_| {}) };
        assert_eq!(said(&index, Some(&report)), format!("Ready=False:{reason} Reconciling=True:{reason}"));
    }
    type Change = fn(&mut PolicyReport);
    let cases: [(Change, &str); 7] = [
        (|policy| policy.settled = false, waiting),
        (
            |policy| {
                policy.policy = report(&mut cluster(json!({})), |_| {}).policies.into_values().next().unwrap().policy
            },
            waiting,
        ),
        (|_| {}, "Ready=True:Enforced"),
        (|policy| policy.counts.rooms = 0, "Ready=True:NoActiveRooms"),
        (
            |policy| policy.failure = Some("no".into()),
            "Ready=False:EnforcementFailed Reconciling=True:EnforcementFailed",
        ),
        (
            |policy| policy.remote_unmute_disabled = true,
            "Ready=False:RemoteUnmuteDisabled Reconciling=True:RemoteUnmuteDisabled",
        ),
        (
            |policy| policy.overridden_by = Some(ObjectName::new("b", "q")),
            "Ready=True:Enforced Overridden=True:Shadowed",
        ),
    ];
    for (change, expected) in cases {
        let report = report(&mut index, change);
        assert_eq!(said(&index, Some(&report)), expected);
    }
}

#[test]
fn audit_and_suspension_are_ready() {
    let mut index = cluster(json!({"mode": "Audit"}));
    let audited = report(&mut index, |policy| policy.counts.rooms = 0);
    let desired = status_of(&index, Kind::Policy, Some(&audited), NOW);
    assert_eq!(conditions(&desired), "Ready=True:Audited");
    assert_eq!(subject(desired).summary.unwrap().violations, Some(4));

    let mut index = cluster(json!({"suspend": true}));
    let report = report(&mut index, |_| {});
    let desired = status_of(&index, Kind::Policy, Some(&report), NOW);
    assert_eq!(conditions(&desired), "Ready=True:Suspended");
    assert_eq!(subject(desired).summary, None);
}

#[test]
fn only_the_own_spec_stalls() {
    let index = cluster(json!({"rooms": [{"regex": "("}]}));
    assert_eq!(conditions(&status_of(&index, Kind::Policy, None, NOW)), "Ready=False:Invalid Stalled=True:Invalid");

    let mut index = cluster(json!({"serverRef": {"name": "main"}}));
    let twin = json!({"url": "ws://livekit:7880", "credentials": {"secretRef": {"name": "keys"}}});
    put::<LiveKitServer>(&mut index, "first", 1, twin, None);
    index.build();
    let server = status_of(&index, Kind::Server, None, NOW);
    assert_eq!(conditions(&server), "Ready=False:Conflicted Stalled=True:Conflicted");
    let policy = status_of(&index, Kind::Policy, None, NOW);
    assert_eq!(conditions(&policy), "Ready=False:Conflicted Reconciling=True:Conflicted");
}

#[test]
fn a_server_tells_what_it_is() {
    let mut index = cluster(json!({}));
    let mut report = report(&mut index, |_| {});
    report.features.remote_unmute = Feature::Supported;
    let Desired { status: Status::Server(status), .. } = status_of(&index, Kind::Server, Some(&report), NOW) else {
        panic!("another status");
    };
    assert_eq!((status.rooms, status.participants, status.policies), (Some(1), Some(5), Some(1)));
    assert_eq!(status.features.unwrap().remote_unmute, Feature::Supported);
    assert_eq!(status.conditions[0].reason, "Enforced");
}
