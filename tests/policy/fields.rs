//! Permission bits, name, metadata and attributes: only what is declared, only what differs, in one call.

use usher::{
    api::Source,
    policy::{Action, Flag, Participant, Permission, Sources, Update},
};

use crate::support::{Hall, alice, alice_as, alice_with, policy};

fn hall(effect: &str) -> Hall {
    Hall::under([policy("test", &format!("rules: [{{name: r, {effect}}}]"))])
}

#[test]
fn each_flag_is_set_and_cleared() {
    for flag in Flag::ALL {
        for wanted in [true, false] {
            let hall = hall(&format!("set: {{permission: {{{}: {wanted}}}}}", flag.name()));
            let mut participant = alice();
            *flag.of_mut(&mut participant.permission) = !wanted;
            assert_eq!(hall.does(&participant), [format!("update {}={wanted} (r)", flag.name())]);
            *flag.of_mut(&mut participant.permission) = wanted;
            assert_eq!(hall.does(&participant), [""; 0]);
        }
    }
}

#[test]
fn the_rest_of_the_permission_is_sent_back_as_it_was() {
    let everything = Permission {
        can_subscribe: true,
        can_publish: true,
        sources: Sources::from_numbers(&[2, 0, 9]),
        can_publish_data: true,
        can_update_metadata: true,
        can_subscribe_metrics: true,
        can_manage_agent_session: true,
        hidden: true,
        recorder: true,
        agent: true,
    };
    let nothing = Permission { sources: Sources::of(Source::Camera), ..Permission::default() };
    for (permission, wanted) in [(everything, false), (nothing, true)] {
        let hall = hall(&format!("match: {{include: [Hidden]}}, set: {{permission: {{canSubscribe: {wanted}}}}}"));
        let participant = alice_with(|alice| alice.permission = permission);
        let [Action::Update(update)] = &hall.plan(&participant).actions[..] else { panic!("one update") };
        assert_eq!(update.permission, Some(Permission { can_subscribe: wanted, ..permission }));
    }
}

#[test]
fn name_and_metadata_are_set_when_they_differ() {
    let hall = hall("set: {name: Guest, metadata: '{\"role\":\"audience\"}'}");
    assert_eq!(hall.does(&alice()), ["update name=Guest metadata={\"role\":\"audience\"} (r)"]);
    let half = alice_with(|alice| alice.name = "Guest".into());
    assert_eq!(hall.does(&half), ["update metadata={\"role\":\"audience\"} (r)"]);
    let whole = alice_with(|alice| (alice.name, alice.metadata) = ("Guest".into(), "{\"role\":\"audience\"}".into()));
    assert_eq!(hall.does(&whole), [""; 0]);
}

#[test]
fn only_attributes_that_differ_are_sent() {
    let hall = hall("set: {attributes: {seat: audience, row: '1'}, removeAttributes: [raised-hand, badge]}");
    let participant = alice_with(|alice| {
        alice.attributes = [("row", "1"), ("seat", "front"), ("badge", "x"), ("other", "y")]
            .map(|(k, v)| (k.into(), v.into()))
            .into_iter()
            .collect();
    });
    assert_eq!(hall.does(&participant), ["update seat=audience -badge (r)"]);
}

#[test]
fn several_changes_are_one_call() {
    let hall = hall(
        "set: {permission: {canPublish: false, canSubscribe: false}, name: Guest, metadata: m, attributes: {a: b}, removeAttributes: [role]}",
    );
    assert_eq!(
        hall.does(&alice_as("role", "host")),
        ["update canPublish=nothing canSubscribe=false name=Guest metadata=m a=b -role (r)"]
    );
}

#[test]
fn changes_of_several_policies_are_one_call_too() {
    let hall = Hall::under([
        policy("a", "rules: [{name: name, set: {name: Guest}}]"),
        policy("b", "rules: [{name: data, set: {permission: {canPublishData: false}}}]"),
    ]);
    assert_eq!(hall.does(&alice()), ["update canPublishData=false name=Guest (data, name)"]);
}

#[test]
fn an_update_is_the_whole_request() {
    let hall =
        hall("set: {permission: {canPublishSources: [Camera]}, attributes: {seat: '7'}, removeAttributes: [role]}");
    let participant = alice_as("role", "host");
    let expected = Update {
        permission: Some(Permission { sources: Sources::of(Source::Camera), ..participant.permission }),
        attributes: vec![("seat".into(), Some("7".into())), ("role".into(), None)],
        why: hall.decisions(&participant),
        ..Update::default()
    };
    let Action::Update(mut update) = hall.plan(&participant).actions.remove(0) else { panic!("an update") };
    update.why.sort_by(|a, b| a.field.cmp(&b.field));
    assert_eq!(update, expected);
}

#[test]
fn nobody_else_is_touched() {
    let hall = hall("set: {permission: {canPublish: false}, name: Guest}, mute: {}");
    for change in [
        (|alice| alice.kind = Some(usher::api::Kind::Agent)) as fn(&mut Participant),
        |alice| alice.kind = None,
        |alice| alice.state = usher::api::State::Joined,
        |alice| alice.permission.hidden = true,
        |alice| alice.forwarded = true,
    ] {
        assert_eq!(hall.does(&alice_with(change)), [""; 0]);
    }
}
