//! What is told of forwards and moves.

use super::*;
use crate::{
    api::{Feature, ParticipantForward, ParticipantMove},
    engine::TransferReport,
    policy::Transfer,
};

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
