//! Self-asserted data never works in a participant's own favour.

use usher::policy::Participant;

use crate::support::{Hall, alice, alice_as, alice_with, policy};

/// The participant, able to change its own name, metadata and attributes.
fn who_may_write(mut participant: Participant) -> Participant {
    participant.permission.can_update_metadata = true;
    participant
}

/// Which fields one rule decides.
fn decides(rule: &str, participant: &Participant) -> Vec<String> {
    let hall = Hall::under([policy("test", &format!("rules: [{{name: rule, {rule}}}]"))]);
    hall.decisions(participant).iter().map(|decision| decision.field.to_string()).collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn nobody_gets_into_a_rule_that_gives_something_by_what_it_may_write_itself() {
    for effect in [
        "keep: true",
        "set: {permission: {canPublish: true}}",
        "set: {permission: {canPublishSources: [Camera]}}",
        "set: {permission: {canSubscribe: true}}",
        "set: {permission: {canPublishData: true}}",
        "set: {permission: {canUpdateMetadata: true}}",
        "set: {permission: {canSubscribeMetrics: true}}",
        "set: {permission: {canManageAgentSession: true}}",
        "set: {permission: {canPublish: false, canSubscribe: true}}",
    ] {
        for selector in [
            "attributes: [{key: role}]",
            "attributes: [{key: x, absent: true}]",
            "names: [{exact: Alice}]",
            "metadata: [{regex: \"\"}]",
        ] {
            let rule = format!("match: {{{selector}}}, {effect}");
            assert_ne!(decides(&rule, &alice_as("role", "host")), NOTHING, "{rule}");
            assert_eq!(decides(&rule, &who_may_write(alice_as("role", "host"))), NOTHING, "{rule}");
            let trusting = format!("{rule}, trustSelfUpdates: true");
            assert_ne!(decides(&trusting, &who_may_write(alice_as("role", "host"))), NOTHING, "{trusting}");
        }
        let by_identity = format!("match: {{identities: [{{exact: alice}}]}}, {effect}");
        assert_ne!(decides(&by_identity, &who_may_write(alice())), NOTHING, "{by_identity}");
    }
}

#[test]
fn a_rule_that_gives_nothing_may_select_on_what_participants_write() {
    for effect in [
        "remove: {}",
        "set: {permission: {canPublish: false}}",
        "set: {permission: {canSubscribe: false}}",
        "set: {name: Guest}",
        "set: {attributes: {seat: back}}",
        "mute: {sources: [Camera]}",
    ] {
        let rule = format!("match: {{attributes: [{{key: role}}]}}, {effect}");
        assert_ne!(decides(&rule, &who_may_write(alice_as("role", "host"))), NOTHING, "{rule}");
    }
}

#[test]
fn nobody_gets_out_of_a_rule_that_takes_something_by_what_it_may_write_itself() {
    for (selector, effect) in [
        ("identities: [{exact: alice}]", "remove: {}"),
        ("kinds: [Standard]", "set: {permission: {canPublish: false}}"),
        ("kinds: [Standard]", "set: {permission: {canPublishSources: [Camera]}}"),
        ("kinds: [Standard]", "set: {permission: {canSubscribe: false}}"),
        ("kinds: [Standard]", "mute: {}"),
        ("kinds: [Standard]", "mute: {repeat: OncePerTrack}"),
    ] {
        for except in ["attributes: [{key: role}]", "names: [{exact: Alice}]", "metadata: [{regex: \"\"}]"] {
            let rule = format!("match: {{{selector}}}, except: [{{{except}}}], {effect}");
            assert_eq!(decides(&rule, &alice_as("role", "host")), NOTHING, "{rule}");
            assert_ne!(decides(&rule, &who_may_write(alice_as("role", "host"))), NOTHING, "{rule}");
            let trusting = format!("{rule}, trustSelfUpdates: true");
            assert_eq!(decides(&trusting, &who_may_write(alice_as("role", "host"))), NOTHING, "{trusting}");
        }
        let by_identity = format!("match: {{{selector}}}, except: [{{identities: [{{exact: alice}}]}}], {effect}");
        assert_eq!(decides(&by_identity, &who_may_write(alice())), NOTHING, "{by_identity}");
    }
}

#[test]
fn an_exception_that_takes_nothing_away_is_open_to_what_participants_write() {
    let rule = "except: [{attributes: [{key: role}]}], set: {name: Guest}";
    assert_eq!(decides(rule, &who_may_write(alice_as("role", "host"))), NOTHING);
    assert_eq!(decides(rule, &who_may_write(alice())), ["name"]);
    let unmute = "except: [{attributes: [{key: role}]}], mute: {sources: [Camera], muted: false}";
    assert_eq!(decides(unmute, &who_may_write(alice_as("role", "host"))), NOTHING);
}

#[test]
fn nobody_gets_into_a_rule_that_gives_something_by_erasing_what_excepted_it() {
    let rule = "except: [{attributes: [{key: banned}]}], set: {permission: {canPublish: true}}";
    assert_eq!(decides(rule, &alice()), ["permission.canPublish"]);
    assert_eq!(decides(rule, &alice_as("banned", "yes")), NOTHING);
    // It may have been there a moment ago.
    assert_eq!(decides(rule, &who_may_write(alice())), NOTHING);
    assert_eq!(decides(&format!("{rule}, trustSelfUpdates: true"), &who_may_write(alice())), ["permission.canPublish"]);
}

#[test]
fn an_exception_counts_as_possible_only_for_those_it_could_be_about() {
    let rule = "except: [{identities: [{exact: bob}], attributes: [{key: banned}]}], keep: true";
    assert_eq!(decides(rule, &who_may_write(alice())), ["remove"]);
    assert_eq!(decides(rule, &who_may_write(alice_with(|alice| alice.identity = "bob".into()))), NOTHING);
}

#[test]
fn what_was_written_before_the_right_was_revoked_stays_trusted() {
    let rule = "match: {attributes: [{key: role, values: [{exact: host}]}]}, keep: true";
    assert_eq!(decides(rule, &alice_as("role", "host")), ["remove"]);
}

#[test]
fn taking_the_right_to_write_away_makes_what_is_written_count() {
    let hall = Hall::under([
        policy(
            "hosts",
            "{priority: 1, rules: [{name: host, match: {attributes: [{key: role}]}, set: {permission: {canPublishData: true}}}]}",
        ),
        policy("base", "rules: [{name: frozen, set: {permission: {canUpdateMetadata: false, canPublishData: false}}}]"),
    ]);
    let mut participant = who_may_write(alice_as("role", "host"));
    assert_eq!(hall.does(&participant), ["update canPublishData=false canUpdateMetadata=false (frozen)"]);
    participant.permission.can_update_metadata = false;
    participant.permission.can_publish_data = false;
    assert_eq!(hall.does(&participant), ["update canPublishData=true (host)"]);
}
