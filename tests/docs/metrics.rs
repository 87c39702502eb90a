//! The table of metrics names all that the operator exposes, with their types and labels.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use usher::{
    livekit::{Method, Observation},
    metrics::Metrics,
    policy::ObjectName,
};

use crate::table;

/// Metrics of which each has a value: families without one are not written.
fn exposed() -> String {
    let metrics = Arc::new(Metrics::new());
    let server = ObjectName::new("livekit", "main");
    let call = Observation { method: Method::ListRooms, code: "ok", duration: Duration::from_millis(1) };
    metrics.request(&server, &call);
    metrics.enforced("join", Duration::from_millis(1));
    metrics.webhook(&server, "participant_joined");
    metrics.webhook_rejected("signature");
    metrics.webhook_age(1_700_000_000, jiff::Timestamp::UNIX_EPOCH);
    let _series = metrics.server(&server);
    metrics.catalog_changed(jiff::Timestamp::UNIX_EPOCH);
    metrics.resynced(&server, jiff::Timestamp::UNIX_EPOCH);
    metrics.encode().unwrap()
}

/// What the operator exposes: name to type and labels.
fn found() -> BTreeMap<String, (String, String)> {
    let text = exposed();
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) else { continue };
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            "histogram" => "_count",
            _ => "",
        };
        let series = format!("{name}{suffix}");
        let value = text.lines().find(|line| line.starts_with(&format!("{series}{{")));
        let labels = value.and_then(|line| line.split_once('{')?.1.split_once('}')).map_or("", |(labels, _)| labels);
        let labels: Vec<_> = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0)).collect();
        let shown = if kind == "histogram" { name.to_owned() } else { series };
        found.insert(shown, (kind.to_owned(), labels.join(", ")));
    }
    found
}

#[test]
fn each_metric_has_a_row() {
    let rows = table("Metrics");
    let documented: BTreeMap<_, _> =
        rows.iter().map(|row| (row[0].clone(), (row[1].clone(), row[2].clone()))).collect();
    assert_eq!(documented, found(), "docs/operations.md against src/metrics.rs");
    assert!(rows.iter().all(|row| row.len() == 4 && !row[3].is_empty()), "{rows:?}");
}
