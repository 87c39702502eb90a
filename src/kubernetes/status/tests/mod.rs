//! Verdicts and reports in, statuses out; and when they are written.

mod content;
mod pace;
mod reasons;
mod stretched;
mod transfers;

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{Features, LiveKitServer, RoomPolicy},
    engine::{Health, PolicyReport, ServerReport},
    kubernetes::{
        decoded::Decoded,
        index::{Index, Scope, Source, Tables},
        kind::{Kind, ObjectId},
    },
    policy::{Counts, ObjectName, Samples},
};

const THEN: Timestamp = Timestamp::constant(1_000, 0);
const NOW: Timestamp = Timestamp::constant(2_000, 500_000_000);

fn id(kind: Kind) -> ObjectId {
    ObjectId { kind, name: ObjectName::new("a", if kind == Kind::Server { "main" } else { "p" }) }
}

fn put<K: Tables>(index: &mut Index, name: &str, generation: i64, spec: Value, annotation: Option<&str>) {
    let object: Decoded<K> = serde_json::from_value(json!({
        "metadata": {
            "name": name, "namespace": "a", "uid": name, "generation": generation, "resourceVersion": "1",
            "annotations": annotation.map(|value| json!({"usher.dev/reconcile-requested-at": value})),
        },
        "spec": spec,
    }))
    .unwrap();
    index.apply(object);
}

/// A cluster of one server and one policy with these fields.
fn cluster(policy: Value) -> Index {
    let mut index = Index::new(vec![Scope::Cluster], NonZeroU32::MIN, None);
    let server = json!({"url": "ws://livekit:7880", "credentials": {"secretRef": {"name": "keys"}}});
    put::<LiveKitServer>(&mut index, "main", 1, server, None);
    let data = [("LIVEKIT_API_KEY", "k"), ("LIVEKIT_API_SECRET", "s")];
    let data = data.map(|(key, value)| (key.to_owned(), k8s_openapi::ByteString(value.into())));
    index.set_source(&Source::Secret(ObjectName::new("a", "keys")), Some(data.into()));
    let mut spec = json!({
        "serverRef": {"name": "main"}, "rooms": [{"exact": "stage"}],
        "rules": [{"name": "r", "set": {"name": "Guest"}}],
    });
    spec.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
    put::<RoomPolicy>(&mut index, "p", 3, spec, Some("now"));
    index.build();
    index
}

/// A report of a server that answers, on the policy of the cluster.
fn report(index: &mut Index, change: impl FnOnce(&mut PolicyReport)) -> ServerReport {
    let catalog = index.build();
    let members = catalog.servers.values().flat_map(|server| server.view.policies.members().to_vec());
    let mut policies = BTreeMap::new();
    let mut change = Some(change);
    for member in members {
        let mut report = PolicyReport {
            policy: Arc::clone(&member.policy),
            settled: true,
            counts: Counts { rooms: 1, participants: 5, compliant: 3, pending: 1, failed: 1, violations: 4 },
            overridden_by: None,
            failure: None,
            remote_unmute_disabled: false,
            samples: Samples::default(),
        };
        if let Some(change) = change.take() {
            change(&mut report);
        }
        policies.insert(member.policy.name.clone(), report);
    }
    ServerReport {
        health: Health::Good,
        features: Features::default(),
        rooms: 1,
        participants: 5,
        resynced_at: None,
        resync_done: 0,
        stretched: None,
        policies,
        transfers: BTreeMap::new(),
    }
}

fn status_of(index: &Index, kind: Kind, report: Option<&ServerReport>, now: Timestamp) -> Desired {
    let id = id(kind);
    desired(&id, &index.standing(&id).unwrap(), report, index.acting(&id.name), now)
}

/// The conditions as `Type=Status:Reason`.
fn conditions(desired: &Desired) -> String {
    let all = desired.status.conditions().iter();
    all.map(|one| format!("{}={}:{}", one.type_, one.status, one.reason)).collect::<Vec<_>>().join(" ")
}

fn subject(desired: Desired) -> crate::api::PolicyStatus {
    match desired.status {
        Status::Subject(status) => status,
        Status::Server(_) => panic!("a server's status"),
    }
}
