//! `activeFrom` and `activeUntil`, to the second.

use crate::support::{Given, Hall, alice, at, policy};

const RULES: &str = "rules:
- {name: base, set: {name: Base}, activeUntil: '2026-06-01T13:00:00Z'}
";

fn hall() -> Hall {
    let night = "{priority: 1, rules: [{name: night, activeFrom: '2026-06-01T12:30:00Z', activeUntil: '2026-06-01T14:45:00+02:00', set: {name: Night}}]}";
    Hall::under([policy("base", RULES), policy("night", night)])
}

#[test]
fn a_rule_exists_only_between_its_moments() {
    for (time, does) in [
        ("12:29:59.999999999", Some("update name=Base (base)")),
        ("12:30:00", Some("update name=Night (night)")),
        ("12:44:59.999999999", Some("update name=Night (night)")),
        ("12:45:00", Some("update name=Base (base)")),
        ("12:59:59.999999999", Some("update name=Base (base)")),
        ("13:00:00", None),
    ] {
        let expected: Vec<_> = does.into_iter().collect();
        assert_eq!(hall().does_given(&alice(), &Given::at(time)), expected, "{time}");
    }
}

#[test]
fn the_line_tells_when_it_changes_next() {
    for (time, next) in [
        ("11:00:00", Some("12:30:00")),
        ("12:30:00", Some("12:45:00")),
        ("12:44:59.9", Some("12:45:00")),
        ("12:45:00", Some("13:00:00")),
        ("13:00:00", None),
    ] {
        assert_eq!(hall().line.next_change(at(time)), next.map(at), "{time}");
    }
}

#[test]
fn what_is_not_there_is_not_shadowed_by_it() {
    let before = hall().plan_given(&alice(), &Given::at("12:00:00"));
    assert_eq!(before.actions[0].why()[0].over, []);
    let during = hall().plan_given(&alice(), &Given::at("12:30:00"));
    assert_eq!(during.actions[0].why()[0].over.len(), 1);
}

#[test]
fn moments_of_an_audited_policy_count_too() {
    let audited = "{mode: Audit, rules: [{name: r, set: {name: X}, activeFrom: '2026-06-01T12:10:00Z'}]}";
    let hall = Hall::under([policy("base", RULES), policy("audited", audited)]);
    assert_eq!(hall.line.next_change(at("12:00:00")), Some(at("12:10:00")));
}
