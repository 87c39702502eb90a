use crate::{
    manifest::{Place::*, list},
    refused::{check, refused},
};

const ONE: &str = "give exactly one of exact, prefix, glob and regex";

#[tokio::test]
async fn string_match_is_exactly_one() {
    let places = ["identities", "names", "metadata"];
    let mut cases = vec![
        refused(Policy, "rooms: [{}]", "spec.rooms[0]", ONE),
        refused(Policy, "rooms: [{exact: a, prefix: b}]", "spec.rooms[0]", "several entries of the list"),
        refused(Policy, "rooms: [{exact: a}, {exact: ''}]", "spec.rooms[1].exact", "at least 1 chars long"),
        refused(Policy, "rooms: [{suffix: a}]", "spec.rooms[0].suffix", "unknown field"),
        refused(Policy, format!("rooms: [{{regex: {}}}]", "a".repeat(257)), "spec.rooms[0].regex", "more than 256"),
        refused(Access, "rooms: [{glob: a, regex: a}]", "spec.access[0].rooms[0]", ONE),
        refused(Forward, "source: {rooms: [{}]}", "spec.source.rooms[0]", ONE),
        refused(Move, "source: {rooms: [{exact: a, glob: b}]}", "spec.source.rooms[0]", ONE),
        refused(Match, "attributes: [{key: a, values: [{}]}]", "match.attributes[0].values[0]", ONE),
        refused(Match, "attributes: [{key: a, values: [{exact: a, regex: b}]}]", "match.attributes[0].values[0]", ONE),
        refused(
            Rule,
            "{keep: true, except: [{attributes: [{key: a, values: [{}]}]}]}",
            "spec.rules[0].except[0].attributes[0].values[0]",
            ONE,
        ),
        // The one place where the budget leaves only the bare bound.
        refused(
            Rule,
            "{keep: true, except: [{attributes: [{key: a, values: [{exact: a, glob: b}]}]}]}",
            "spec.rules[0].except[0].attributes[0].values[0]",
            "must have at most 1 item",
        ),
    ];
    for field in places {
        let one = format!("{field}: [{{exact: a}}, {{exact: a, regex: b}}]");
        cases.push(refused(Match, &one, &format!("spec.rules[0].match.{field}[1]"), ONE));
        let except = format!("{{keep: true, except: [{{{field}: [{{}}]}}]}}");
        cases.push(refused(Rule, except, &format!("spec.rules[0].except[0].{field}[0]"), ONE));
        let source = format!("source: {{match: {{{field}: [{{}}]}}}}");
        cases.push(refused(Forward, source, &format!("spec.source.match.{field}[0]"), ONE));
        cases.push(refused(Match, format!("{field}: []"), &format!("match.{field}"), "at least 1 items"));
        let many = format!("{field}: {}", list(129, |n| format!("{{exact: a{n}}}")));
        cases.push(refused(Match, many, &format!("match.{field}"), "must have at most 128 items"));
    }
    check(cases).await;
}

#[tokio::test]
async fn attributes() {
    let at = "spec.rules[0].match.attributes[0]";
    check(vec![
        refused(Match, "attributes: []", "spec.rules[0].match.attributes", "at least 1 items"),
        refused(Match, "attributes: [{values: [{exact: a}]}]", "match.attributes[0].key", "Required value"),
        refused(Match, "attributes: [{key: ''}]", "match.attributes[0].key", "at least 1 chars long"),
        refused(Match, "attributes: [{key: a, absent: true, values: [{exact: a}]}]", at, "not both"),
        refused(Match, "attributes: [{key: a, absent: false}]", "match.attributes[0].absent", "can only be true"),
        refused(Match, "attributes: [{key: a, values: []}]", "match.attributes[0].values", "at least 1 items"),
        refused(
            Match,
            format!("attributes: {}", list(33, |n| format!("{{key: k{n}}}"))),
            "spec.rules[0].match.attributes",
            "must have at most 32 items",
        ),
        refused(Match, "attributes: role", "spec.rules[0].match.attributes", "must be of type array"),
        refused(
            Rule,
            "{keep: true, except: [{attributes: [{key: a, absent: true, values: [{exact: a}]}]}]}",
            "spec.rules[0].except[0].attributes[0]",
            "not both",
        ),
    ])
    .await;
}

#[tokio::test]
async fn kinds_states_sources() {
    check(vec![
        refused(Match, "kinds: [Standart]", "spec.rules[0].match.kinds[0]", "\"Standard\", \"Ingress\", \"Egress\""),
        refused(Match, "kinds: [STANDARD]", "spec.rules[0].match.kinds[0]", "supported values: \"Standard\""),
        refused(Match, "kinds: []", "spec.rules[0].match.kinds", "at least 1 items"),
        refused(Match, "kinds: [Sip, Agent, Sip]", "spec.rules[0].match.kinds[2]", "Duplicate value"),
        refused(Match, "kinds: Sip", "spec.rules[0].match.kinds", "must be of type array"),
        refused(Match, "states: [Gone]", "spec.rules[0].match.states[0]", "\"Joining\", \"Joined\", \"Active\""),
        refused(Match, "states: []", "spec.rules[0].match.states", "at least 1 items"),
        refused(Match, "publishing: [Mic]", "spec.rules[0].match.publishing[0]", "\"Camera\", \"Microphone\""),
        refused(Match, "publishing: [Camera, Camera]", "spec.rules[0].match.publishing[1]", "Duplicate value"),
        refused(Match, "include: [Agents]", "spec.rules[0].match.include[0]", "\"Hidden\", \"Forwarded\""),
        refused(Match, "joinedFor: 5 minutes", "spec.rules[0].match.joinedFor", "(h|m|s|ms)"),
        refused(Match, "joinedFor: 1d", "spec.rules[0].match.joinedFor", "(h|m|s|ms)"),
    ])
    .await;
}
