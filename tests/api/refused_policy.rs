use crate::{
    manifest::{Place::*, list},
    refused::{check, refused},
};

#[tokio::test]
async fn spec() {
    check(vec![
        refused(Policy, "serverRef: null", "spec.serverRef", "Required value"),
        refused(Policy, "serverRef: {name: ''}", "spec.serverRef.name", "at least 1 chars long"),
        refused(Policy, "serverRef: {name: Main}", "spec.serverRef.name", "should match"),
        refused(Policy, "serverRef: {namespace: a.b}", "spec.serverRef.namespace", "should match"),
        refused(Policy, "rooms: null", "spec.rooms", "Required value"),
        refused(Policy, "rooms: []", "spec.rooms", "at least 1 items"),
        refused(Policy, "rooms: [lobby]", "spec.rooms[0]", "must be of type object"),
        refused(
            Policy,
            format!("rooms: {}", list(65, |n| format!("{{exact: r{n}}}"))),
            "spec.rooms",
            "must have at most 64 items",
        ),
        refused(Policy, "priority: 1001", "spec.priority", "less than or equal to 1000"),
        refused(Policy, "priority: -1001", "spec.priority", "greater than or equal to -1000"),
        refused(Policy, "mode: Observe", "spec.mode", "supported values: \"Enforce\", \"Audit\""),
        refused(Policy, "mode: audit", "spec.mode", "supported values: \"Enforce\", \"Audit\""),
        refused(Policy, "rules: null", "spec.rules", "Required value"),
        refused(Policy, "rules: []", "spec.rules", "at least 1 items"),
        refused(
            Policy,
            format!("rules: {}", list(65, |n| format!("{{name: r{n}, keep: true}}"))),
            "spec.rules",
            "must have at most 64 items",
        ),
        refused(
            Policy,
            "rules: [{name: a, keep: true}, {name: b, keep: true}, {name: a, mute: {}}]",
            "spec.rules[2]",
            "Duplicate value: {\"name\":\"a\"}",
        ),
        refused(Policy, "room: [{exact: a}]", "spec.room\"", "unknown field"),
    ])
    .await;
}

#[tokio::test]
async fn rules() {
    let at = "spec.rules[0]";
    check(vec![
        refused(Rule, "{name: null, keep: true}", "spec.rules[0].name", "Required value"),
        refused(Rule, "{name: '', keep: true}", "spec.rules[0].name", "at least 1 chars long"),
        refused(Rule, format!("{{name: {}, keep: true}}", "n".repeat(257)), "spec.rules[0].name", "more than 256"),
        refused(Rule, "{}", at, "at least one of set, mute, remove and keep"),
        refused(Rule, "match: {identities: [{exact: a}]}", at, "at least one of set, mute, remove and keep"),
        refused(Rule, "keep: false", "spec.rules[0].keep", "keep can only be true"),
        refused(Rule, "{keep: true, match: {}}", "spec.rules[0].match", "to mean everybody leave match out"),
        refused(Rule, "{keep: true, except: []}", "spec.rules[0].except", "at least 1 items"),
        refused(Rule, "{keep: true, except: [{}]}", "spec.rules[0].except[0]", "give at least one field"),
        refused(
            Rule,
            format!("{{keep: true, except: {}}}", list(9, |n| format!("{{identities: [{{exact: i{n}}}]}}"))),
            "spec.rules[0].except",
            "must have at most 8 items",
        ),
        refused(Rule, "{keep: true, unmute: {}}", "spec.rules[0].unmute", "unknown field"),
    ])
    .await;
}

#[tokio::test]
async fn remove_stands_alone_and_names_somebody() {
    let at = "spec.rules[0]";
    let everybody = "match: {identities: [{glob: \"*\"}]}";
    check(vec![
        refused(Rule, "remove: {}", at, everybody),
        refused(Rule, "{remove: {}, match: {kinds: [Sip]}}", at, everybody),
        refused(Rule, "{remove: {}, except: [{identities: [{exact: a}]}]}", at, everybody),
        refused(
            Rule,
            "{remove: {}, keep: true, match: {names: [{exact: a}]}}",
            at,
            "remove excludes set, mute and keep",
        ),
        refused(Rule, "{remove: {}, mute: {}, match: {names: [{exact: a}]}}", at, "put them into a rule of their own"),
        refused(Rule, "{remove: {}, set: {name: a}, match: {names: [{exact: a}]}}", at, "remove excludes set"),
        refused(
            Rule,
            "{remove: {revokeToken: false}, match: {names: [{exact: a}]}}",
            "spec.rules[0].remove.revokeToken",
            "unknown field",
        ),
    ])
    .await;
}

#[tokio::test]
async fn time() {
    let until = "spec.rules[0].activeUntil";
    check(vec![
        refused(
            Rule,
            "{keep: true, activeFrom: '2026-12-31T00:00:00Z', activeUntil: '2026-12-30T00:00:00Z'}",
            until,
            "must be later than activeFrom",
        ),
        refused(
            Rule,
            "{keep: true, activeFrom: '2026-12-31T00:00:00Z', activeUntil: '2026-12-31T01:00:00+01:00'}",
            until,
            "must be later than activeFrom",
        ),
        refused(Rule, "{keep: true, activeUntil: '2026-12-31'}", until, "must be of type date-time"),
        refused(Rule, "{keep: true, activeUntil: '2026-12-31T00:00:00'}", until, "must be of type date-time"),
        refused(Rule, "{keep: true, activeUntil: '2026-02-30T00:00:00Z'}", until, "must be of type date-time"),
        refused(Rule, "{keep: true, activeUntil: '2026-12-31T00:00:60Z'}", until, "must be of type date-time"),
        refused(Rule, "{keep: true, activeUntil: '2026-12-31t00:00:00z'}", until, "should match"),
        refused(Rule, "{keep: true, activeUntil: '2026-12-31T00:00:00+24:00'}", until, "should match"),
        refused(Rule, "{keep: true, activeUntil: tomorrow}", until, "must be of type date-time"),
        refused(Rule, "{keep: true, activeFrom: 1798675200}", "spec.rules[0].activeFrom", "must be of type date-time"),
    ])
    .await;
}
