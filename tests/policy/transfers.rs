//! Forwards and moves: whom they take, in what order, and whose copies are whose.

use std::{slice::from_ref, sync::Arc};

use usher::{
    api::State,
    policy::{
        ObjectName, Participant, Problem, Reach, Transfer, TransferMember, TransferSet, Unknown, Ways, retired_by,
    },
};

use crate::support::{alice, alice_as, alice_with, granted, noon};

fn name(name: &str) -> ObjectName {
    let (namespace, name) = name.split_once('/').unwrap_or(("livekit", name));
    ObjectName::new(namespace, name)
}

fn of<T: serde::de::DeserializeOwned>(yaml: &str) -> T {
    serde_saphyr::from_str(&format!("serverRef: {{name: main, namespace: livekit}}\n{yaml}")).expect("a spec")
}

/// A forward of the server's own namespace.
pub fn forward(at: &str, yaml: &str) -> TransferMember {
    member(Transfer::forward(name(at), &of(yaml)).expect("compiles"))
}

/// A move of the server's own namespace.
pub fn movement(at: &str, yaml: &str) -> TransferMember {
    member(Transfer::movement(name(at), &of(yaml)).expect("compiles"))
}

fn member(transfer: Transfer) -> TransferMember {
    TransferMember { transfer: transfer.into(), reach: Reach::Home, ending: false }
}

fn of_guest(member: TransferMember, grants: &[(&str, i32)]) -> TransferMember {
    TransferMember { reach: granted(grants), ..member }
}

fn set(members: impl IntoIterator<Item = TransferMember>) -> TransferSet {
    TransferSet::new(members.into_iter().collect(), vec![])
}

fn ways(room: &str, members: impl IntoIterator<Item = TransferMember>) -> Ways {
    set(members).ways(room, &[]).expect("somebody is concerned")
}

/// What is wanted for a participant of the room `stage`: moves, copies, and where no copy is wanted.
fn wishes(members: impl IntoIterator<Item = TransferMember>, participant: &Participant) -> Vec<String> {
    let ways = ways("stage", members);
    let wishes = ways.wishes("stage", participant, noon());
    let moves = wishes.moves.iter().map(|way| format!("{} to {}", way.transfer.id.name, way.transfer.destinations[0]));
    let copies = wishes.copies.iter().map(|(to, by)| format!("copy in {to} by {}", by.id.name));
    let declined = wishes.declined.iter().map(|to| format!("none in {to}"));
    moves.chain(copies).chain(declined).collect()
}

const ALL: &str = "source: {rooms: [{exact: stage}]}\ndestinationRooms: [a, b]";
const HOSTS: &str = "source: {rooms: [{glob: 'st*'}], match: {attributes: [{key: role, values: [{exact: host}]}]}}\n\
                     destinationRooms: [b, c]";

fn copy() -> Participant {
    alice_with(|alice| alice.forwarded = true)
}

#[test]
fn default_kinds_and_states() {
    let source = "source: {rooms: [{exact: stage}]}";
    let forward = || forward("f", &format!("{source}\ndestinationRooms: [a]"));
    let movement = || movement("m", &format!("{source}\ndestinationRoom: a"));
    for (kind, forwarded, moved) in [
        (usher::api::Kind::Standard, true, true),
        (usher::api::Kind::Ingress, true, false),
        (usher::api::Kind::Agent, false, false),
        (usher::api::Kind::Egress, false, false),
        (usher::api::Kind::Sip, false, false),
    ] {
        let participant = alice_with(|alice| alice.kind = Some(kind));
        let takes = |member: TransferMember| member.transfer.takes(&participant, noon()).0;
        assert_eq!((takes(forward()), takes(movement())), (forwarded, moved), "{kind:?}");
    }
    let strange: [fn(&mut Participant); 4] = [
        |alice| alice.state = State::Joining,
        |alice| alice.permission.hidden = true,
        |alice| alice.forwarded = true,
        |alice| alice.kind = None,
    ];
    for change in strange {
        assert_eq!(forward().transfer.takes(&alice_with(change), noon()), (false, None));
    }
}

#[test]
fn what_participants_say_of_themselves_takes_them_nowhere_unless_it_is_trusted() {
    let host = alice_as("role", "host");
    let writing = alice_with(|alice| {
        alice.attributes.clone_from(&host.attributes);
        alice.permission.can_update_metadata = true;
    });
    let trusting = HOSTS.replace("}}\n", "}, trustSelfUpdates: true}\n");
    let takes = |yaml: &str, participant: &Participant| forward("f", yaml).transfer.takes(participant, noon()).0;
    assert!(takes(HOSTS, &host) && !takes(HOSTS, &writing) && takes(&trusting, &writing));
    // Nor does it free them from an exception that is made for some.
    let but =
        "source: {rooms: [{exact: stage}], except: [{attributes: [{key: role, absent: true}]}]}\ndestinationRooms: [a]";
    assert!(takes(but, &host) && !takes(but, &writing) && !takes(but, &alice()));
}

#[test]
fn each_copy_is_wanted_once_by_the_first() {
    let host = alice_as("role", "host");
    assert_eq!(
        wishes([forward("g", HOSTS), forward("f", ALL)], &host),
        ["copy in a by livekit/f", "copy in b by livekit/f", "copy in c by livekit/g"]
    );
    assert_eq!(
        wishes([forward("g", HOSTS), forward("f", ALL)], &alice()),
        ["copy in a by livekit/f", "copy in b by livekit/f", "none in c"]
    );
    // The server's own namespace first, then namespaces.
    let everywhere = [("*", 0)];
    let guests = [of_guest(forward("b/a", ALL), &everywhere), of_guest(forward("a/z", ALL), &everywhere)];
    assert_eq!(wishes(guests.clone(), &host), ["copy in a by a/z", "copy in b by a/z"]);
    let home = forward("z/z", ALL);
    assert_eq!(wishes(guests.into_iter().chain([home]), &host), ["copy in a by z/z", "copy in b by z/z"]);
}

#[test]
fn a_room_is_no_destination_of_itself() {
    let all = "source: {rooms: [{glob: '*'}]}\ndestinationRooms: [a, stage]";
    assert_eq!(wishes([forward("f", all)], &alice()), ["copy in a by livekit/f"]);
    let to_itself = "source: {rooms: [{glob: '*'}]}\ndestinationRoom: stage";
    let ways = ways("stage", [movement("m", to_itself)]);
    assert!(ways.moves.is_empty() && ways.receives);
}

#[test]
fn moves_stand_in_order_and_audited_ones_do_not_count() {
    let to = |room: &str| format!("source: {{rooms: [{{exact: stage}}]}}\ndestinationRoom: {room}");
    let audit = movement("a", &format!("{}\nmode: Audit", to("x")));
    let guest = of_guest(movement("a/a", &to("y")), &[("*", 0)]);
    assert_eq!(
        wishes([guest, movement("m", &to("z")), audit, movement("b", &to("w"))], &alice()),
        ["livekit/b to w", "livekit/m to z", "a/a to y"]
    );
}

#[test]
fn rooms_that_nothing_concerns_have_no_ways() {
    let members = [forward("f", ALL), movement("m", "source: {rooms: [{prefix: lobby-}]}\ndestinationRoom: hall")];
    let set = set(members);
    for room in ["stage", "a", "b", "lobby-1", "hall"] {
        assert!(set.ways(room, &[]).is_some(), "{room}");
    }
    for room in ["c", "lobby", "hall-1", ""] {
        assert!(set.ways(room, &[]).is_none(), "{room}");
    }
}

#[test]
fn nobody_is_taken_from_where_access_does_not_reach() {
    let all = "source: {rooms: [{glob: '*'}]}\ndestinationRooms: [x]";
    let set = set([of_guest(forward("a/f", all), &[("team-*", 0), ("x", 0)])]);
    assert_eq!(set.ways("team-1", &[]).expect("granted").forwards.len(), 1);
    assert!(set.ways("stage", &[]).is_none());
}

#[test]
fn what_is_not_understood_holds_back_moves_of_lower_place_and_the_end_of_copies() {
    let to = "source: {rooms: [{exact: stage}]}\ndestinationRoom: x";
    let held = |unknown: &str, reach: Reach, priority| {
        let unknown = Unknown { name: name(unknown), priority, reach };
        let set = TransferSet::new(vec![movement("m", to), forward("f", ALL)], vec![unknown]);
        let ways = set.ways("stage", &[]).expect("concerned");
        (ways.moves[0].waits, ways.holds_copies)
    };
    assert_eq!(held("a", Reach::Home, Some(0)), (true, true));
    assert_eq!(held("z", Reach::Home, Some(0)), (false, true));
    assert_eq!(held("z", Reach::Home, None), (true, true));
    assert_eq!(held("a/a", granted(&[("*", 0)]), None), (false, true));
    assert_eq!(held("a/a", granted(&[("other", 0)]), None), (false, false));
}

/// Which forward a copy in the room `a` has to go for.
fn retired(members: &[TransferMember], former: &[Arc<Transfer>], sources: &[(&str, &Participant)]) -> Option<String> {
    let set = set(members.iter().cloned());
    let ways = set.ways("a", former)?;
    retired_by("a", &ways, sources, noon()).map(|by| by.id.name.name.to_string())
}

#[test]
fn a_forward_owns_the_copies_whose_identity_is_in_its_source_rooms() {
    let hosts = forward("f", &HOSTS.replace("[b, c]", "[a]"));
    let (plain, host) = (alice(), alice_as("role", "host"));
    assert_eq!(retired(from_ref(&hosts), &[], &[("stage", &plain)]).as_deref(), Some("f"));
    assert_eq!(retired(from_ref(&hosts), &[], &[("stage", &host)]), None);
    assert_eq!(retired(from_ref(&hosts), &[], &[("stage", &plain), ("st-2", &host)]), None);
    // Somewhere else, or nowhere: it is somebody else's, or LiveKit ends it.
    assert_eq!(retired(from_ref(&hosts), &[], &[("elsewhere", &plain)]), None);
    assert_eq!(retired(from_ref(&hosts), &[], &[]), None);
    // A copy is no source where copies are not named.
    assert_eq!(retired(from_ref(&hosts), &[], &[("stage", &copy())]), None);
    let including = "source: {rooms: [{exact: stage}], match: {include: [Forwarded], identities: [{exact: bob}]}}\n\
                     destinationRooms: [a]";
    assert_eq!(retired(&[forward("f", including)], &[], &[("stage", &copy())]).as_deref(), Some("f"));
    // Who only reports owns nothing, and wants nothing.
    let audit = forward("f", &format!("{}\nmode: Audit", HOSTS.replace("[b, c]", "[a]")));
    assert_eq!(retired(&[audit], &[], &[("stage", &plain)]), None);
}

#[test]
fn what_another_forward_wants_stays() {
    let hosts = forward("f", &HOSTS.replace("[b, c]", "[a]"));
    let plain = alice();
    assert_eq!(retired(&[hosts.clone(), forward("g", ALL)], &[], &[("stage", &plain)]), None);
    let elsewhere = forward("g", "source: {rooms: [{exact: side}]}\ndestinationRooms: [a]");
    assert_eq!(retired(&[hosts.clone(), elsewhere.clone()], &[], &[("stage", &plain), ("side", &plain)]), None);
    assert_eq!(retired(&[hosts, elsewhere], &[], &[("stage", &plain)]).as_deref(), Some("f"));
}

#[test]
fn ended_and_earlier_versions_own_their_copies_until_those_are_gone() {
    let plain = alice();
    let mut ending = forward("f", ALL);
    ending.ending = true;
    assert_eq!(retired(&[ending], &[], &[("stage", &plain)]).as_deref(), Some("f"));
    let (before, after) = (forward("f", ALL), forward("f", &ALL.replace("[a, b]", "[b]")));
    assert_eq!(retired(from_ref(&after), &[], &[("stage", &plain)]), None);
    assert_eq!(retired(&[after], &[Arc::clone(&before.transfer)], &[("stage", &plain)]).as_deref(), Some("f"));
    assert_eq!(retired(&[forward("f", ALL)], &[before.transfer], &[("stage", &plain)]), None);
}

#[test]
fn what_is_wrong_is_named() {
    let shown = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    let yaml =
        "source: {rooms: [{exact: a}, {regex: '('}], match: {identities: [{glob: '[a'}]}}\ndestinationRooms: [b, a]";
    let problems = shown(Transfer::forward(name("f"), &of(yaml)).expect_err("it is wrong"));
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].starts_with("spec.destinationRooms[1] is a source room too"), "{problems:?}");
    assert!(problems[1].starts_with("spec.source.rooms[1].regex"), "{problems:?}");
    let yaml = "source: {rooms: [{exact: a}]}\ndestinationRoom: a";
    let problems = shown(Transfer::movement(name("m"), &of(yaml)).expect_err("it is wrong"));
    assert_eq!(problems, ["spec.destinationRoom is a source room too: remove it from one of the two"]);
}
