//! Alerts and dashboard ask for nothing that the operator does not have.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;
use usher::{
    livekit::{Method, Observation},
    metrics::Metrics,
    policy::ObjectName,
};
use usher_testkit::Release;

/// The series that the operator has: names with their labels.
fn series() -> BTreeMap<String, BTreeSet<String>> {
    let metrics = Metrics::new();
    let server = ObjectName::new("a", "main");
    let call = Observation { method: Method::ListRooms, code: "ok", duration: Duration::ZERO };
    metrics.request(&server, &call);
    metrics.enforced("join", Duration::ZERO);
    metrics.webhook(&server, "room_started");
    metrics.webhook_rejected("no_token");
    metrics.resynced(&server, jiff::Timestamp::now());
    let _ = metrics.server(&server);
    let text = metrics.encode().expect("metrics can be written");
    let mut series: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_at(line.find(['{', ' ']).expect("a series has a value"));
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(labels, _)| labels);
        let labels = labels.split(',').filter_map(|label| label.split_once('=')).map(|(label, _)| label.to_owned());
        series.entry(name.to_owned()).or_default().extend(labels);
    }
    series
}

/// What an expression asks for.
struct Asked {
    /// Names with the labels that are matched.
    series: Vec<(String, Vec<String>)>,
    /// Labels by which is grouped.
    groups: Vec<String>,
}

impl Asked {
    fn of(expression: &str) -> Self {
        let brackets = |open, close| expression.matches(open).count() == expression.matches(close).count();
        assert!(brackets('(', ')') && brackets('[', ']') && brackets('{', '}'), "brackets: {expression}");
        let series = expression.match_indices("usher_").map(|(at, _)| {
            let rest = &expression[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            let matched =
                rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(matched, _)| matched);
            let labels = matched.split(',').filter_map(|matcher| matcher.split_once(['=', '!']));
            (name.to_owned(), labels.map(|(label, _)| label.trim().to_owned()).collect())
        });
        let grouped = expression.split(" by (").skip(1).filter_map(|rest| rest.split_once(')'));
        let groups = grouped.flat_map(|(labels, _)| labels.split(',').map(|label| label.trim().to_owned()));
        Self { series: series.collect(), groups: groups.collect() }
    }
}

/// Checks expressions, and answers which metrics they ask for.
fn check(expressions: &[String]) -> BTreeSet<String> {
    let known = series();
    let mut names = BTreeSet::new();
    for expression in expressions {
        let asked = Asked::of(expression);
        assert!(!asked.series.is_empty(), "{expression} asks for nothing");
        let mut labels = BTreeSet::new();
        for (name, matched) in asked.series {
            let has = known.get(&name).unwrap_or_else(|| panic!("there is no {name}: {expression}"));
            assert!(matched.iter().all(|label| has.contains(label)), "{name} has only {has:?}: {expression}");
            labels.extend(has.clone());
            names.insert(name);
        }
        assert!(asked.groups.iter().all(|label| labels.contains(label)), "not among {labels:?}: {expression}");
    }
    names
}

fn read(file: &str) -> String {
    std::fs::read_to_string(Release::chart().join("files").join(file)).expect("it is there")
}

#[test]
fn alerts_ask_for_metrics_and_labels_that_exist() {
    let alerts: Vec<Value> = serde_saphyr::from_str(&read("alerts.yaml")).expect("it is YAML");
    assert!(alerts.len() > 5);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for alert in &alerts {
        let name = text(&alert["alert"]);
        assert!(!text(&alert["annotations"]["summary"]).is_empty(), "{name} says nothing");
        assert!(["critical", "warning", "info"].contains(&text(&alert["labels"]["severity"]).as_str()), "{name}");
    }
    check(&alerts.iter().map(|alert| text(&alert["expr"])).collect::<Vec<_>>());
}

#[test]
fn the_dashboard_shows_metrics_that_exist() {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("a dashboard has panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("a panel has targets"));
    let text = |target: &Value| target["expr"].as_str().expect("a target has an expression").to_owned();
    let shown = check(&targets.map(text).collect::<Vec<_>>());
    let base = |name: &str| {
        let name = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        name.to_owned()
    };
    let shown: BTreeSet<String> = shown.iter().map(|name| base(name)).collect();
    let all: BTreeSet<String> =
        series().keys().map(|name| base(name)).filter(|name| name != "usher_build_info").collect();
    let missing: Vec<&String> = all.difference(&shown).collect();
    assert!(missing.is_empty(), "the dashboard lacks {missing:?}");
}

#[test]
fn what_does_not_exist_is_found() {
    for wrong in
        ["sum(usher_no_such_metric)", "sum by (room) (usher_leader)", "usher_leader{server=\"a\"}", "sum(usher_leader"]
    {
        assert!(std::panic::catch_unwind(|| check(&[wrong.to_owned()])).is_err(), "{wrong}");
    }
}
