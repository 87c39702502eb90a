//! `mode: Audit`: judged in a line of its own, never acting.

use usher::policy::Counts;

use crate::{
    support::{Given, Hall, alice, alice_publishing, camera, microphone, policy},
    tally::tallied,
};

const AUDITED: &str = "{mode: Audit, rules: [{name: trial, set: {permission: {canPublish: false}, name: Guest}, mute: {sources: [Microphone]}}]}";

#[test]
fn an_audited_policy_never_acts() {
    let removes = "{mode: Audit, priority: 9, rules: [{name: r, match: {identities: [{glob: '*'}]}, remove: {}}]}";
    let hall = Hall::under([policy("trial", AUDITED), policy("removes", removes)]);
    assert_eq!(hall.does(&alice_publishing([microphone("TR")])), [""; 0]);
}

#[test]
fn an_audited_policy_shadows_nobody_who_is_enforced() {
    let hall = Hall::under([
        policy("trial", &AUDITED.replace("mode: Audit", "mode: Audit, priority: 9")),
        policy("base", "rules: [{name: base, set: {name: Base}}]"),
    ]);
    assert_eq!(hall.decides(&alice()), ["name = Base by livekit/base/base"]);
}

#[test]
fn what_it_would_do_are_violations() {
    let hall = Hall::under([policy("trial", AUDITED)]);
    let tally = tallied(&hall, &[alice_publishing([camera("TR_c")])], &Given::default());
    let trial = &tally["livekit/trial"];
    assert_eq!(trial.counts, Counts { rooms: 1, participants: 1, violations: 2, ..Counts::default() });
    let fields: Vec<_> = trial.samples.iter().map(|sample| sample.field.as_str()).collect();
    assert_eq!(fields, ["name", "permission.canPublish"]);
}

#[test]
fn only_fields_that_it_wins_count() {
    let hall = Hall::under([
        policy("base", "{priority: 1, rules: [{name: base, set: {permission: {canPublish: true}, name: Base}}]}"),
        policy("trial", AUDITED),
    ]);
    let trial = &tallied(&hall, &[alice_publishing([microphone("TR")])], &Given::default())["livekit/trial"];
    let samples: Vec<_> = trial.samples.iter().map(|sample| sample.field.as_str()).collect();
    assert_eq!(samples, ["mute.Microphone"]);
    assert_eq!(trial.overridden_by(), None);
}

#[test]
fn two_audited_policies_do_not_shadow_each_other() {
    let hall = Hall::under([policy("one", AUDITED), policy("two", AUDITED)]);
    let tally = tallied(&hall, &[alice()], &Given::default());
    assert_eq!(["livekit/one", "livekit/two"].map(|name| tally[name].counts.violations), [2, 2]);
}

#[test]
fn an_audited_policy_that_wins_nothing_is_overridden() {
    let hall = Hall::under([
        policy(
            "base",
            "{priority: 1, rules: [{name: base, set: {permission: {canPublish: true}, name: Base}, mute: {}}]}",
        ),
        policy("trial", AUDITED),
    ]);
    let trial = &tallied(&hall, &[alice()], &Given::default())["livekit/trial"];
    assert_eq!(trial.counts, Counts { rooms: 1, participants: 1, compliant: 1, ..Counts::default() });
    assert_eq!(trial.overridden_by().map(ToString::to_string).as_deref(), Some("livekit/base"));
}
