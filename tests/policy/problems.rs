//! What cannot be compiled: every problem at once, each with its field and the remedy.

use crate::support::problems;

fn rule(rule: &str) -> Vec<String> {
    problems(&format!("rules: [{{name: r, {rule}}}]"))
}

/// The only problem of a rule.
fn problem(text: &str) -> String {
    let mut all = rule(text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn all_problems_are_told_at_once() {
    let all = problems(
        "{rooms: [{exact: a}, {regex: '('}], rules: [
           {name: a, match: {identities: [{glob: '[z-a]'}], attributes: [{key: k, values: [{regex: '['}]}]}, set: {name: X}},
           {name: b, remove: {}},
           {name: c, set: {attributes: {lk.x: a}}}]}",
    );
    let fields: Vec<_> = all.iter().map(|problem| problem.split_once(' ').unwrap().0).collect();
    assert_eq!(
        fields,
        [
            "spec.rooms[1].regex",
            "spec.rules[0].match.identities[0].glob",
            "spec.rules[0].match.attributes[0].values[0].regex",
            "spec.rules[1].remove",
            "spec.rules[2].set.attributes.lk.x",
        ]
    );
}

#[test]
fn a_rule_needs_an_effect() {
    for nothing in ["trustSelfUpdates: true", "set: {}", "set: {permission: {}}", "keep: false"] {
        assert_eq!(problem(nothing), "spec.rules[0] has no effect: add set, mute, keep: true or remove: {}");
    }
}

#[test]
fn remove_excludes_all_other_effects() {
    for other in ["keep: true", "set: {name: X}", "mute: {}"] {
        assert_eq!(
            problem(&format!("match: {{identities: [{{exact: a}}]}}, remove: {{}}, {other}")),
            "spec.rules[0].remove excludes keep, set and mute: move them to a rule of their own"
        );
    }
}

#[test]
fn remove_needs_somebody() {
    for selector in
        ["kinds: [Standard]", "states: [Active]", "publishing: [Camera]", "joinedFor: 1h", "include: [Hidden]"]
    {
        assert_eq!(
            problem(&format!("match: {{{selector}}}, remove: {{}}")),
            "spec.rules[0].remove needs identities, names, metadata or attributes in match; for everybody write identities: [{glob: \"*\"}]"
        );
    }
}

#[test]
fn sources_contradict_can_publish_false() {
    assert_eq!(
        problem("set: {permission: {canPublish: false, canPublishSources: [Camera]}}"),
        "spec.rules[0].set.permission.canPublishSources contradicts canPublish: false: remove one of the two"
    );
}

#[test]
fn unmuting_is_never_repeated() {
    let problem = problem("mute: {muted: false, repeat: Always}");
    assert!(problem.starts_with("spec.rules[0].mute.repeat "), "{problem}");
}

#[test]
fn what_livekit_cannot_clear_is_not_empty() {
    for (set, field) in [("name: ''", "name"), ("metadata: ''", "metadata"), ("attributes: {a: ''}", "attributes.a")] {
        let problem = problem(&format!("set: {{{set}}}"));
        assert!(problem.starts_with(&format!("spec.rules[0].set.{field} is empty: ")), "{problem}");
    }
}

#[test]
fn sizes_are_counted_in_bytes() {
    let ok = "ü".repeat(128);
    for (set, field) in [
        (format!("name: {ok}x"), "name has 257 bytes, at most 256 are allowed: shorten it"),
        (format!("attributes: {{a: {ok}x}}"), "attributes.a has 257 bytes, at most 256 are allowed: shorten it"),
        (
            format!("removeAttributes: [{ok}x]"),
            "removeAttributes[0] has 257 bytes, at most 256 are allowed: shorten it",
        ),
        (
            format!("metadata: {}", "x".repeat(32_769)),
            "metadata has 32769 bytes, at most 32768 are allowed: shorten it",
        ),
    ] {
        assert_eq!(problem(&format!("set: {{{set}}}")), format!("spec.rules[0].set.{field}"));
    }
    let fits = format!(
        "rules: [{{name: r, set: {{name: {ok}, metadata: {}, attributes: {{{ok}: {ok}}}}}}}]",
        "x".repeat(32_768)
    );
    crate::support::policy("fits", &fits);
}

#[test]
fn what_livekit_writes_itself_is_reserved() {
    for key in ["lk.agent.state", "sip.callID", "ingress.x"] {
        for set in [format!("attributes: {{{key}: x}}"), format!("removeAttributes: [{key}]")] {
            let problem = problem(&format!("set: {{{set}}}"));
            assert!(problem.contains("which is reserved for LiveKit: choose another key"), "{problem}");
        }
    }
    crate::support::policy("fits", "rules: [{name: r, set: {attributes: {lkx: a, sip: a, x.lk.: a}}}]");
}

#[test]
fn an_attribute_is_set_or_removed() {
    assert_eq!(
        problem("set: {attributes: {a: x}, removeAttributes: [b, a]}"),
        "spec.rules[0].set.removeAttributes[1] names a, which attributes sets: keep one of the two"
    );
}

#[test]
fn an_attribute_is_absent_or_has_a_value() {
    assert_eq!(
        problem("match: {attributes: [{key: a, values: [{exact: x}], absent: true}]}, keep: true"),
        "spec.rules[0].match.attributes[0].absent contradicts values: keep one of the two"
    );
}

#[test]
fn an_exception_does_not_take_everybody() {
    for everybody in ["{}", "{include: [Hidden, Forwarded]}"] {
        assert_eq!(
            problem(&format!("keep: true, except: [{{identities: [{{exact: a}}]}}, {everybody}]")),
            "spec.rules[0].except[1] would take everybody out: name whom it is for"
        );
    }
}

#[test]
fn a_rule_ends_after_it_begins() {
    for until in ["2026-06-01T12:00:00Z", "2026-06-01T13:00:00+02:00"] {
        assert_eq!(
            problem(&format!("keep: true, activeFrom: '2026-06-01T12:00:00Z', activeUntil: '{until}'")),
            "spec.rules[0].activeUntil must be later than activeFrom"
        );
    }
}
