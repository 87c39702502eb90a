//! Mute and unmute, always and once for each track.

use std::collections::HashSet;

use usher::{
    api::Source::Camera,
    policy::{CORRECTIONS, Media, Participant, PolicySet, Session},
};

use crate::support::{Given, Hall, alice_publishing, camera, does, microphone, muted, policy, track};

fn hall(effect: &str) -> Hall {
    Hall::under([policy("test", &format!("rules: [{{name: r, {effect}}}]"))])
}

#[test]
fn every_source_is_muted_by_default() {
    let screen =
        [track("TR_s", Media::Video, Some(usher::api::Source::ScreenShare)), microphone("TR_m"), camera("TR_c")];
    assert_eq!(hall("mute: {}").does(&alice_publishing(screen)), ["mute TR_c (r)", "mute TR_m (r)", "mute TR_s (r)"]);
}

#[test]
fn only_named_sources_are_muted_and_only_once_they_are_not() {
    let tracks = [microphone("TR_1"), camera("TR_2"), muted(microphone("TR_3")), microphone("TR_4")];
    let participant = alice_publishing(tracks);
    assert_eq!(hall("mute: {sources: [Microphone]}").does(&participant), ["mute TR_1 (r)", "mute TR_4 (r)"]);
}

#[test]
fn tracks_count_by_what_they_are() {
    let disguised = alice_publishing([track("TR_1", Media::Audio, Some(Camera)), track("TR_2", Media::Audio, None)]);
    assert_eq!(hall("mute: {sources: [Microphone]}").does(&disguised), ["mute TR_1 (r)", "mute TR_2 (r)"]);
    assert_eq!(hall("mute: {sources: [Camera]}").does(&disguised), [""; 0]);
}

#[test]
fn data_is_never_muted() {
    assert_eq!(hall("mute: {}").does(&alice_publishing([track("TR", Media::Data, None)])), [""; 0]);
}

#[test]
fn always_means_whenever_it_is_seen_otherwise() {
    let hall = hall("mute: {sources: [Microphone], repeat: Always}");
    let mut given = Given::default();
    for _ in 0..100 {
        let plan = hall.plan_given(&alice_publishing([microphone("TR")]), &given);
        assert_eq!(does(&plan, &alice_publishing([])), ["mute TR (r)"]);
        plan.actions.iter().for_each(|action| given.session.carried_out(action, given.now, CORRECTIONS));
    }
}

#[test]
fn once_per_track_leaves_a_track_alone_after_its_turn() {
    let hall = hall("mute: {sources: [Microphone], repeat: OncePerTrack}");
    let mut given = Given::default();
    let mut participant = alice_publishing([microphone("TR_1")]);
    let plan = hall.plan_given(&participant, &given);
    assert_eq!(does(&plan, &participant), ["mute TR_1 (r)"]);
    given.session.carried_out(&plan.actions[0], given.now, CORRECTIONS);
    // The participant has unmuted it, and publishes another.
    participant.tracks.push(microphone("TR_2"));
    assert_eq!(hall.does_given(&participant, &given), ["mute TR_2 (r)"]);
}

#[test]
fn a_track_that_is_as_wanted_has_had_its_turn() {
    let hall = hall("mute: {sources: [Microphone], repeat: OncePerTrack}");
    let mut given = Given::default();
    let quiet = alice_publishing([muted(microphone("TR_1"))]);
    let plan = hall.plan_given(&quiet, &given);
    assert_eq!((plan.actions.len(), plan.settled.len()), (0, 1));
    plan.settled.into_iter().for_each(|(track, key)| given.session.set_done(&track, [key]));
    let again = hall.plan_given(&alice_publishing([microphone("TR_1")]), &given);
    assert_eq!((again.actions.len(), again.settled.len()), (0, 0));
}

#[test]
fn unmuting_is_once_per_track_without_saying_so() {
    let hall = hall("mute: {sources: [Microphone], muted: false}");
    let mut given = Given::default();
    let participant = alice_publishing([muted(microphone("TR_1")), microphone("TR_2")]);
    let plan = hall.plan_given(&participant, &given);
    assert_eq!(does(&plan, &participant), ["unmute TR_1 (r)"]);
    given.session.carried_out(&plan.actions[0], given.now, CORRECTIONS);
    assert_eq!(hall.does_given(&participant, &given), [""; 0]);
}

#[test]
fn where_the_server_does_not_unmute_it_is_left_and_said() {
    let hall = hall("mute: {sources: [Microphone], muted: false}");
    let given = Given { can_unmute: false, ..Given::default() };
    let participant = alice_publishing([muted(microphone("TR_1"))]);
    assert_eq!(hall.does_given(&participant, &given), [""; 0]);
    assert_eq!(hall.leaves_given(&participant, &given), ["mute.Microphone: cannot unmute"]);
    assert_eq!(hall.plan_given(&participant, &given).wake, None);
}

#[test]
fn permission_comes_before_mute_and_what_it_unpublishes_is_not_muted() {
    let hall = hall("set: {permission: {canPublishSources: [Camera]}}, mute: {}");
    let participant = alice_publishing([microphone("TR_m"), camera("TR_c")]);
    assert_eq!(hall.does(&participant), ["update canPublish=[Camera] (r)", "mute TR_c (r)"]);
}

#[test]
fn a_withdrawn_track_is_not_muted_either() {
    let hall = hall("set: {permission: {canPublishSources: [Camera]}}, mute: {}");
    let mut participant = alice_publishing([track("TR_1", Media::Audio, Some(Camera))]);
    participant.permission.sources = [Camera].into_iter().collect();
    assert_eq!(hall.does(&participant), ["update canPublish=nothing withdrawing [Camera] for TR_1 (r)"]);
}

#[test]
fn two_rules_have_a_turn_each() {
    let set = |rule| policy("test", &format!("rules: [{{name: {rule}, mute: {{repeat: OncePerTrack}}}}]"));
    let mut given = Given::default();
    let participant = alice_publishing([microphone("TR_1")]);
    let plan = Hall::under([set("first")]).plan_given(&participant, &given);
    given.session.carried_out(&plan.actions[0], given.now, CORRECTIONS);
    assert_eq!(Hall::under([set("first")]).does_given(&participant, &given), [""; 0]);
    assert_eq!(Hall::under([set("second")]).does_given(&participant, &given), ["mute TR_1 (second)"]);
}

#[test]
fn an_edit_that_changes_nothing_is_no_other_rule_and_one_that_does_is() {
    let keys = |mute: &str| -> HashSet<_> {
        let member = policy("test", &format!("rules: [{{name: r, set: {{name: X}}, mute: {mute}}}]"));
        PolicySet::new(vec![member], vec![]).once_keys()
    };
    let original = keys("{sources: [Camera, Microphone], repeat: OncePerTrack}");
    assert_eq!(original.len(), 1);
    assert_eq!(original, keys("{sources: [Microphone, Camera], muted: true, repeat: OncePerTrack}"));
    assert_ne!(original, keys("{sources: [Camera], repeat: OncePerTrack}"));
    assert_ne!(original, keys("{sources: [Camera, Microphone], muted: false}"));
    assert_eq!(keys("{sources: [Camera, Microphone]}"), HashSet::new());
}

#[test]
fn a_first_listing_only_learns() {
    let member = policy("test", "rules: [{name: r, mute: {repeat: OncePerTrack}}]");
    let keys = PolicySet::new(vec![member.clone()], vec![]).once_keys();
    let mut session = Session::default();
    let participant: Participant = alice_publishing([microphone("TR_1")]);
    session.set_done("TR_1", keys);
    let given = Given { session, ..Given::default() };
    assert_eq!(Hall::under([member]).does_given(&participant, &given), [""; 0]);
}

#[test]
fn tracks_that_are_no_more_are_forgotten() {
    let member = policy("test", "rules: [{name: r, mute: {repeat: OncePerTrack}}]");
    let key = PolicySet::new(vec![member], vec![]).once_keys().into_iter().next().unwrap();
    let mut session = Session::default();
    session.set_done("TR_1", [key]);
    session.set_done("TR_2", [key]);
    session.retain_tracks(&alice_publishing([microphone("TR_2")]));
    assert_eq!(["TR_1", "TR_2"].map(|track| session.is_done(track, key)), [false, true]);
}
