//! Which policies speak in which room.

use usher::policy::{Member, PolicySet};

use crate::support::{guest, policy};

const RULES: &str = "rules: [{name: r, set: {name: X}}]";

fn for_rooms(name: &str, rooms: &str) -> Member {
    policy(name, &format!("{{rooms: [{rooms}], {RULES}}}"))
}

/// The policies that speak in a room, in order.
fn speak(set: &PolicySet, room: &str) -> Vec<String> {
    let line = set.line(room).map(|line| line.enforced).unwrap_or_default();
    line.iter().map(|standing| standing.policy.name.name.to_string()).collect()
}

#[test]
fn rooms_are_matched_by_every_pattern() {
    let set = PolicySet::new(
        vec![
            for_rooms("exact", "{exact: webinar-1}"),
            for_rooms("prefix", "{prefix: webinar-}"),
            for_rooms("glob", "{glob: 'webinar-?'}"),
            for_rooms("regex", "{regex: 'web.*-[0-9]+'}"),
            for_rooms("all", "{glob: '*'}"),
            for_rooms("list", "{exact: hall}, {prefix: web}"),
            for_rooms("other", "{exact: webinar}"),
        ],
        vec![],
    );
    assert_eq!(speak(&set, "webinar-1"), ["all", "exact", "glob", "list", "prefix", "regex"]);
    assert_eq!(speak(&set, "webinar-12"), ["all", "list", "prefix", "regex"]);
    assert_eq!(speak(&set, "hall"), ["all", "list"]);
    assert_eq!(speak(&set, ""), ["all"]);
}

#[test]
fn names_of_rooms_are_characters_and_not_bytes() {
    let set = PolicySet::new(vec![for_rooms("ü", "{prefix: ü}"), for_rooms("bytes", "{prefix: abc}")], vec![]);
    assert_eq!(speak(&set, "über"), ["ü"]);
    assert_eq!(speak(&set, "aüb"), [""; 0]);
}

#[test]
fn a_room_that_no_policy_is_for_has_no_line() {
    let set = PolicySet::new(
        vec![
            for_rooms("other", "{exact: other}"),
            guest("team/a", &[("team-*", 0)], RULES),
            policy("suspended", &format!("{{suspend: true, {RULES}}}")),
        ],
        vec![],
    );
    assert!(set.line("hall").is_none());
    assert!(set.line("team-1").is_some());
}

#[test]
fn the_order_in_which_policies_arrive_is_irrelevant() {
    let mut members = vec![
        for_rooms("a", "{glob: '*'}"),
        policy("b", &format!("{{priority: 3, {RULES}}}")),
        guest("team/c", &[("*", 9)], &format!("{{priority: 5, {RULES}}}")),
        for_rooms("d", "{exact: hall}"),
    ];
    let expected = ["c", "b", "a", "d"];
    for _ in 0..members.len() {
        members.rotate_left(1);
        assert_eq!(speak(&PolicySet::new(members.clone(), vec![]), "hall"), expected);
        members.reverse();
        assert_eq!(speak(&PolicySet::new(members.clone(), vec![]), "hall"), expected);
    }
}
