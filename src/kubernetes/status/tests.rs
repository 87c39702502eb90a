//! Verdicts and reports in, statuses out; and when they are written.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    pace::{Decision, Memory},
    *,
};
use crate::{
    api::{Feature, Features, LiveKitServer, ParticipantForward, ParticipantMove, RoomPolicy, Sample},
    engine::{Health, PolicyReport, ServerReport, TransferReport},
    kubernetes::{
        decoded::Decoded,
        index::{Index, Scope, Source, Standing, Tables},
        kind::{Kind, ObjectId},
    },
    policy::{Counts, ObjectName, Samples, Transfer},
};

const THEN: Timestamp = Timestamp::constant(1_000, 0);
const NOW: Timestamp = Timestamp::constant(2_000, 500_000_000);

fn id(kind: Kind) -> ObjectId {
    ObjectId { kind, name: ObjectName::new("a", if kind == Kind::Server { "main" } else { "p" }) }
}

fn put<K: Tables>(index: &mut Index, name: &str, generation: i64, spec: Value, annotation: Option<&str>) {
    let object: Decoded<K> = serde_json::from_value(json!({
        "metadata": {
            "name": name, "namespace": "a", "uid": name, "generation": generation, "resourceVersion": "1",
            "annotations": annotation.map(|value| json!({"usher.dev/reconcile-requested-at": value})),
        },
        "spec": spec,
    }))
    .unwrap();
    index.apply(object);
}

/// A cluster of one server and one policy with these fields.
fn cluster(policy: Value) -> Index {
    let mut index = Index::new(vec![Scope::Cluster], NonZeroU32::MIN, None);
    let server = json!({"url": "ws://livekit:7880", "credentials": {"secretRef": {"name": "keys"}}});
    put::<LiveKitServer>(&mut index, "main", 1, server, None);
    let data = [("LIVEKIT_API_KEY", "k"), ("LIVEKIT_API_SECRET", "s")];
    let data = data.map(|(key, value)| (key.to_owned(), k8s_openapi::ByteString(value.into())));
    index.set_source(&Source::Secret(ObjectName::new("a", "keys")), Some(data.into()));
    let mut spec = json!({
        "serverRef": {"name": "main"}, "rooms": [{"exact": "stage"}],
        "rules": [{"name": "r", "set": {"name": "Guest"}}],
    });
    spec.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
    put::<RoomPolicy>(&mut index, "p", 3, spec, Some("now"));
    index.build();
    index
}

/// A report of a server that answers, on the policy of the cluster.
fn report(index: &mut Index, change: impl FnOnce(&mut PolicyReport)) -> ServerReport {
    let catalog = index.build();
    let members = catalog.servers.values().flat_map(|server| server.view.policies.members().to_vec());
    let mut policies = BTreeMap::new();
    let mut change = Some(change);
    for member in members {
        let mut report = PolicyReport {
            policy: Arc::clone(&member.policy),
            settled: true,
            counts: Counts { rooms: 1, participants: 5, compliant: 3, pending: 1, failed: 1, violations: 4 },
            overridden_by: None,
            failure: None,
            remote_unmute_disabled: false,
            samples: Samples::default(),
        };
        if let Some(change) = change.take() {
            change(&mut report);
        }
        policies.insert(member.policy.name.clone(), report);
    }
    ServerReport {
        health: Health::Good,
        features: Features::default(),
        rooms: 1,
        participants: 5,
        resynced_at: None,
        resync_done: 0,
        stretched: None,
        policies,
        transfers: BTreeMap::new(),
    }
}

fn status_of(index: &Index, kind: Kind, report: Option<&ServerReport>, now: Timestamp) -> Desired {
    let id = id(kind);
    desired(&id, &index.standing(&id).unwrap(), report, index.acting(&id.name), now)
}

/// The conditions as `Type=Status:Reason`.
fn conditions(desired: &Desired) -> String {
    let all = desired.status.conditions().iter();
    all.map(|one| format!("{}={}:{}", one.type_, one.status, one.reason)).collect::<Vec<_>>().join(" ")
}

fn subject(desired: Desired) -> crate::api::PolicyStatus {
    match desired.status {
        Status::Subject(status) => status,
        Status::Server(_) => panic!("a server's status"),
    }
}

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

/// A report on the one forward or move of the cluster.
fn transfer_report(index: &mut Index, change: impl FnOnce(&mut TransferReport)) -> ServerReport {
    let mut server = report(index, |_| {});
    let catalog = index.build();
    let transfer = Arc::clone(&catalog.servers.values().next().unwrap().view.transfers.members()[0].transfer);
    let mut told = TransferReport {
        left: Vec::new(),
        transfer: Arc::clone(&transfer),
        settled: true,
        retired: false,
        counts: Counts { rooms: 1, participants: 3, compliant: 1, pending: 1, failed: 1, violations: 2 },
        in_use: None,
        circle: None,
        undone: false,
        failure: None,
        samples: Samples::default(),
    };
    change(&mut told);
    server.transfers.insert(transfer.id.clone(), told);
    server
}

#[test]
fn what_becomes_of_a_forward_or_move_is_told() {
    type Change = fn(&mut TransferReport);
    let mut index = cluster(json!({}));
    let spec = json!({"serverRef": {"name": "main"}, "source": {"rooms": [{"exact": "x"}]}, "destinationRoom": "y"});
    put::<ParticipantMove>(&mut index, "p", 1, spec, None);
    let cases: [(Change, &str); 8] = [
        (|_| {}, "Ready=True:Enforced"),
        (|report| report.counts.rooms = 0, "Ready=True:NoActiveRooms"),
        (|report| report.settled = false, "Ready=False:Progressing Reconciling=True:Progressing"),
        (|report| report.in_use = Some("x".into()), "Ready=False:IdentityInUse Reconciling=True:IdentityInUse"),
        (|report| report.circle = Some("x".into()), "Ready=False:MoveLoop Reconciling=True:MoveLoop"),
        (
            |report| report.failure = Some("x".into()),
            "Ready=False:EnforcementFailed Reconciling=True:EnforcementFailed",
        ),
        (|report| report.undone = true, "Ready=False:UndoneByOthers Reconciling=True:UndoneByOthers"),
        (
            |report| report.transfer = Arc::new(Transfer::movement(ObjectName::new("a", "p"), &a_move()).unwrap()),
            "Ready=False:Progressing Reconciling=True:Progressing",
        ),
    ];
    for (change, expected) in cases {
        let report = transfer_report(&mut index, change);
        assert_eq!(conditions(&status_of(&index, Kind::Move, Some(&report), NOW)), expected);
    }
    let mut report = transfer_report(&mut index, |_| {});
    let summary = subject(status_of(&index, Kind::Move, Some(&report), NOW)).summary.unwrap();
    assert_eq!((summary.participants, summary.noncompliant, summary.violations), (3, 2, None));
    report.features.move_ = Feature::Unsupported;
    let desired = status_of(&index, Kind::Move, Some(&report), NOW);
    assert_eq!(conditions(&desired), "Ready=False:UnsupportedByServer Stalled=True:UnsupportedByServer");
}

#[test]
fn a_forward_remembers_where_copies_of_it_may_stand() {
    let mut index = cluster(json!({}));
    let spec = |mode: &str| {
        json!({
            "serverRef": {"name": "main"}, "source": {"rooms": [{"exact": "x"}]}, "destinationRooms": ["y"],
            "deletionPolicy": "Retain", "mode": mode,
        })
    };
    let before = crate::api::PolicyStatus { destination_rooms: vec!["v".into(), "z".into()], ..Default::default() };
    let remember = |index: &mut Index| {
        index.written(&id(Kind::Forward), "p", "1".into(), Status::Subject(before.clone()));
        index.build();
    };
    let rooms = |index: &Index, report: Option<&ServerReport>| {
        subject(status_of(index, Kind::Forward, report, NOW)).destination_rooms
    };
    put::<ParticipantForward>(&mut index, "p", 1, spec("Enforce"), None);
    remember(&mut index);
    let looked = transfer_report(&mut index, |report| report.left = vec!["v".into()]);
    assert_eq!(rooms(&index, None), ["v", "y", "z"], "nobody has looked");
    assert_eq!(rooms(&index, Some(&looked)), ["v", "y"], "there is nothing left in z");
    let desired = status_of(&index, Kind::Forward, None, NOW);
    assert!(desired.status.remembers_more_than(&Status::Subject(before.clone())));
    let mut unsupported = looked;
    unsupported.features.forward = Feature::Unsupported;
    assert_eq!(rooms(&index, Some(&unsupported)), [""; 0], "there are no copies");

    put::<ParticipantForward>(&mut index, "p", 2, spec("Audit"), None);
    remember(&mut index);
    let audited = transfer_report(&mut index, |_| {});
    assert_eq!(rooms(&index, Some(&audited)), ["v", "z"], "what was made before may stand");
}

fn a_move() -> crate::api::ParticipantMoveSpec {
    let spec = json!({"serverRef": {"name": "main"}, "source": {"rooms": [{"exact": "x"}]}, "destinationRoom": "y"});
    serde_json::from_value(spec).unwrap()
}

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
