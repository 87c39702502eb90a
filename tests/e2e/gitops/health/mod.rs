//! Argo CD and kstatus on statuses that the operator wrote, and on those of objects that it has not looked at.

mod cloud;
mod real;

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};
use usher::api::Reason;
use usher_testkit::{Launch, repository, scratch, stack_binary};

use crate::stage::SOON;

/// What the tools are to say.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Verdict {
    argo: &'static str,
    kstatus: &'static str,
}

const CURRENT: Verdict = Verdict { argo: "Healthy", kstatus: "Current" };
const SUSPENDED: Verdict = Verdict { argo: "Suspended", kstatus: "Current" };
const WAITS: Verdict = Verdict { argo: "Progressing", kstatus: "InProgress" };
const FAILED: Verdict = Verdict { argo: "Degraded", kstatus: "Failed" };

/// Asks both about objects, by the ConfigMap that we ship.
async fn judged(objects: &[Value]) -> Vec<Value> {
    let yaml = fs::read_to_string(repository().join("deploy/argocd/argocd-cm.yaml")).expect("the ConfigMap");
    let config: Value = serde_saphyr::from_str(&yaml).expect("YAML");
    let folder = scratch("health");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("in"), json!({"configMap": config, "objects": objects}).to_string()).expect("a file");
    let program = Launch::new(stack_binary("health"), path("err")).files(path("in"), path("out")).start();
    let status = tokio::time::timeout(SOON, program.ended()).await.expect("it ends");
    let read = |name| fs::read_to_string(path(name)).unwrap_or_default();
    assert!(status.success(), "{}", read("err"));
    serde_json::from_str(&read("out")).expect("a list of verdicts")
}

/// Kind and name, the reason that the operator is to give, and what is to be said of it.
type Expected = (&'static str, &'static str, Reason, Verdict);

fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

async fn expect(objects: &[(Value, Verdict)]) {
    let asked: Vec<_> = objects.iter().map(|(object, _)| object.clone()).collect();
    let said = judged(&asked).await;
    assert_eq!(said.len(), objects.len());
    for ((object, wanted), said) in objects.iter().zip(&said) {
        let name = format!("{} {}", object["kind"], object["metadata"]["name"]);
        let found = (said["argo"].as_str(), said["kstatus"].as_str());
        assert_eq!(found, (Some(wanted.argo), Some(wanted.kstatus)), "{name}: {said}\n{}", object["status"]);
        assert!(!said["argoMessage"].as_str().unwrap_or_default().is_empty(), "{name}: {said}");
    }
}

#[test]
fn there_is_a_verdict_on_every_reason() {
    let all = [real::EXPECTED, real::FORBIDDEN, cloud::EXPECTED].concat();
    let seen: BTreeSet<_> = all.iter().map(|(_, _, reason, _)| *reason).collect();
    assert_eq!(seen, Reason::ALL.iter().copied().collect());
}
