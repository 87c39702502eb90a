//! What may be published: one field, compared by meaning, and tracks that do not belong.

use usher::{
    api::Source::{self, Camera, Microphone, ScreenShare},
    policy::{Action, CORRECTIONS, Media, Participant, Permission, Plan, Session, Sources, Track},
};

use crate::{
    livekit_model,
    support::{Given, Hall, alice, alice_publishing, alice_with, camera, does, microphone, policy, track},
};

fn hall(permission: &str) -> Hall {
    Hall::under([policy("test", &format!("rules: [{{name: r, set: {{permission: {{{permission}}}}}}}]"))])
}

fn may_publish(sources: &[Source]) -> Participant {
    alice_with(|alice| {
        alice.permission.can_publish = true;
        alice.permission.sources = sources.iter().copied().collect();
    })
}

fn may_not_publish() -> Participant {
    alice_with(|alice| alice.permission.can_publish = false)
}

#[test]
fn can_publish_alone_means_all_sources() {
    let hall = hall("canPublish: true");
    assert_eq!(hall.does(&may_publish(&[Camera])), ["update canPublish=everything (r)"]);
    assert_eq!(hall.does(&may_not_publish()), ["update canPublish=everything (r)"]);
    assert_eq!(hall.does(&may_publish(&[])), [""; 0]);
}

#[test]
fn sources_imply_can_publish() {
    for permission in ["canPublishSources: [Camera]", "canPublish: true, canPublishSources: [Camera]"] {
        let hall = hall(permission);
        assert_eq!(hall.does(&may_not_publish()), ["update canPublish=[Camera] (r)"]);
        assert_eq!(hall.does(&may_publish(&[])), ["update canPublish=[Camera] (r)"]);
        assert_eq!(hall.does(&may_publish(&[Camera, Microphone])), ["update canPublish=[Camera] (r)"]);
        assert_eq!(hall.does(&may_publish(&[Camera])), [""; 0]);
    }
}

#[test]
fn can_publish_false_means_nothing_whatever_the_sources() {
    let hall = hall("canPublish: false");
    assert_eq!(hall.does(&may_publish(&[Camera])), ["update canPublish=nothing (r)"]);
    let with_idle_sources = alice_with(|alice| {
        (alice.permission.can_publish, alice.permission.sources) = (false, Sources::of(Camera));
    });
    assert_eq!(hall.does(&with_idle_sources), [""; 0]);
}

#[test]
fn the_order_of_sources_means_nothing() {
    let hall = hall("canPublishSources: [ScreenShare, Camera]");
    assert_eq!(hall.does(&may_publish(&[Camera, ScreenShare])), [""; 0]);
}

#[test]
fn all_four_sources_are_less_than_everything() {
    let hall = hall("canPublishSources: [Camera, Microphone, ScreenShare, ScreenShareAudio]");
    let does = hall.does(&may_publish(&[]));
    assert_eq!(does, ["update canPublish=[Camera, Microphone, ScreenShare, ScreenShareAudio] (r)"]);
}

#[test]
fn idle_sources_stay_when_another_bit_changes() {
    let hall = hall("canPublish: false, canSubscribe: false");
    let idle = Permission { can_publish: false, sources: Sources::of(Camera), ..alice().permission };
    let participant = alice_with(|alice| alice.permission = idle);
    let [Action::Update(update)] = &hall.plan(&participant).actions[..] else { panic!("one update") };
    assert_eq!(update.permission, Some(Permission { can_subscribe: false, ..idle }));
}

#[test]
fn sources_that_only_a_later_livekit_knows_are_not_forgotten() {
    let hall = hall("canSubscribe: false");
    let participant = alice_with(|alice| alice.permission.sources = Sources::from_numbers(&[17]));
    let [Action::Update(update)] = &hall.plan(&participant).actions[..] else { panic!("one update") };
    let numbers: Vec<_> = update.permission.map(|permission| permission.sources.numbers().collect()).unwrap();
    assert_eq!(numbers, [17], "an empty list would mean every source");
}

/// Sound that claims to be pictures: passes where only the camera is allowed.
fn sound_as_camera(sid: &str) -> Track {
    track(sid, Media::Audio, Some(Camera))
}

/// A session on a model of LiveKit.
struct Stage {
    hall: Hall,
    given: Given,
    participant: Participant,
}

impl Stage {
    fn new(permission: &str, participant: Participant) -> Self {
        Self { hall: hall(permission), given: Given::default(), participant }
    }

    /// Plans, carries out and answers what was done.
    fn step(&mut self) -> Vec<String> {
        let plan = self.plan();
        let lines = does(&plan, &self.participant);
        for action in &plan.actions {
            livekit_model::carry_out(&mut self.participant, action);
            self.given.session.carried_out(action, self.given.now, CORRECTIONS);
        }
        lines
    }

    fn plan(&self) -> Plan {
        self.hall.plan_given(&self.participant, &self.given)
    }

    fn publish(&mut self, track: Track) {
        assert!(livekit_model::publish(&mut self.participant, track), "the server lets it be published");
    }

    fn tracks(&self) -> Vec<&str> {
        self.participant.tracks.iter().map(|track| track.sid.as_str()).collect()
    }
}

#[test]
fn a_track_that_does_not_belong_is_unpublished_and_its_source_given_back() {
    let tracks = [sound_as_camera("TR_1"), track("TR_2", Media::Video, Some(ScreenShare))];
    let with = |alice: &mut Participant| {
        alice.tracks = tracks.to_vec();
        alice.permission.sources = [Camera, ScreenShare].into_iter().collect();
    };
    let mut stage = Stage::new("canPublishSources: [Camera, ScreenShare]", alice_with(with));
    assert_eq!(stage.step(), ["update canPublish=[ScreenShare] withdrawing [Camera] for TR_1 (r)"]);
    assert_eq!(stage.tracks(), ["TR_2"]);
    assert_eq!(stage.step(), ["update canPublish=[Camera, ScreenShare] (r)"]);
    assert_eq!(stage.step(), [""; 0]);
}

#[test]
fn withdrawing_the_only_source_never_sends_an_empty_list() {
    let mut stage = Stage::new(
        "canPublishSources: [Camera]",
        alice_with(|alice| {
            alice.tracks = vec![sound_as_camera("TR_1")];
            alice.permission.sources = Sources::of(Camera);
        }),
    );
    assert_eq!(stage.step(), ["update canPublish=nothing withdrawing [Camera] for TR_1 (r)"]);
    assert_eq!(stage.tracks(), [""; 0]);
    assert_eq!(stage.step(), ["update canPublish=[Camera] (r)"]);
}

#[test]
fn narrowing_and_withdrawing_are_one_call() {
    let mut stage =
        Stage::new("canPublishSources: [Camera]", alice_publishing([sound_as_camera("TR_1"), microphone("TR_2")]));
    assert_eq!(stage.step(), ["update canPublish=nothing withdrawing [Camera] for TR_1 (r)"]);
    assert_eq!(stage.tracks(), [""; 0]);
    assert_eq!(stage.step(), ["update canPublish=[Camera] (r)"]);
    assert_eq!(stage.step(), [""; 0]);
}

#[test]
fn the_third_time_in_a_session_the_source_stays_withdrawn() {
    let mut stage = Stage::new("canPublishSources: [Camera]", may_publish(&[Camera]));
    for sid in ["TR_1", "TR_2"] {
        stage.publish(sound_as_camera(sid));
        assert_eq!(stage.step(), [format!("update canPublish=nothing withdrawing [Camera] for {sid} (r)")]);
        assert_eq!(stage.step(), ["update canPublish=[Camera] (r)"]);
        assert_eq!(stage.step(), [""; 0]);
    }
    stage.publish(sound_as_camera("TR_3"));
    assert_eq!(stage.step(), ["update canPublish=nothing withdrawing [Camera] for TR_3 (r)"]);
    assert_eq!(stage.step(), [""; 0]);
    assert_eq!(stage.hall.leaves_given(&stage.participant, &stage.given), ["permission.canPublish: stays withdrawn"]);
    stage.given.session = Session::default();
    assert_eq!(stage.step(), ["update canPublish=[Camera] (r)"], "another session begins anew");
}

#[test]
fn two_tracks_at_once_are_one_time() {
    let mut stage = Stage::new("canPublishSources: [Camera]", may_publish(&[Camera]));
    for round in 0..2 {
        stage.publish(sound_as_camera(&format!("TR_{round}a")));
        stage.publish(sound_as_camera(&format!("TR_{round}b")));
        stage.step();
        assert_eq!(stage.step(), ["update canPublish=[Camera] (r)"]);
    }
}

#[test]
fn each_source_has_three_times_of_its_own() {
    let mut stage = Stage::new("canPublishSources: [Camera, ScreenShare]", may_publish(&[Camera, ScreenShare]));
    for claim in [Camera, ScreenShare, Camera, ScreenShare] {
        stage.publish(track(&format!("TR_{claim:?}"), Media::Audio, Some(claim)));
        assert_eq!(stage.step().len(), 1);
        assert_eq!(stage.step(), ["update canPublish=[Camera, ScreenShare] (r)"]);
        stage.given.session.retain_tracks(&stage.participant);
    }
    stage.publish(track("TR", Media::Audio, Some(Camera)));
    assert_eq!(stage.step(), ["update canPublish=[ScreenShare] withdrawing [Camera] for TR (r)"]);
    assert_eq!(stage.step(), [""; 0]);
}

#[test]
fn a_track_that_a_late_listing_still_shows_is_not_held_against_anybody_twice() {
    let mut stage = Stage::new("canPublishSources: [Camera]", may_publish(&[Camera]));
    stage.publish(sound_as_camera("TR_1"));
    stage.step();
    // The record that comes back still has the track.
    stage.participant.tracks.push(sound_as_camera("TR_1"));
    assert_eq!(stage.step(), ["update canPublish=[Camera] (r)"]);
    assert_eq!(stage.step(), [""; 0]);
}

#[test]
fn what_the_server_does_not_allow_any_more_is_not_withdrawn_again() {
    // A late listing of somebody who lost the camera otherwise.
    let mut late = may_not_publish();
    late.tracks.push(sound_as_camera("TR_1"));
    assert_eq!(hall("canPublishSources: [Camera]").does(&late), ["update canPublish=[Camera] (r)"]);
}

#[test]
fn a_track_belongs_if_what_it_is_may_be_published() {
    // A camera that claims nothing counts as camera; pictures that claim to be a microphone count as camera too.
    let tracks =
        [camera("TR_1"), track("TR_2", Media::Video, Some(Microphone)), track("TR_3", Media::Data, Some(Camera))];
    let with = |alice: &mut Participant| {
        alice.tracks = tracks.to_vec();
        alice.permission.sources = [Camera, Microphone].into_iter().collect();
    };
    assert_eq!(hall("canPublishSources: [Camera, Microphone]").does(&alice_with(with)), [""; 0]);
}

#[test]
fn without_decided_sources_no_track_is_out_of_place() {
    let everything = alice_publishing([sound_as_camera("TR_1")]);
    assert_eq!(hall("canPublish: true").does(&everything), [""; 0]);
    assert_eq!(hall("canSubscribe: true").does(&everything), [""; 0]);
}
