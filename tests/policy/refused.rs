//! What the server will not take: a bad attribute never keeps a right open.

use usher::policy::{Action, Participant, Plan, Update};

use crate::support::{Given, Hall, alice, alice_publishing, alice_with, at, does, microphone, policy};

const ALL: &str =
    "rules: [{name: r, set: {permission: {canPublish: false}, name: Guest, metadata: m, attributes: {a: b}}}]";

fn hall() -> Hall {
    Hall::under([policy("test", ALL)])
}

fn update(plan: &Plan, number: usize) -> &Update {
    match &plan.actions[number] {
        Action::Update(update) => update,
        other => panic!("not an update: {other:?}"),
    }
}

fn refuse(given: &mut Given, plan: &Plan, number: usize) {
    given.session.was_refused(update(plan, number), "no".into(), given.now);
}

#[test]
fn a_refused_combined_update_is_sent_in_parts_with_the_permission_first() {
    let mut given = Given::default();
    let plan = hall().plan_given(&alice(), &given);
    assert_eq!(does(&plan, &alice()), ["update canPublish=nothing name=Guest metadata=m a=b (r)"]);
    refuse(&mut given, &plan, 0);
    assert_eq!(
        hall().does_given(&alice(), &given),
        ["update canPublish=nothing (r)", "update name=Guest (r)", "update metadata=m (r)", "update a=b (r)"]
    );
}

#[test]
fn each_part_says_why() {
    let mut given = Given::default();
    refuse(&mut given, &hall().plan(&alice()), 0);
    let plan = hall().plan_given(&alice(), &given);
    let fields: Vec<Vec<_>> =
        (plan.actions.iter()).map(|action| action.why().iter().map(|why| why.field.to_string()).collect()).collect();
    assert_eq!(fields, [["permission.canPublish"], ["name"], ["metadata"], ["attributes.a"]]);
}

#[test]
fn a_refused_part_is_left_for_five_minutes_and_the_others_go_on() {
    let mut given = Given::default();
    refuse(&mut given, &hall().plan(&alice()), 0);
    let parts = hall().plan_given(&alice(), &given);
    refuse(&mut given, &parts, 3);
    let plan = hall().plan_given(&alice(), &given);
    assert_eq!(
        does(&plan, &alice()),
        ["update canPublish=nothing (r)", "update name=Guest (r)", "update metadata=m (r)"]
    );
    assert_eq!(hall().leaves_given(&alice(), &given), ["attributes.a: refused: no"]);
    assert_eq!(plan.wake, Some(at("12:05:00")));
    given.now = at("12:05:00");
    assert_eq!(hall().does_given(&alice(), &given).len(), 4);
}

#[test]
fn another_content_is_another_try() {
    let named = |name: &str| Hall::under([policy("test", &format!("rules: [{{name: r, set: {{name: {name}}}}}]"))]);
    let mut given = Given::default();
    refuse(&mut given, &named("Bad").plan(&alice()), 0);
    assert_eq!(named("Bad").does_given(&alice(), &given), [""; 0]);
    assert_eq!(named("Good").does_given(&alice(), &given), ["update name=Good (r)"]);
}

#[test]
fn refusing_one_thing_does_not_part_what_belongs_together() {
    let mut given = Given::default();
    let single = Hall::under([policy("test", "rules: [{name: r, set: {attributes: {a: b}}}]")]);
    refuse(&mut given, &single.plan(&alice()), 0);
    assert_eq!(hall().does_given(&alice(), &given).len(), 1, "the combined update has not been refused");
}

#[test]
fn what_a_refused_permission_does_not_unpublish_is_muted() {
    let hall = Hall::under([policy("test", "rules: [{name: r, set: {permission: {canPublish: false}}, mute: {}}]")]);
    let participant = alice_publishing([microphone("TR")]);
    let mut given = Given::default();
    let plan = hall.plan_given(&participant, &given);
    assert_eq!(does(&plan, &participant), ["update canPublish=nothing (r)"]);
    refuse(&mut given, &plan, 0);
    assert_eq!(hall.does_given(&participant, &given), ["mute TR (r)"]);
    assert_eq!(hall.leaves_given(&participant, &given), ["permission.canPublish: refused: no"]);
}

#[test]
fn what_differs_only_by_permission_is_told_apart() {
    let hall = Hall::under([policy("test", "rules: [{name: r, set: {permission: {canSubscribe: false}}}]")]);
    let mut given = Given::default();
    refuse(&mut given, &hall.plan(&alice()), 0);
    assert_eq!(hall.does_given(&alice(), &given), [""; 0]);
    let other: Participant = alice_with(|alice| alice.permission.can_publish_data = false);
    assert_eq!(hall.does_given(&other, &given), ["update canSubscribe=false (r)"]);
}
