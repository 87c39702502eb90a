//! Names and labels keep Prometheus' conventions, as `promtool check metrics` knows them.

use super::*;

/// Every metric with a series.
fn text() -> String {
    let metrics = Arc::new(Metrics::new());
    let server = ObjectName::new("livekit", "main");
    let duration = Duration::from_millis(3);
    let call = Observation { method: crate::livekit::Method::ListRooms, code: "ok", duration };
    metrics.request(&server, &call);
    metrics.enforced("join", duration);
    metrics.webhook(&server, "participant_joined");
    metrics.webhook_rejected("signature");
    metrics.webhook_age(1_700_000_000, jiff::Timestamp::from_second(1_700_000_003).unwrap());
    let _series = metrics.server(&server);
    metrics.resynced(&server, jiff::Timestamp::UNIX_EPOCH);
    metrics.catalog_changed(jiff::Timestamp::UNIX_EPOCH);
    metrics.encode().unwrap()
}

/// The lines that begin so, each without that and split at its first space.
fn described<'a>(text: &'a str, what: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    text.lines().filter_map(move |line| line.strip_prefix(what)?.split_once(' '))
}

#[test]
fn every_metric_has_a_help_text_and_a_name_with_its_unit() {
    let text = text();
    let types: Vec<_> = described(&text, "# TYPE ").collect();
    assert!(types.len() >= 18, "{types:?}");
    for (name, kind) in types {
        let help = described(&text, "# HELP ").find(|(of, _)| *of == name).map(|(_, help)| help);
        assert!(help.is_some_and(|help| help.len() > 10), "{name}: {help:?}");
        assert!(
            name.starts_with("usher_") && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{name}"
        );
        for word in ["_total", "_count", "_sum", "_bucket", "_info", "milliseconds", "minutes", "counter", "gauge"] {
            assert!(!name.ends_with(word), "{name} ends with what its kind adds, or is in no base unit");
        }
        if kind == "histogram" {
            assert!(name.ends_with("_seconds"), "{name}");
        }
    }
}

#[test]
fn labels_are_of_a_bounded_set_and_name_nobody() {
    let text = text();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, rest)) = line.split_once('{') else { continue };
        let labels = rest.split_once('}').unwrap().0;
        for label in labels.split("\",").map(|label| label.split_once('=').unwrap().0) {
            let known = ["server", "method", "code", "noticed", "urgency", "event", "reason", "version", "le"];
            assert!(known.contains(&label), "{name}: {label}");
        }
    }
}

#[test]
fn the_age_of_a_webhook_is_counted_and_never_negative() {
    let metrics = Metrics::new();
    let now = jiff::Timestamp::from_second(1_700_000_000).unwrap();
    metrics.webhook_age(1_700_000_000 - 25, now);
    metrics.webhook_age(1_700_000_000 + 25, now);
    let text = metrics.encode().unwrap();
    assert!(text.contains("usher_webhook_age_seconds_sum 25.0\n"), "{text}");
    assert!(text.contains("usher_webhook_age_seconds_bucket{le=\"20.0\"} 1\n"), "{text}");
}

#[test]
fn events_that_nobody_knows_share_a_label() {
    let metrics = Metrics::new();
    let server = ObjectName::new("livekit", "main");
    for number in 0..1000 {
        metrics.webhook(&server, &format!("invented_{number}"));
    }
    let text = metrics.encode().unwrap();
    assert!(text.contains("usher_webhooks_received_total{server=\"livekit/main\",event=\"other\"} 1000\n"), "{text}");
}

#[tokio::test]
async fn tasks_are_those_that_are_alive_when_somebody_reads() {
    let metrics = Metrics::new();
    let alive = || {
        let text = metrics.encode().unwrap();
        text.lines().find_map(|line| line.strip_prefix("usher_tasks ")?.parse::<i64>().ok()).unwrap()
    };
    let before = alive();
    let task = tokio::spawn(std::future::pending::<()>());
    assert_eq!(alive(), before + 1);
    task.abort();
    let _ = task.await;
    assert_eq!(alive(), before);
}
