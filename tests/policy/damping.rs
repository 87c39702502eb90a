//! What others undo again and again is corrected later and later; what takes something away never waits.

use jiff::{SignedDuration, Timestamp};
use usher::{
    api::Source,
    policy::{CORRECTIONS, Participant, Permission, Sources},
};

use crate::{
    livekit_model,
    support::{Given, Hall, alice, alice_publishing, alice_with, at, does, microphone, policy},
};

fn hall(effect: &str) -> Hall {
    Hall::under([policy("test", &format!("rules: [{{name: r, {effect}}}]"))])
}

/// Somebody undoes every correction at once; the seconds after noon at which corrections go out.
fn corrections(hall: &Hall, undone: &Participant, seconds: i64) -> Vec<i64> {
    let mut given = Given::default();
    let mut sent = Vec::new();
    for second in 0..=seconds {
        given.now = at("12:00:00") + SignedDuration::from_secs(second);
        let plan = hall.plan_given(undone, &given);
        for action in &plan.actions {
            sent.push(second);
            given.session.carried_out(action, given.now, CORRECTIONS);
        }
    }
    sent
}

fn correct_five_times(hall: &Hall, undone: &Participant) -> Given {
    let mut given = Given::default();
    for _ in 0..5 {
        let plan = hall.plan_given(undone, &given);
        plan.actions.iter().for_each(|action| given.session.carried_out(action, given.now, CORRECTIONS));
    }
    given
}

#[test]
fn after_five_corrections_the_pauses_double_up_to_five_minutes() {
    for effect in ["name: Guest", "metadata: m", "attributes: {a: b}", "permission: {canPublishData: true}"] {
        let undone = alice_with(|alice| alice.permission.can_publish_data = false);
        let sent = corrections(&hall(&format!("set: {{{effect}}}")), &undone, 1300);
        assert_eq!(sent, [0, 1, 2, 3, 4, 14, 34, 74, 154, 314, 614, 914, 1214], "{effect}");
    }
}

#[test]
fn publishing_is_damped_where_it_widens() {
    let undone = alice_with(|alice| alice.permission.can_publish = false);
    assert_eq!(corrections(&hall("set: {permission: {canPublish: true}}"), &undone, 20), [0, 1, 2, 3, 4, 14]);
    assert_eq!(
        corrections(&hall("set: {permission: {canPublishSources: [Camera]}}"), &undone, 20),
        [0, 1, 2, 3, 4, 14]
    );
}

#[test]
fn narrowing_muting_and_removing_are_never_damped() {
    let undone = alice_publishing([microphone("TR")]);
    for effect in [
        "set: {permission: {canPublish: false}}",
        "set: {permission: {canPublishSources: [Camera]}}",
        "set: {permission: {canSubscribe: false}}",
        "mute: {}",
        "match: {identities: [{exact: alice}]}, remove: {}",
    ] {
        assert_eq!(corrections(&hall(effect), &undone, 100), (0..=100).collect::<Vec<_>>(), "{effect}");
    }
}

#[test]
fn a_damped_field_says_so_and_wakes_when_its_turn_comes() {
    let hall = hall("set: {name: Guest}");
    let given = correct_five_times(&hall, &alice());
    assert_eq!(hall.does_given(&alice(), &given), [""; 0]);
    assert_eq!(hall.leaves_given(&alice(), &given), ["name: damped until 12:00:10"]);
    assert_eq!(hall.plan_given(&alice(), &given).wake, Some(at("12:00:10")));
}

#[test]
fn only_the_field_that_is_undone_is_damped() {
    let both = hall("set: {name: Guest, metadata: m}");
    let given = correct_five_times(&hall("set: {name: Guest}"), &alice());
    assert_eq!(both.does_given(&alice(), &given), ["update metadata=m (r)"]);
}

#[test]
fn what_is_as_declared_again_is_not_reported() {
    let hall = hall("set: {name: Guest}");
    let given = correct_five_times(&hall, &alice());
    let compliant = alice_with(|alice| alice.name = "Guest".into());
    assert_eq!(hall.leaves_given(&compliant, &given), [""; 0]);
    assert_eq!(hall.plan_given(&compliant, &given).wake, None);
}

#[test]
fn four_corrections_or_five_in_more_than_a_minute_are_no_reason() {
    let hall = hall("set: {name: Guest}");
    let mut given = Given::default();
    for second in [0_i64, 16, 32, 48, 64, 80, 96] {
        given.now = at("12:00:00") + SignedDuration::from_secs(second);
        let plan = hall.plan_given(&alice(), &given);
        assert_eq!(plan.actions.len(), 1, "after {second} s");
        given.session.carried_out(&plan.actions[0], given.now, CORRECTIONS);
    }
}

#[test]
fn after_a_minute_of_peace_it_begins_anew() {
    let hall = hall("set: {name: Guest}");
    let mut given = correct_five_times(&hall, &alice());
    let mut sent = Vec::new();
    let until = |given: &mut Given, time: Timestamp, sent: &mut Vec<Timestamp>| {
        given.now = time;
        for action in hall.plan_given(&alice(), given).actions {
            given.session.carried_out(&action, time, CORRECTIONS);
            sent.push(time);
        }
    };
    // The pause ended at 12:00:10, and for more than a minute nobody undid anything.
    for second in 20..30 {
        until(&mut given, at("12:01:00") + SignedDuration::from_secs(second), &mut sent);
    }
    assert_eq!(sent.len(), 5);
    assert_eq!(hall.leaves_given(&alice(), &given), ["name: damped until 12:01:34"]);
}

/// May publish the microphone, and shall publish the camera: half of the change takes away, half gives.
fn may_use(source: Source) -> Participant {
    alice_with(|alice| alice.permission = Permission { sources: Sources::of(source), ..alice.permission })
}

#[test]
fn of_a_change_in_both_directions_only_the_half_that_gives_waits() {
    let hall = hall("set: {permission: {canPublishSources: [Camera, ScreenShare]}}");
    let cannot = alice_with(|alice| alice.permission.can_publish = false);
    let given = correct_five_times(&hall, &cannot);
    let mixed = alice_with(|alice| {
        alice.permission.sources = [Source::Camera, Source::Microphone].into_iter().collect();
    });
    assert_eq!(hall.does_given(&mixed, &given), ["update canPublish=[Camera] (r)"]);
    assert_eq!(hall.leaves_given(&mixed, &given), ["permission.canPublish: damped until 12:00:10"]);
    assert_eq!(hall.does_given(&may_use(Source::Microphone), &given), ["update canPublish=nothing (r)"]);
}

#[test]
fn what_only_takes_away_is_not_reported_as_waiting() {
    let hall = hall("set: {permission: {canPublishSources: [Camera]}}");
    let cannot = alice_with(|alice| alice.permission.can_publish = false);
    let given = correct_five_times(&hall, &cannot);
    assert_eq!(hall.does_given(&alice(), &given), ["update canPublish=[Camera] (r)"]);
    assert_eq!(hall.leaves_given(&alice(), &given), [""; 0]);
}

#[test]
fn taking_away_during_a_pause_does_not_make_the_pause_longer() {
    let hall = hall("set: {permission: {canPublishSources: [Camera]}}");
    let cannot = alice_with(|alice| alice.permission.can_publish = false);
    let mut given = correct_five_times(&hall, &cannot);
    for _ in 0..5 {
        let mut participant = may_use(Source::Microphone);
        let plan = hall.plan_given(&participant, &given);
        assert_eq!(does(&plan, &participant), ["update canPublish=nothing (r)"]);
        for action in &plan.actions {
            livekit_model::carry_out(&mut participant, action);
            given.session.carried_out(action, given.now, CORRECTIONS);
        }
        assert_eq!(hall.leaves_given(&participant, &given), ["permission.canPublish: damped until 12:00:10"]);
    }
}

#[test]
fn a_flag_that_waits_leaves_the_rest_of_the_permission_free() {
    let both = hall("set: {permission: {canPublishData: true, canSubscribe: false}}");
    let undone = alice_with(|alice| alice.permission.can_publish_data = false);
    let given = correct_five_times(&hall("set: {permission: {canPublishData: true}}"), &undone);
    assert_eq!(both.does_given(&undone, &given), ["update canSubscribe=false (r)"]);
    assert_eq!(both.leaves_given(&undone, &given), ["permission.canPublishData: damped until 12:00:10"]);
}
