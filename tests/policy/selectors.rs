//! `match` and `except`: every field, its default, and how they combine.

use usher::{
    api::{Kind, Source, State},
    policy::{Media, Participant},
};

use crate::support::{
    Given, Hall, alice, alice_as, alice_publishing, alice_with, at, camera, microphone, policy, track,
};

/// Whether a rule with this `match` is about somebody.
fn matches(selector: &str, participant: &Participant) -> bool {
    let rules = format!("rules: [{{name: rule, match: {selector}, set: {{name: Matched}}}}]");
    !Hall::under([policy("test", &rules)]).decides(participant).is_empty()
}

/// Whether a rule for everybody with this `except` is about somebody.
fn matches_except(except: &str, participant: &Participant) -> bool {
    let everybody = "kinds: [Standard, Agent], states: [Joining, Active], include: [Hidden, Forwarded]";
    let rules = format!("rules: [{{name: rule, match: {{{everybody}}}, except: {except}, set: {{name: Matched}}}}]");
    !Hall::under([policy("test", &rules)]).decides(participant).is_empty()
}

fn removes(selector: &str, participant: &Participant) -> bool {
    let rules = format!("rules: [{{name: rule, match: {selector}, remove: {{}}}}]");
    !Hall::under([policy("test", &rules)]).does(participant).is_empty()
}

#[test]
fn identities_are_matched_exactly_by_prefix_by_glob_and_by_regex() {
    for (yes, no) in [
        ("exact: alice", "exact: Alice"),
        ("prefix: al", "prefix: lice"),
        ("glob: \"*l?ce\"", "glob: \"al?\""),
        ("glob: \"{alice,bob}\"", "glob: \"[b-z]*\""),
        ("regex: \"a.+e|bob\"", "regex: \"lice|al\""),
    ] {
        assert!(matches(&format!("{{identities: [{{{yes}}}]}}"), &alice()), "{yes}");
        assert!(!matches(&format!("{{identities: [{{{no}}}]}}"), &alice()), "{no}");
    }
}

#[test]
fn a_list_means_any_of() {
    assert!(matches("{identities: [{exact: bob}, {regex: \"x+\"}, {prefix: ali}]}", &alice()));
    assert!(!matches("{identities: [{exact: bob}, {regex: \"x+\"}, {prefix: alx}]}", &alice()));
}

#[test]
fn names_are_matched_also_where_there_is_none() {
    assert!(matches("{names: [{exact: Alice}]}", &alice()));
    let nameless = alice_with(|alice| alice.name = "".into());
    assert!(!matches("{names: [{exact: Alice}]}", &nameless));
    assert!(matches("{names: [{regex: \"\"}]}", &nameless));
}

#[test]
fn metadata_is_matched_as_one_string() {
    let admin = alice_with(|alice| alice.metadata = "{\"role\":\"admin\"}\n".into());
    assert!(matches("{metadata: [{glob: '*\"admin\"*'}]}", &admin));
    assert!(!matches("{metadata: [{exact: admin}]}", &admin));
}

#[test]
fn attributes_are_matched_by_value_presence_and_absence() {
    let host = alice_as("role", "host");
    assert!(matches("{attributes: [{key: role, values: [{exact: guest}, {exact: host}]}]}", &host));
    assert!(!matches("{attributes: [{key: role, values: [{exact: guest}]}]}", &host));
    assert!(!matches("{attributes: [{key: seat, values: [{glob: \"*\"}]}]}", &host));
    assert!(matches("{attributes: [{key: role}]}", &host));
    assert!(!matches("{attributes: [{key: seat}]}", &host));
    assert!(matches("{attributes: [{key: seat, absent: true}]}", &host));
    assert!(!matches("{attributes: [{key: role, absent: true}]}", &host));
}

#[test]
fn entries_of_attributes_must_all_hold() {
    let both = "{attributes: [{key: role, values: [{exact: host}]}, {key: seat, absent: true}]}";
    assert!(matches(both, &alice_as("role", "host")));
    assert!(!matches(both, &alice()));
    let seated = alice_with(|alice| {
        alice.attributes = [("role".into(), "host".into()), ("seat".into(), "1".into())].into_iter().collect()
    });
    assert!(!matches(both, &seated));
}

#[test]
fn only_kind_standard_is_matched_unless_kinds_are_named() {
    let of_kind = |kind| alice_with(|alice| alice.kind = kind);
    for kind in [Kind::Ingress, Kind::Egress, Kind::Sip, Kind::Agent, Kind::Connector, Kind::Bridge] {
        assert!(!matches("{identities: [{exact: alice}]}", &of_kind(Some(kind))), "{kind:?}");
        assert!(!removes("{identities: [{exact: alice}]}", &of_kind(Some(kind))), "{kind:?}");
        assert!(matches(&format!("{{kinds: [{kind:?}]}}"), &of_kind(Some(kind))), "{kind:?}");
        assert!(!matches(&format!("{{kinds: [{kind:?}]}}"), &alice()), "{kind:?}");
    }
}

#[test]
fn a_kind_that_is_not_known_is_never_matched() {
    let strange = alice_with(|alice| alice.kind = None);
    assert!(!matches("{identities: [{exact: alice}]}", &strange));
    assert!(!matches("{kinds: [Standard, Ingress, Egress, Sip, Agent, Connector, Bridge]}", &strange));
    assert!(!removes("{identities: [{glob: \"*\"}]}", &strange));
}

#[test]
fn only_active_participants_are_matched_unless_states_are_named() {
    let in_state = |state| alice_with(|alice| alice.state = state);
    for state in [State::Joining, State::Joined] {
        assert!(!matches("{identities: [{exact: alice}]}", &in_state(state)), "{state:?}");
        assert!(matches(&format!("{{states: [{state:?}]}}"), &in_state(state)), "{state:?}");
        assert!(!matches(&format!("{{states: [{state:?}]}}"), &alice()), "{state:?}");
    }
}

#[test]
fn a_removal_is_for_every_state_unless_states_are_named() {
    for state in [State::Joining, State::Joined, State::Active] {
        let participant = alice_with(|alice| alice.state = state);
        assert!(removes("{identities: [{exact: alice}]}", &participant), "{state:?}");
        let named = removes("{identities: [{exact: alice}], states: [Active]}", &participant);
        assert_eq!(named, state == State::Active);
    }
}

#[test]
fn publishing_means_a_track_of_one_of_the_sources() {
    let with_both = alice_publishing([camera("TR_c"), microphone("TR_m")]);
    assert!(matches("{publishing: [ScreenShare, Microphone]}", &with_both));
    assert!(!matches("{publishing: [ScreenShare, ScreenShareAudio]}", &with_both));
    assert!(!matches("{publishing: [Camera]}", &alice()));
}

#[test]
fn tracks_count_by_what_they_are_and_not_by_what_they_claim() {
    for (media, claimed, counts_as) in [
        (Media::Audio, None, Source::Microphone),
        (Media::Audio, Some(Source::Camera), Source::Microphone),
        (Media::Audio, Some(Source::ScreenShare), Source::Microphone),
        (Media::Audio, Some(Source::ScreenShareAudio), Source::ScreenShareAudio),
        (Media::Video, None, Source::Camera),
        (Media::Video, Some(Source::Microphone), Source::Camera),
        (Media::Video, Some(Source::ScreenShareAudio), Source::Camera),
        (Media::Video, Some(Source::ScreenShare), Source::ScreenShare),
    ] {
        let participant = alice_publishing([track("TR", media, claimed)]);
        for source in [Source::Camera, Source::Microphone, Source::ScreenShare, Source::ScreenShareAudio] {
            let matched = matches(&format!("{{publishing: [{source:?}]}}"), &participant);
            assert_eq!(matched, source == counts_as, "{media:?} that claims {claimed:?} as {source:?}");
        }
    }
    let data = alice_publishing([track("TR", Media::Data, Some(Source::Camera))]);
    assert!(!matches("{publishing: [Camera, Microphone, ScreenShare, ScreenShareAudio]}", &data));
}

#[test]
fn joined_for_begins_to_hold_by_itself() {
    let hall = Hall::under([policy("test", "rules: [{name: rule, match: {joinedFor: 1h30m}, set: {name: Old}}]")]);
    let before = hall.plan_given(&alice(), &Given::at("12:29:59.999"));
    assert_eq!((before.actions.len(), before.wake), (0, Some(at("12:30:00"))));
    let after = hall.plan_given(&alice(), &Given::at("12:30:00"));
    assert_eq!((after.actions.len(), after.wake), (1, None));
}

#[test]
fn hidden_and_forwarded_participants_are_seen_only_if_included() {
    let hidden = alice_with(|alice| alice.permission.hidden = true);
    let copy = alice_with(|alice| alice.forwarded = true);
    let both = alice_with(|alice| (alice.permission.hidden, alice.forwarded) = (true, true));
    for (include, sees) in [
        ("{kinds: [Standard]}", [false, false, false]),
        ("{include: [Hidden]}", [true, false, false]),
        ("{include: [Forwarded]}", [false, true, false]),
        ("{include: [Hidden, Forwarded]}", [true, true, true]),
    ] {
        assert_eq!([&hidden, &copy, &both].map(|participant| matches(include, participant)), sees, "{include}");
        assert!(matches(include, &alice()), "{include} still sees the others");
    }
}

#[test]
fn all_given_fields_must_hold() {
    let host = alice_as("role", "host");
    assert!(matches("{identities: [{exact: alice}], attributes: [{key: role}], names: [{exact: Alice}]}", &host));
    assert!(!matches("{identities: [{exact: bob}], attributes: [{key: role}], names: [{exact: Alice}]}", &host));
    assert!(!matches("{identities: [{exact: alice}], attributes: [{key: seat}]}", &host));
    assert!(!matches("{identities: [{exact: alice}], publishing: [Camera]}", &host));
}

#[test]
fn a_rule_without_match_is_about_everybody_of_kind_standard() {
    let hall = Hall::under([policy("test", "rules: [{name: rule, set: {name: Matched}}]")]);
    assert_eq!(hall.does(&alice()), ["update name=Matched (rule)"]);
    assert_eq!(hall.does(&alice_with(|alice| alice.kind = Some(Kind::Sip))), [""; 0]);
}

#[test]
fn one_exception_that_matches_is_enough() {
    let except = "[{identities: [{exact: bob}]}, {attributes: [{key: role}]}]";
    assert!(matches_except(except, &alice()));
    assert!(!matches_except(except, &alice_as("role", "host")));
    assert!(!matches_except(except, &alice_with(|alice| alice.identity = "bob".into())));
}

#[test]
fn within_an_exception_all_fields_must_hold() {
    let except = "[{identities: [{exact: alice}], attributes: [{key: role}]}]";
    assert!(matches_except(except, &alice()));
    assert!(!matches_except(except, &alice_as("role", "host")));
}

#[test]
fn an_exception_has_no_defaults() {
    for change in [
        (|alice| alice.kind = Some(Kind::Agent)) as fn(&mut Participant),
        |alice| alice.state = State::Joining,
        |alice| alice.permission.hidden = true,
        |alice| alice.forwarded = true,
    ] {
        let unusual = alice_with(change);
        assert!(matches_except("[{identities: [{exact: bob}]}]", &unusual));
        assert!(!matches_except("[{identities: [{exact: alice}]}]", &unusual));
    }
    assert!(matches_except("[{kinds: [Agent]}]", &alice()));
    assert!(!matches_except("[{kinds: [Agent]}]", &alice_with(|alice| alice.kind = Some(Kind::Agent))));
}

#[test]
fn an_exception_with_joined_for_ends_a_rule_by_itself() {
    let rules = "rules: [{name: rule, except: [{joinedFor: 90m}], set: {name: New}}]";
    let hall = Hall::under([policy("test", rules)]);
    let before = hall.plan_given(&alice(), &Given::at("12:29:59"));
    assert_eq!((before.actions.len(), before.wake), (1, Some(at("12:30:00"))));
    let after = hall.plan_given(&alice(), &Given::at("12:30:00"));
    assert_eq!((after.actions.len(), after.wake), (0, None));
}

#[test]
fn a_rule_that_its_exception_always_overtakes_never_wakes_anybody() {
    for except in ["90m", "2h"] {
        let rules = format!(
            "rules: [{{name: rule, match: {{joinedFor: 2h}}, except: [{{joinedFor: {except}}}], set: {{name: Never}}}}]"
        );
        let plan = Hall::under([policy("test", &rules)]).plan(&alice());
        assert_eq!((plan.actions.len(), plan.wake), (0, None));
    }
}

#[test]
fn a_rule_between_two_ages_begins_and_ends() {
    let rules = "rules: [{name: rule, match: {joinedFor: 90m}, except: [{joinedFor: 2h}], set: {name: Mid}}]";
    let hall = Hall::under([policy("test", rules)]);
    for (time, acts, wake) in
        [("12:00:00", 0, Some("12:30:00")), ("12:30:00", 1, Some("13:00:00")), ("13:00:00", 0, None)]
    {
        let plan = hall.plan_given(&alice(), &Given::at(time));
        assert_eq!((plan.actions.len(), plan.wake), (acts, wake.map(at)), "{time}");
    }
}
