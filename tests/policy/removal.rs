//! `remove` and `keep`.

use usher::policy::{Action, ObjectName, Reach, Unknown};

use crate::support::{Given, Hall, alice, alice_publishing, alice_with, at, granted, guest, microphone, policy};

const TROLLS: &str = "rules: [{name: banned, match: {identities: [{exact: alice}]}, remove: {}}]";

#[test]
fn a_removal_is_all_that_is_done() {
    let rules = "rules: [{name: guests, set: {name: Guest, permission: {canPublish: false}}, mute: {}}]";
    let hall = Hall::under([policy("a", rules), policy("b", TROLLS)]);
    assert_eq!(hall.does(&alice_publishing([microphone("TR")])), ["remove (banned)"]);
}

#[test]
fn tokens_are_revoked_unless_they_must_stay_valid() {
    let rules = "rules: [{name: r, match: {identities: [{exact: alice}]}, remove: {revokeTokens: false}}]";
    assert_eq!(Hall::under([policy("a", rules)]).does(&alice()), ["remove, tokens stay valid (r)"]);
}

#[test]
fn keep_protects_from_rules_of_lower_place_only() {
    let keep = |priority| policy("keep", &format!("{{priority: {priority}, rules: [{{name: hosts, keep: true}}]}}"));
    assert_eq!(Hall::under([keep(1), policy("b", TROLLS)]).does(&alice()), [""; 0]);
    assert_eq!(Hall::under([keep(-1), policy("b", TROLLS)]).does(&alice()), ["remove (banned)"]);
}

#[test]
fn whoever_is_kept_is_still_shaped() {
    let rules = "rules: [{name: hosts, keep: true, set: {name: Host}}, {name: banned, match: {identities: [{exact: alice}]}, remove: {}}]";
    assert_eq!(Hall::under([policy("a", rules)]).does(&alice()), ["update name=Host (hosts)"]);
}

#[test]
fn everybody_is_removed_where_the_rule_says_everybody() {
    let hall = Hall::under([policy("a", "rules: [{name: closed, match: {identities: [{glob: '*'}]}, remove: {}}]")]);
    assert_eq!(hall.does(&alice()), ["remove (closed)"]);
    assert_eq!(hall.does(&alice_with(|alice| alice.kind = Some(usher::api::Kind::Agent))), [""; 0]);
}

#[test]
fn an_identity_is_removed_at_most_once_a_second() {
    let hall = Hall::under([policy("a", TROLLS)]);
    let mut given = Given { removed_at: Some(at("11:59:59.5")), ..Given::default() };
    let plan = hall.plan_given(&alice(), &given);
    assert_eq!((plan.actions.len(), plan.wake), (0, Some(at("12:00:00.5"))));
    assert_eq!(hall.leaves_given(&alice(), &given), ["remove: just removed, until 12:00:00.500"]);
    given.now = at("12:00:00.5");
    assert_eq!(hall.does_given(&alice(), &given), ["remove (banned)"]);
}

#[test]
fn while_a_removal_waits_nothing_else_is_done() {
    let rules =
        "rules: [{name: banned, match: {identities: [{exact: alice}]}, remove: {}}, {name: named, set: {name: X}}]";
    let given = Given { removed_at: Some(at("11:59:59.5")), ..Given::default() };
    assert_eq!(Hall::under([policy("a", rules)]).does_given(&alice(), &given), [""; 0]);
}

fn unknown(name: &str, priority: Option<i32>, reach: Reach) -> Unknown {
    let (namespace, name) = name.split_once('/').unwrap();
    Unknown { name: ObjectName::new(namespace, name), priority, reach }
}

#[test]
fn an_object_that_is_not_understood_holds_removals_of_lower_place() {
    for (broken, held) in [
        (unknown("livekit/broken", None, Reach::Home), true),
        (unknown("livekit/broken", Some(1), Reach::Home), true),
        (unknown("livekit/a-broken", Some(0), Reach::Home), true),
        (unknown("livekit/z-broken", Some(0), Reach::Home), false),
        (unknown("livekit/broken", Some(-1), Reach::Home), false),
        (unknown("team/broken", None, granted(&[("*", 0)])), false),
        (unknown("team/broken", None, granted(&[("*", 1)])), true),
        (unknown("team/broken", None, granted(&[("lobby", 9)])), false),
    ] {
        let name = broken.name.to_string();
        let hall = Hall::under_with_unknown([policy("p", TROLLS)], [broken]);
        let given = Given::default();
        let expected: &[&str] = if held { &["remove: held by an unknown object"] } else { &[] };
        assert_eq!(hall.leaves_given(&alice(), &given), expected, "{name}");
        assert_eq!(hall.does(&alice()).is_empty(), held, "{name}");
    }
}

#[test]
fn while_a_removal_is_held_the_rest_is_done() {
    let rules = "rules: [{name: banned, match: {identities: [{exact: alice}]}, remove: {}}, {name: quiet, set: {permission: {canPublish: false}}}]";
    let broken = unknown("livekit/broken", None, Reach::Home);
    let hall = Hall::under_with_unknown([policy("p", rules)], [broken]);
    assert_eq!(hall.does(&alice()), ["update canPublish=nothing (quiet)"]);
}

#[test]
fn a_removal_needs_a_fresh_look() {
    let hall = Hall::under([guest("t/p", &[("*", 0)], TROLLS)]);
    let plan = hall.plan(&alice());
    assert_eq!(plan.actions.iter().map(Action::needs_fresh_base).collect::<Vec<_>>(), [true]);
}
