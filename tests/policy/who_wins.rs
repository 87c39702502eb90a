//! One line of rules for each participant; the first that speaks of a field decides it.

use usher::policy::{Decision, Field, Flag, ObjectName, RuleName, Value};

use crate::support::{Hall, alice, alice_with, guest, policy};

/// Who decides the display name.
fn winner(hall: &Hall) -> String {
    hall.decisions(&alice()).first().map(|decision| decision.by.to_string()).unwrap_or_default()
}

const NAMES: &str = "rules: [{name: r, set: {name: X}}]";

fn with_priority(priority: i32) -> String {
    format!("{{priority: {priority}, {NAMES}}}")
}

#[test]
fn higher_priority_comes_first() {
    let hall = Hall::under([
        policy("a", &with_priority(-1)),
        policy("b", NAMES),
        policy("c", &with_priority(7)),
        policy("d", &with_priority(6)),
    ]);
    assert_eq!(hall.decides(&alice()), ["name = X by livekit/c/r over livekit/d/r, livekit/b/r, livekit/a/r"]);
}

#[test]
fn at_the_same_priority_the_servers_own_namespace_comes_first() {
    let everywhere = [("*", 0)];
    let hall = Hall::under([guest("a/a", &everywhere, NAMES), policy("z", NAMES)]);
    assert_eq!(winner(&hall), "livekit/z/r");
}

#[test]
fn then_namespace_and_name_decide() {
    let everywhere = [("*", 0)];
    let hall = Hall::under([
        guest("b/a", &everywhere, NAMES),
        guest("a/z", &everywhere, NAMES),
        guest("a/y", &everywhere, NAMES),
    ]);
    assert_eq!(hall.decides(&alice()), ["name = X by a/y/r over a/z/r, b/a/r"]);
}

#[test]
fn within_a_policy_the_place_of_the_rule_decides() {
    let hall = Hall::under([policy("p", "rules: [{name: z, set: {name: First}}, {name: a, set: {name: Second}}]")]);
    assert_eq!(hall.decides(&alice()), ["name = First by livekit/p/z over livekit/p/a"]);
}

#[test]
fn a_grant_limits_priority() {
    let hall = Hall::under([guest("a/a", &[("*", 5)], &with_priority(100)), policy("own", &with_priority(6))]);
    assert_eq!(winner(&hall), "livekit/own/r");
    let hall = Hall::under([guest("a/a", &[("*", 7)], &with_priority(100)), policy("own", &with_priority(6))]);
    assert_eq!(winner(&hall), "a/a/r");
    let hall = Hall::under([guest("a/a", &[("*", 7)], &with_priority(5)), policy("own", &with_priority(6))]);
    assert_eq!(winner(&hall), "livekit/own/r", "a grant never lifts");
}

#[test]
fn of_several_grants_for_the_room_the_highest_counts() {
    let grants = [("hall*", 3), ("h*", 7), ("other", 9)];
    let hall = Hall::under([guest("a/a", &grants, &with_priority(100)), policy("own", &with_priority(6))]);
    assert_eq!(winner(&hall), "a/a/r");
    let hall = Hall::under([guest("a/a", &grants, &with_priority(100)), policy("own", &with_priority(7))]);
    assert_eq!(winner(&hall), "livekit/own/r");
}

#[test]
fn outside_its_grants_a_policy_does_not_speak() {
    let hall = Hall::under([guest("a/a", &[("lobby*", 9)], NAMES), guest("b/b", &[("hall", 0)], NAMES)]);
    assert_eq!(hall.decides(&alice()), ["name = X by b/b/r"]);
}

#[test]
fn each_field_is_decided_by_itself() {
    let hall = Hall::under([
        policy(
            "high",
            "{priority: 1, rules: [{name: r, set: {permission: {canPublishSources: [Camera]}, name: High, attributes: {a: '1'}}, mute: {sources: [Microphone]}}]}",
        ),
        policy(
            "low",
            "rules: [{name: r, keep: true, set: {permission: {canPublish: true, canSubscribe: false}, metadata: low, attributes: {a: '2', b: '2'}, removeAttributes: [c]}, mute: {}}]",
        ),
    ]);
    assert_eq!(
        hall.decides(&alice()),
        [
            "remove = present by livekit/low/r",
            "permission.canPublish = [Camera] by livekit/high/r over livekit/low/r",
            "permission.canSubscribe = false by livekit/low/r",
            "name = High by livekit/high/r",
            "metadata = low by livekit/low/r",
            "attributes.a = 1 by livekit/high/r over livekit/low/r",
            "attributes.b = 2 by livekit/low/r",
            "attributes.c = absent by livekit/low/r",
            "mute.Camera = muted by livekit/low/r",
            "mute.Microphone = muted by livekit/high/r over livekit/low/r",
            "mute.ScreenShare = muted by livekit/low/r",
            "mute.ScreenShareAudio = muted by livekit/low/r",
        ]
    );
}

#[test]
fn rules_that_do_not_match_are_not_in_the_line() {
    let hall = Hall::under([policy(
        "p",
        "rules: [{name: bob, match: {identities: [{exact: bob}]}, set: {name: Bob}}, {name: all, set: {name: X}}]",
    )]);
    assert_eq!(hall.decides(&alice()), ["name = X by livekit/p/all"]);
    let bob = alice_with(|alice| alice.identity = "bob".into());
    assert_eq!(hall.decides(&bob), ["name = Bob by livekit/p/bob over livekit/p/all"]);
}

#[test]
fn setting_and_removing_an_attribute_are_the_same_field() {
    let hall = Hall::under([policy(
        "p",
        "rules: [{name: clear, set: {removeAttributes: [hand]}}, {name: set, set: {attributes: {hand: up}}}]",
    )]);
    assert_eq!(hall.decides(&alice()), ["attributes.hand = absent by livekit/p/clear over livekit/p/set"]);
    assert_eq!(hall.does(&alice()), [""; 0]);
}

#[test]
fn muting_always_and_once_are_the_same_field() {
    let hall = Hall::under([policy(
        "p",
        "rules: [{name: unmute, mute: {sources: [Camera], muted: false}}, {name: mute, mute: {sources: [Camera]}}]",
    )]);
    assert_eq!(hall.decides(&alice()), ["mute.Camera = unmuted by livekit/p/unmute over livekit/p/mute"]);
}

#[test]
fn a_decision_is_the_whole_record() {
    let hall = Hall::under([
        policy("b", "rules: [{name: audience, set: {permission: {canSubscribe: false}}}]"),
        policy(
            "a",
            "{priority: -1, rules: [{name: first, set: {permission: {canSubscribe: true}}}, {name: then, set: {permission: {canSubscribe: false}}}]}",
        ),
    ]);
    let rule = |policy, rule: &str| RuleName { policy: ObjectName::new("livekit", policy), rule: rule.into() };
    let decision = Decision {
        field: Field::Flag(Flag::Subscribe),
        wanted: Value::Flag(false),
        seen: Value::Flag(true),
        by: rule("b", "audience"),
        over: vec![rule("a", "first"), rule("a", "then")],
    };
    assert_eq!(hall.decisions(&alice()), std::slice::from_ref(&decision));
    assert_eq!(hall.plan(&alice()).actions[0].why(), [decision]);
}

#[test]
fn where_nothing_is_left_to_say_the_participant_stays_as_it_is() {
    let base = "{priority: -5, rules: [{name: base, set: {permission: {canPublish: true}}}]}";
    let muzzled = alice_with(|alice| alice.permission.can_publish = false);
    let event = "rules: [{name: event, set: {permission: {canPublish: false}}}]";
    assert_eq!(Hall::under([policy("event", event), policy("base", base)]).does(&muzzled), [""; 0]);
    assert_eq!(Hall::under([policy("base", base)]).does(&muzzled), ["update canPublish=everything (base)"]);
    let other = "rules: [{name: other, set: {name: Alice}}]";
    assert_eq!(Hall::under([policy("other", other)]).does(&muzzled), [""; 0]);
}

#[test]
fn a_suspended_policy_says_nothing() {
    let hall = Hall::under([policy("a", &format!("{{suspend: true, priority: 9, {NAMES}}}")), policy("b", NAMES)]);
    assert_eq!(hall.decides(&alice()), ["name = X by livekit/b/r"]);
}
