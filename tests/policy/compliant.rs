//! Whoever is as declared costs next to nothing.

use allocation_counter::measure;
use usher::policy::{Participant, Resolver, plan};

use crate::support::{Given, Hall, alice_publishing, camera, microphone, muted, policy};

/// Ten policies that use every selector and every effect.
fn ten_policies() -> Hall {
    let rules = "
rules:
- name: banned
  match: {identities: [{exact: troll}, {regex: 'spam-[0-9]+'}]}
  remove: {}
  activeUntil: '2026-12-31T00:00:00Z'
- name: hosts
  match: {attributes: [{key: role, values: [{exact: host}]}], names: [{glob: '*Host*'}]}
  keep: true
  set: {permission: {canPublish: true, canPublishData: true}}
- name: old
  match: {joinedFor: 30m}
  except: [{identities: [{prefix: moderator-}]}, {attributes: [{key: role, values: [{exact: host}]}], joinedFor: 3h}]
  set:
    permission: {canPublishSources: [Camera], canSubscribe: true, canUpdateMetadata: false}
    metadata: audience
    name: Guest
    attributes: {seat: audience}
    removeAttributes: [raised-hand]
  mute: {sources: [Camera]}
";
    Hall::under((0..10).map(|number| policy(&format!("p{number}"), rules)))
}

fn compliant() -> Participant {
    let mut participant = alice_publishing([muted(camera("TR_1"))]);
    participant.name = "Guest".into();
    participant.metadata = "audience".into();
    participant.attributes = [("seat".into(), "audience".into()), ("x".into(), "y".into())].into_iter().collect();
    participant.permission.sources = [usher::api::Source::Camera].into_iter().collect();
    participant
}

#[test]
fn nothing_is_allocated_for_a_compliant_participant() {
    let (hall, given, participant) = (ten_policies(), Given::default(), compliant());
    let mut resolver = Resolver::default();
    let mut round = |participant: &Participant| {
        let resolution = resolver.resolve(&hall.line.enforced, participant, given.now);
        plan(&resolution, participant, given.circumstances(&hall.line))
    };
    // The resolver and the automata get their memory from the first participant.
    assert_eq!(round(&participant).actions, []);
    let measured = measure(|| {
        for _ in 0..100 {
            let plan = round(&participant);
            assert!(plan.actions.is_empty() && plan.open.is_empty());
        }
    });
    assert_eq!((measured.count_total, measured.bytes_total), (0, 0));
}

#[test]
fn the_measure_sees_what_is_allocated_for_others() {
    let (hall, given) = (ten_policies(), Given::default());
    let other = alice_publishing([microphone("TR_1")]);
    let measured = measure(|| assert_ne!(hall.plan_given(&other, &given).actions, []));
    assert!(measured.count_total > 0);
}
