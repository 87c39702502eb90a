//! Who may govern what.

use super::*;

#[test]
fn access_by_name() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "team-a/p", 1, policy());
    assert_eq!(reason(&mut index, Kind::Policy, "team-a/p"), Some(Reason::NotPermitted));
    assert_eq!(members(&index.build()), [""; 0]);

    let access = json!([
        {"name": "one", "namespaces": {"names": ["team-a"]}, "rooms": [{"prefix": "team-a-"}]},
        {"name": "two", "namespaces": {"names": ["team-a", "team-b"]}, "rooms": [{"exact": "stage"}], "maxPriority": 5},
    ]);
    put::<LiveKitServer>(&mut index, "livekit/main", 2, server_with(access));
    let catalog = index.build();
    assert_eq!(verdict(&index, Kind::Policy, "team-a/p"), Verdict::Acts { notes: vec![] });
    let member = &only(&catalog).view.policies.members()[0];
    let Reach::Granted(grants) = &member.reach else { panic!("{:?}", member.reach) };
    assert_eq!(grants.iter().map(|grant| grant.max_priority).collect::<Vec<_>>(), [0, 5]);
}

#[test]
fn rooms_and_priority_beyond_the_grant_are_named() {
    let mut index = with_server();
    let access = json!([{"name": "one", "namespaces": {"names": ["a"]}, "rooms": [{"prefix": "a-"}]}]);
    put::<LiveKitServer>(&mut index, "livekit/main", 2, server_with(access));
    let mut spec = policy();
    spec["priority"] = json!(100);
    spec["rooms"] =
        json!([{"exact": "a-1"}, {"exact": "b-1"}, {"prefix": "a-x"}, {"prefix": "a"}, {"glob": "a-?"}, {"glob": "*"}]);
    put::<RoomPolicy>(&mut index, "a/p", 1, spec);
    assert_eq!(
        message(&mut index, Kind::Policy, "a/p"),
        "It acts only in rooms that access of its server grants to this namespace (entries one), which does not cover \
         all of: b-1, prefix a, glob *. Priority 100 counts as 0 at most, the maxPriority of its access (entries one)."
    );
}

#[test]
fn access_by_label_follows_the_labels() {
    let mut index = with_server();
    let access = json!([
        {"name": "teams", "namespaces": {"selector": {"matchLabels": {"team": "yes"}}}, "rooms": [{"glob": "*"}]},
    ]);
    put::<LiveKitServer>(&mut index, "livekit/main", 2, server_with(access));
    put::<RoomPolicy>(&mut index, "a/p", 1, policy());
    assert!(index.wanted().namespaces);
    assert!(!index.is_complete());
    assert_eq!(reason(&mut index, Kind::Policy, "a/p"), Some(Reason::Progressing));
    put::<RoomPolicy>(&mut index, "livekit/base", 1, policy());
    let line = only(&index.build()).view.policies.line("stage").unwrap();
    assert!(line.unknown_from.is_some(), "who may yet be permitted holds removals back");

    let labels = |value: &str| BTreeMap::from([("team".to_owned(), value.to_owned())]);
    index.reset_namespaces([("a".to_owned(), labels("no"))].into());
    assert!(index.is_complete());
    assert_eq!(reason(&mut index, Kind::Policy, "a/p"), Some(Reason::NotPermitted));
    index.apply_namespace("a", labels("yes"));
    let before = index.build();
    assert_eq!(members(&before), ["a/p", "livekit/base"]);
    index.apply_namespace("b", labels("yes"));
    assert!(Arc::ptr_eq(&before, &index.build()));
    index.delete_namespace("a");
    assert_eq!(reason(&mut index, Kind::Policy, "a/p"), Some(Reason::NotPermitted));
}

#[test]
fn a_namespaced_install_honours_names_alone_and_says_so() {
    let mut index = empty_for(vec![Scope::Namespace("livekit".into()), Scope::Namespace("a".into())]);
    let access = json!([{"name": "teams", "namespaces": {"selector": {}}, "rooms": [{"glob": "*"}]}]);
    put::<LiveKitServer>(&mut index, "livekit/main", 1, server_with(access));
    index.set_source(&keys("livekit/keys"), secret("devkey", "hush"));
    put::<RoomPolicy>(&mut index, "a/p", 1, policy());
    assert!(!index.wanted().namespaces);
    assert!(index.is_complete());
    assert_eq!(reason(&mut index, Kind::Policy, "a/p"), Some(Reason::NotPermitted));
    let said = message(&mut index, Kind::Server, "livekit/main");
    assert!(said.contains("Access entries teams select by labels, which grants nothing"), "{said}");
}

#[test]
fn forwards_and_moves_are_checked() {
    let mut index = with_server();
    put::<ParticipantForward>(&mut index, "livekit/f", 1, forward("overflow"));
    assert_eq!(reason(&mut index, Kind::Forward, "livekit/f"), None);
    put::<ParticipantForward>(&mut index, "livekit/f", 2, forward("stage"));
    assert!(
        message(&mut index, Kind::Forward, "livekit/f").starts_with("spec.destinationRooms[0] is a source room too")
    );

    let access = json!([{"name": "one", "namespaces": {"names": ["a"]}, "rooms": [{"exact": "stage"}]}]);
    put::<LiveKitServer>(&mut index, "livekit/main", 2, server_with(access));
    put::<ParticipantForward>(&mut index, "a/f", 1, forward("overflow"));
    assert_eq!(reason(&mut index, Kind::Forward, "a/f"), Some(Reason::NotPermitted));
    assert!(message(&mut index, Kind::Forward, "a/f").contains("does not grant destination overflow"));

    let mut spec = json!({
        "serverRef": {"name": "main", "namespace": "livekit"},
        "source": {"rooms": [{"exact": "lobby"}], "match": {"identities": [{"regex": "("}]}},
        "destinationRoom": "stage",
    });
    put::<ParticipantMove>(&mut index, "a/m", 1, spec.clone());
    assert!(message(&mut index, Kind::Move, "a/m").starts_with("spec.source.match.identities[0].regex"));
    spec["source"]["match"] = json!(null);
    put::<ParticipantMove>(&mut index, "a/m", 2, spec);
    assert!(message(&mut index, Kind::Move, "a/m").contains("grants none of the source rooms"));
}
