//! Forwards and moves: which of them the engine sees.

use super::*;
use crate::api::FORWARD_FINALIZER;

/// Puts a forward with these finalizers, maybe deleted.
fn put_forward(
    index: &mut Index,
    generation: i64,
    finalizers: &[&str],
    deleted: bool,
    change: impl FnOnce(&mut Value),
) {
    let mut object = object("livekit/f", generation, forward("overflow"));
    object["metadata"]["finalizers"] = json!(finalizers);
    if deleted {
        object["metadata"]["deletionTimestamp"] = json!("2026-06-01T12:00:00Z");
    }
    change(&mut object["spec"]);
    index.apply::<ParticipantForward>(decoded(object));
}

/// What the engine sees: names, and whether their copies are to end.
fn seen(index: &mut Index) -> Vec<(String, bool)> {
    let catalog = index.build();
    let members = only(&catalog).view.transfers.members().iter();
    members.map(|member| (member.transfer.id.name.to_string(), member.ending)).collect()
}

fn f(ending: bool) -> Vec<(String, bool)> {
    vec![("livekit/f".to_owned(), ending)]
}

#[test]
fn a_forward_that_stops_its_copies_acts_once_its_finalizer_is_on() {
    let mut index = with_server();
    put_forward(&mut index, 1, &[], false, |_| {});
    assert_eq!(seen(&mut index), []);
    assert_eq!(reason(&mut index, Kind::Forward, "livekit/f"), None);
    put_forward(&mut index, 1, &["else/where", FORWARD_FINALIZER], false, |_| {});
    assert_eq!(seen(&mut index), f(false));
    put_forward(&mut index, 2, &[FORWARD_FINALIZER], false, |spec| spec["suspend"] = json!(true));
    assert_eq!(seen(&mut index), []);
}

#[test]
fn where_nothing_is_to_end_no_finalizer_is_awaited() {
    for change in [("deletionPolicy", "Retain"), ("mode", "Audit")] {
        let mut index = with_server();
        put_forward(&mut index, 1, &[], false, |spec| spec[change.0] = json!(change.1));
        assert_eq!(seen(&mut index), f(false), "{change:?}");
    }
}

#[test]
fn a_deleted_forward_ends_its_copies_suspended_or_not_unless_they_are_to_stay() {
    let mut index = with_server();
    put_forward(&mut index, 1, &[FORWARD_FINALIZER], false, |_| {});
    index.build();
    put_forward(&mut index, 1, &[FORWARD_FINALIZER], true, |_| {});
    assert_eq!(seen(&mut index), f(true));
    put_forward(&mut index, 2, &[FORWARD_FINALIZER], true, |spec| spec["suspend"] = json!(true));
    assert_eq!(seen(&mut index), f(true));
    put_forward(&mut index, 3, &[FORWARD_FINALIZER], true, |spec| spec["deletionPolicy"] = json!("Retain"));
    assert_eq!(seen(&mut index), []);
    put_forward(&mut index, 4, &["else/where"], true, |_| {});
    assert_eq!(seen(&mut index), []);
}

#[test]
fn what_a_status_remembers_of_a_forward_is_where_it_leads_no_more() {
    let mut index = with_server();
    let access =
        json!([{"name": "one", "namespaces": {"names": ["a"]}, "rooms": [{"exact": "stage"}, {"prefix": "over"}]}]);
    put::<LiveKitServer>(&mut index, "livekit/main", 2, server_with(access));
    let mut object = object("a/f", 1, forward("overflow"));
    object["metadata"]["finalizers"] = json!([FORWARD_FINALIZER]);
    // Access to the last of them was taken away meanwhile.
    object["status"] = json!({"destinationRooms": ["overflow", "over-2", "elsewhere"]});
    index.apply::<ParticipantForward>(decoded(object));
    let catalog = index.build();
    let transfers = &only(&catalog).view.transfers;
    let member = &transfers.members()[0].transfer;
    let former = transfers.remembered(&member.id).unwrap();
    assert_eq!(*former.destinations, [Arc::from("over-2")]);
    assert!(former.rooms.matches("stage"));
}

#[test]
fn what_is_not_permitted_is_not_seen() {
    let mut index = with_server();
    let access = json!([{"name": "one", "namespaces": {"names": ["a"]}, "rooms": [{"exact": "stage"}]}]);
    put::<LiveKitServer>(&mut index, "livekit/main", 2, server_with(access));
    let mut spec = forward("overflow");
    spec["deletionPolicy"] = json!("Retain");
    put::<ParticipantForward>(&mut index, "a/f", 1, spec.clone());
    assert_eq!(seen(&mut index), []);
    let access = json!([{"name": "one", "namespaces": {"names": ["a"]}, "rooms": [{"glob": "*"}]}]);
    put::<LiveKitServer>(&mut index, "livekit/main", 3, server_with(access));
    assert_eq!(seen(&mut index), [("a/f".to_owned(), false)]);
}

#[test]
fn a_broken_forward_goes_on_as_it_last_was_and_keeps_the_catalog_what_it_is() {
    let mut index = with_server();
    put_forward(&mut index, 1, &[FORWARD_FINALIZER], false, |_| {});
    let before = index.build();
    put_forward(&mut index, 2, &[FORWARD_FINALIZER], false, |spec| spec["source"]["rooms"] = json!([{"regex": "("}]));
    assert!(Arc::ptr_eq(&before, &index.build()));
    assert_eq!(reason(&mut index, Kind::Forward, "livekit/f"), Some(Reason::Invalid));
    // One that never was understood holds back what it might want otherwise.
    put::<ParticipantForward>(&mut index, "livekit/g", 1, forward("stage"));
    let ways = only(&index.build()).view.transfers.ways("overflow", &[]).unwrap();
    assert!(ways.holds_copies);
}
