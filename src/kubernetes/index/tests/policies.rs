//! Policies, valid and not, and what stays the same.

use super::*;

#[test]
fn what_has_not_changed_keeps_its_address() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "livekit/a", 1, policy());
    let first = index.build();
    assert!(!put::<RoomPolicy>(&mut index, "livekit/a", 1, policy()));
    assert!(Arc::ptr_eq(&first, &index.build()));

    put::<RoomPolicy>(&mut index, "livekit/b", 1, policy());
    let second = index.build();
    let (before, after) = (&only(&first).view, &only(&second).view);
    assert!(!Arc::ptr_eq(before, after));
    assert!(Arc::ptr_eq(&before.service, &after.service));
    assert!(Arc::ptr_eq(&only(&first).verifier, &only(&second).verifier));
    assert!(Arc::ptr_eq(&before.policies.members()[0].policy, &after.policies.members()[0].policy));
}

#[test]
fn an_invalid_policy_says_all_that_is_wrong_and_its_last_valid_generation_stands() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "livekit/a", 1, policy());
    let before = index.build();
    put::<RoomPolicy>(&mut index, "livekit/a", 2, broken_policy());
    assert!(Arc::ptr_eq(&before, &index.build()));
    let said = message(&mut index, Kind::Policy, "livekit/a");
    assert!(said.contains("spec.rooms[0].glob") && said.contains("spec.rooms[1].regex"), "{said}");
    assert!(said.ends_with("; generation 1 stays in force"), "{said}");
    assert_eq!(verdict(&index, Kind::Policy, "livekit/a").reason(), Some(Reason::Invalid));

    put::<RoomPolicy>(&mut index, "livekit/a", 3, policy());
    assert_eq!(reason(&mut index, Kind::Policy, "livekit/a"), None);
}

#[test]
fn what_was_true_of_a_generation_is_not_said_of_the_next_before_the_next_build() {
    let mut index = with_server();
    let reason = |index: &Index| verdict(index, Kind::Policy, "livekit/a").reason();
    let mut suspended = policy();
    suspended["suspend"] = json!(true);
    for (generation, spec, before, after) in [
        (1, suspended, Some(Reason::Progressing), Some(Reason::Suspended)),
        (2, policy(), Some(Reason::Progressing), None),
        (3, broken_policy(), Some(Reason::Invalid), Some(Reason::Invalid)),
        (4, policy(), Some(Reason::Progressing), None),
    ] {
        put::<RoomPolicy>(&mut index, "livekit/a", generation, spec);
        assert_eq!(reason(&index), before, "{generation}");
        index.build();
        assert_eq!(reason(&index), after, "{generation}");
    }
}

#[test]
fn a_policy_that_was_never_valid_holds_back_what_comes_below_it() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "livekit/a", 1, policy());
    put::<RoomPolicy>(&mut index, "livekit/broken", 1, broken_policy());
    let line = |index: &mut Index| only(&index.build()).view.policies.line("stage").unwrap();
    assert!(line(&mut index).unknown_from.is_some());
    assert_eq!(members(&index.build()), ["livekit/a"]);
    index.delete::<RoomPolicy>(&name("livekit/broken"));
    assert!(line(&mut index).unknown_from.is_none());

    // The same name, made anew, does not inherit.
    put::<RoomPolicy>(&mut index, "livekit/broken", 1, policy());
    let mut anew = object("livekit/broken", 1, broken_policy());
    anew["metadata"]["uid"] = json!("another");
    index.apply::<RoomPolicy>(decoded(anew));
    assert!(line(&mut index).unknown_from.is_some());
}

#[test]
fn an_object_that_does_not_decode_is_reported_and_holds_back_too() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "livekit/a", 1, policy());
    put::<RoomPolicy>(&mut index, "livekit/strange", 1, json!({"rules": "all"}));
    put::<RoomPolicy>(&mut index, "elsewhere/strange", 1, json!({"rules": "all"}));
    let line = only(&index.build()).view.policies.line("stage").unwrap();
    assert!(line.unknown_from.is_some());
    let said = message(&mut index, Kind::Policy, "livekit/strange");
    assert!(said.starts_with("cannot be read by this version of Usher: "), "{said}");
    assert_eq!(verdict(&index, Kind::Policy, "livekit/strange").reason(), Some(Reason::Invalid));

    index.delete::<RoomPolicy>(&name("livekit/strange"));
    let line = only(&index.build()).view.policies.line("stage").unwrap();
    assert!(line.unknown_from.is_none(), "a namespace without access holds nothing back");
}

#[test]
fn suspension() {
    let mut index = with_server();
    let mut suspended = policy();
    suspended["suspend"] = json!(true);
    put::<RoomPolicy>(&mut index, "livekit/a", 1, suspended);
    put::<RoomPolicy>(&mut index, "livekit/b", 1, policy());
    assert_eq!(members(&index.build()), ["livekit/b"]);
    assert_eq!(verdict(&index, Kind::Policy, "livekit/a").reason(), Some(Reason::Suspended));

    let mut spec = server();
    spec["suspend"] = json!(true);
    put::<LiveKitServer>(&mut index, "livekit/main", 2, spec);
    assert!(only(&index.build()).view.suspended);
    assert_eq!(message(&mut index, Kind::Policy, "livekit/b"), "LiveKitServer livekit/main is suspended.");
}

#[test]
fn a_list_replaces_its_scope_and_nothing_else() {
    let scope = |name: &str| Scope::Namespace(name.into());
    let mut index = Index::new(vec![scope("a"), scope("b")], NonZeroU32::MIN, None);
    let one = |at: &str| vec![decoded::<RoomPolicy>(object(at, 1, policy()))];
    index.reset::<RoomPolicy>(&scope("a"), one("a/p"));
    index.reset::<RoomPolicy>(&scope("b"), one("b/p"));
    index.reset::<RoomPolicy>(&scope("a"), vec![]);
    let left: Vec<_> = index.standings().map(|(id, _)| id.name.to_string()).collect();
    assert_eq!(left, ["b/p"]);
    assert!(!index.kinds_are_complete());
}

#[test]
fn who_asks_for_a_resync_gets_one() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "livekit/a", 1, policy());
    let asked = |value: &str, handled: Option<&str>, version: &str| {
        let mut object = object("livekit/a", 1, policy());
        object["metadata"]["annotations"] = json!({"usher.dev/reconcile-requested-at": value});
        object["metadata"]["resourceVersion"] = json!(version);
        object["status"] = json!({"observedGeneration": 1, "lastHandledReconcileAt": handled});
        decoded::<RoomPolicy>(object)
    };
    let request = |index: &mut Index| only(&index.build()).view.resync_request;
    let entry = |index: &Index| match index.standing(&ObjectId { kind: Kind::Policy, name: name("livekit/a") }) {
        Some(Standing::Subject(entry)) => entry.request.clone(),
        _ => panic!(),
    };
    assert_eq!(request(&mut index), 0);
    assert!(index.apply(asked("1", None, "200")));
    assert_eq!(request(&mut index), 1);
    assert_eq!(request(&mut index), 1);
    assert_eq!(entry(&index), Request::Awaited(1));
    index.apply(asked("1", Some("1"), "201"));
    assert_eq!((request(&mut index), entry(&index)), (1, Request::None));
    index.apply(asked("2", Some("1"), "202"));
    assert_eq!((request(&mut index), entry(&index)), (2, Request::Awaited(2)));
    // Nothing is done where the Secret is gone, so that nothing is left to wait for.
    index.set_source(&keys("livekit/keys"), None);
    index.build();
    assert_eq!(entry(&index), Request::Moot);
}

#[test]
fn an_older_version_of_an_object_changes_nothing() {
    let mut index = with_server();
    put::<RoomPolicy>(&mut index, "livekit/a", 5, policy());
    assert!(!put::<RoomPolicy>(&mut index, "livekit/a", 4, broken_policy()));
    assert_eq!(reason(&mut index, Kind::Policy, "livekit/a"), None);
}

#[test]
fn of_a_thousand_policies_only_the_changed_one_is_compiled_anew() {
    let mut index = with_server();
    for number in 0..1000 {
        let mut spec = policy();
        spec["rooms"] = json!([{"exact": format!("room-{number}")}, {"prefix": format!("p{number}-")}]);
        put::<RoomPolicy>(&mut index, &format!("livekit/p{number}"), 1, spec);
    }
    let before = index.build();
    put::<RoomPolicy>(&mut index, "livekit/p0", 2, policy());
    let after = index.build();
    let policies = |catalog: &Catalog<Client>| -> BTreeMap<_, _> {
        let members = only(catalog).view.policies.members().iter();
        members.map(|member| (member.policy.name.to_string(), Arc::clone(&member.policy))).collect()
    };
    let (before, after) = (policies(&before), policies(&after));
    assert_eq!(after.len(), 1000);
    let anew: Vec<_> = after.iter().filter(|(name, policy)| !Arc::ptr_eq(policy, &before[*name])).collect();
    assert_eq!(anew.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["livekit/p0"]);
}
