//! What rooms contribute to the status of each policy.

use std::collections::BTreeMap;

use usher::{
    api::{Sample, Source},
    policy::{
        Action, CORRECTIONS, Counts, ObjectName, Participant, PolicyTally, Reach, Resolver, RoomTally, Samples,
        Session, Sources, Track, Unknown,
    },
};

use crate::support::{Given, Hall, alice, alice_publishing, alice_with, at, microphone, muted, noon, policy};

/// The tally of the hall with these participants, by policy.
pub fn tallied(hall: &Hall, participants: &[Participant], given: &Given) -> BTreeMap<String, PolicyTally> {
    tallied_after(hall, participants, given, None)
}

fn tallied_after(
    hall: &Hall,
    participants: &[Participant],
    given: &Given,
    failure: Option<&str>,
) -> BTreeMap<String, PolicyTally> {
    let mut tally = RoomTally::new("hall", &hall.line, true);
    let mut resolver = Resolver::default();
    for participant in participants {
        let plan = tally.add(&mut resolver, participant, given.circumstances(&hall.line), failure);
        assert_eq!(plan, hall.plan_given(participant, given));
    }
    tally.into_parts().map(|(name, tally)| (name.to_string(), tally)).collect()
}

fn called(identity: &str) -> Participant {
    alice_with(|alice| alice.identity = identity.into())
}

const GUESTS: &str = "rules: [{name: guests, match: {identities: [{prefix: g}]}, set: {name: Guest}}]";

fn sample(identity: &str, field: &str, wanted: &str, seen: &str, message: Option<&str>) -> Sample {
    Sample {
        room: "hall".into(),
        identity: identity.into(),
        rule: Some("guests".into()),
        field: field.into(),
        wanted: Some(wanted.into()),
        seen: Some(seen.into()),
        message: message.map(Into::into),
    }
}

#[test]
fn participants_count_for_the_policies_whose_rules_match_them() {
    let hall = Hall::under([policy("guests", GUESTS), policy("all", "rules: [{name: r, set: {name: Alice}}]")]);
    let tally = tallied(&hall, &[called("g1"), called("h1"), called("g2")], &Given::default());
    let guests = Counts { rooms: 1, participants: 2, compliant: 0, pending: 2, ..Counts::default() };
    // "all" stands first in the line, so nobody is called Guest.
    assert_eq!(tally["livekit/guests"].counts, Counts { compliant: 2, pending: 0, ..guests });
    assert_eq!(tally["livekit/all"].counts, Counts { rooms: 1, participants: 3, compliant: 3, ..Counts::default() });
    let alone = tallied(
        &Hall::under([policy("guests", GUESTS)]),
        &[called("g1"), called("h1"), called("g2")],
        &Given::default(),
    );
    assert_eq!(alone["livekit/guests"].counts, guests);
}

#[test]
fn a_room_without_participants_counts_as_a_room() {
    let tally = tallied(&Hall::under([policy("guests", GUESTS)]), &[], &Given::default());
    assert_eq!(
        tally["livekit/guests"],
        PolicyTally { counts: Counts { rooms: 1, ..Counts::default() }, ..PolicyTally::default() }
    );
}

#[test]
fn what_is_to_be_done_is_pending_with_a_sample() {
    let tally = tallied(&Hall::under([policy("guests", GUESTS)]), &[called("g1")], &Given::default());
    let expected = PolicyTally {
        counts: Counts { rooms: 1, participants: 1, pending: 1, ..Counts::default() },
        decided: true,
        samples: Samples::from_iter([sample("g1", "name", "Guest", "Alice", None)]),
        ..PolicyTally::default()
    };
    assert_eq!(tally["livekit/guests"], expected);
}

#[test]
fn after_a_failed_request_what_is_to_be_done_has_failed() {
    let hall = Hall::under([policy("guests", GUESTS)]);
    let tally = tallied_after(&hall, &[called("g1"), called("h1")], &Given::default(), Some("503: no response"));
    let expected = PolicyTally {
        counts: Counts { rooms: 1, participants: 1, failed: 1, ..Counts::default() },
        decided: true,
        failure: Some("name: 503: no response".into()),
        samples: Samples::from_iter([sample("g1", "name", "Guest", "Alice", Some("503: no response"))]),
        ..PolicyTally::default()
    };
    assert_eq!(tally["livekit/guests"], expected);
}

#[test]
fn a_failure_of_somebody_who_is_compliant_is_none() {
    let compliant = alice_with(|alice| (alice.identity, alice.name) = ("g1".into(), "Guest".into()));
    let tally = tallied_after(&Hall::under([policy("guests", GUESTS)]), &[compliant], &Given::default(), Some("gone"));
    let counts = Counts { rooms: 1, participants: 1, compliant: 1, ..Counts::default() };
    assert_eq!(tally["livekit/guests"].counts, counts);
}

#[test]
fn values_are_cut_at_64_characters() {
    let long = "ü".repeat(100);
    let hall = Hall::under([policy("p", &format!("rules: [{{name: guests, set: {{metadata: {long}}}}}]"))]);
    let tally = tallied(&hall, &[alice()], &Given::default());
    assert_eq!(
        tally["livekit/p"].samples,
        Samples::from_iter([sample("alice", "metadata", &"ü".repeat(64), "", None)])
    );
}

#[test]
fn the_first_twenty_samples_are_kept() {
    let participants: Vec<_> = (0..50).rev().map(|number| called(&format!("g{number:02}"))).collect();
    let tally = tallied(&Hall::under([policy("guests", GUESTS)]), &participants, &Given::default());
    let identities: Vec<_> = tally["livekit/guests"].samples.iter().map(|sample| sample.identity.clone()).collect();
    assert_eq!(identities, (0..20).map(|number| format!("g{number:02}")).collect::<Vec<_>>());
    assert_eq!(tally["livekit/guests"].counts.pending, 50);
}

fn counts(rule: &str, participant: &Participant, given: &Given) -> Counts {
    let hall = Hall::under([policy("p", &format!("rules: [{{name: guests, {rule}}}]"))]);
    tallied(&hall, std::slice::from_ref(participant), given)["livekit/p"].counts
}

const ONE: Counts = Counts { rooms: 1, participants: 1, compliant: 0, pending: 0, failed: 0, violations: 0 };

#[test]
fn what_waits_is_pending() {
    let banned = "match: {identities: [{exact: alice}]}, remove: {}";
    let just_removed = Given { removed_at: Some(at("11:59:59.5")), ..Given::default() };
    assert_eq!(counts(banned, &alice(), &just_removed), Counts { pending: 1, ..ONE });

    let hall = Hall::under_with_unknown(
        [policy("p", &format!("rules: [{{name: banned, {banned}}}]"))],
        [Unknown { name: ObjectName::new("livekit", "broken"), priority: None, reach: Reach::Home }],
    );
    let held = &tallied(&hall, &[alice()], &Given::default())["livekit/p"];
    assert_eq!(held.counts, Counts { pending: 1, ..ONE });

    let hall = Hall::under([policy("p", "rules: [{name: guests, set: {name: Guest}}]")]);
    let mut damped = Given::default();
    for _ in 0..5 {
        hall.plan(&alice()).actions.iter().for_each(|action| damped.session.carried_out(action, noon(), CORRECTIONS));
    }
    let damped = &tallied(&hall, &[alice()], &damped)["livekit/p"];
    assert_eq!(damped.counts, Counts { pending: 1, ..ONE });
    let message = "something undoes every correction, so the next ones come later and later";
    assert_eq!(damped.samples, Samples::from_iter([sample("alice", "name", "Guest", "Alice", Some(message))]));
}

#[test]
fn what_the_server_does_not_do_has_failed() {
    let unmute = "mute: {muted: false}";
    let cannot = Given { can_unmute: false, ..Given::default() };
    let hall = Hall::under([policy("p", &format!("rules: [{{name: guests, {unmute}}}]"))]);
    let tally = &tallied(&hall, &[alice_publishing([muted(microphone("TR_1")), muted(microphone("TR_2"))])], &cannot)["livekit/p"];
    assert_eq!(tally.counts, Counts { failed: 1, ..ONE });
    assert!(tally.remote_unmute_disabled);
    assert_eq!(tally.samples.len(), 1, "two tracks of a source are one field");

    let hall = Hall::under([policy("p", "rules: [{name: guests, set: {name: Guest}}]")]);
    let mut refused = Given::default();
    for action in hall.plan(&alice()).actions {
        let Action::Update(update) = action else { panic!("an update") };
        refused.session.was_refused(&update, "too long".into(), noon());
    }
    let tally = &tallied(&hall, &[alice()], &refused)["livekit/p"];
    assert_eq!(tally.counts, Counts { failed: 1, ..ONE });
    assert_eq!(tally.failure.as_deref(), Some("name: the server refused it: too long"));
}

#[test]
fn what_stays_withdrawn_has_failed() {
    let rule = "set: {permission: {canPublishSources: [Camera]}}";
    let hall = Hall::under([policy("p", &format!("rules: [{{name: guests, {rule}}}]"))]);
    let mut given = Given { session: Session::default(), ..Given::default() };
    for number in 0..3 {
        let disguised = alice_with(|alice| {
            alice.permission.sources = Sources::of(Source::Camera);
            alice.tracks = vec![Track { claimed: Some(Source::Camera), ..microphone(&format!("TR_{number}")) }];
        });
        hall.plan_given(&disguised, &given)
            .actions
            .iter()
            .for_each(|action| given.session.carried_out(action, noon(), CORRECTIONS));
    }
    let withdrawn = alice_with(|alice| alice.permission.can_publish = false);
    assert_eq!(counts(rule, &withdrawn, &given), Counts { failed: 1, ..ONE });
}

#[test]
fn one_failed_field_makes_a_participant_failed() {
    let both = "set: {name: Guest}, mute: {muted: false}";
    let cannot = Given { can_unmute: false, ..Given::default() };
    assert_eq!(counts(both, &alice_publishing([muted(microphone("TR"))]), &cannot), Counts { failed: 1, ..ONE });
}

fn room(hall: &Hall, name: &str, participants: &[Participant]) -> PolicyTally {
    let mut tally = RoomTally::new(name, &hall.line, true);
    for participant in participants {
        tally.add(&mut Resolver::default(), participant, Given::default().circumstances(&hall.line), None);
    }
    let by_name: BTreeMap<_, _> = tally.into_parts().map(|(name, tally)| (name.to_string(), tally)).collect();
    by_name["livekit/guests"].clone()
}

#[test]
fn a_policy_is_overridden_where_others_decide_everything_it_speaks_of() {
    let winner = |name: &str, priority: i32| {
        policy(
            name,
            &format!(
                "{{priority: {priority}, rules: [{{name: r, match: {{identities: [{{exact: g1}}]}}, set: {{name: X}}}}]}}"
            ),
        )
    };
    let first = policy("first", "{priority: 3, rules: [{name: r, set: {metadata: X}}]}");
    let hall = Hall::under([policy("guests", GUESTS), winner("low", 1), winner("high", 2), first]);
    let shadowed = room(&hall, "a", &[called("g1")]);
    assert_eq!(shadowed.overridden_by().map(ToString::to_string).as_deref(), Some("livekit/high"));
    assert_eq!(room(&hall, "a", &[called("g1"), called("g2")]).overridden_by(), None, "it decides for g2");
    assert_eq!(room(&hall, "a", &[]).overridden_by(), None, "it matches nobody");
    let mut merged = shadowed;
    merged.merge(&room(&hall, "b", &[called("g2")]));
    assert_eq!(merged.overridden_by(), None, "it decides in another room");
}

#[test]
fn of_several_winners_the_first_in_the_line_is_named() {
    let wins = |name: &str, priority: i32, identity: &str| {
        policy(
            name,
            &format!(
                "{{priority: {priority}, rules: [{{name: r, match: {{identities: [{{exact: {identity}}}]}}, set: {{name: X}}}}]}}"
            ),
        )
    };
    let hall = Hall::under([policy("guests", GUESTS), wins("a", 1, "g1"), wins("b", 2, "g2")]);
    for order in [["g1", "g2"], ["g2", "g1"]] {
        let tally = room(&hall, "a", &order.map(called));
        assert_eq!(tally.overridden_by().map(ToString::to_string).as_deref(), Some("livekit/b"));
    }
}

#[test]
fn a_policy_shadowed_by_its_own_rules_only_is_not_overridden() {
    let rules = "rules: [{name: a, set: {name: X}}, {name: b, set: {name: Z}}]";
    let hall = Hall::under([policy("guests", rules)]);
    assert_eq!(room(&hall, "a", &[alice()]).overridden_by(), None);
}
