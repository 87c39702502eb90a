//! Objects in, values out.

mod access;
mod policies;
mod servers;
mod transfers;

use std::{num::NonZeroU32, time::Duration};

use serde_json::{Value, json};

use super::*;
use crate::{
    api::{LiveKitServer, ParticipantForward, ParticipantMove, Reason, RoomPolicy},
    engine::Server,
    policy::Reach,
};

/// An index that knows of an empty cluster.
fn empty() -> Index {
    empty_for(vec![Scope::Cluster])
}

fn empty_for(scopes: Vec<Scope>) -> Index {
    let mut index = Index::new(scopes.clone(), NonZeroU32::MIN, None);
    for scope in scopes {
        index.reset::<LiveKitServer>(&scope, vec![]);
        index.reset::<RoomPolicy>(&scope, vec![]);
        index.reset::<ParticipantForward>(&scope, vec![]);
        index.reset::<ParticipantMove>(&scope, vec![]);
    }
    index
}

/// With a server livekit/main and its Secret.
fn with_server() -> Index {
    let mut index = empty();
    put::<LiveKitServer>(&mut index, "livekit/main", 1, server());
    index.set_source(&keys("livekit/keys"), secret("devkey", "hush"));
    index
}

fn name(text: &str) -> ObjectName {
    let (namespace, name) = text.split_once('/').unwrap();
    ObjectName::new(namespace, name)
}

fn keys(text: &str) -> Source {
    Source::Secret(name(text))
}

fn secret(key: &str, secret: &str) -> Option<BTreeMap<String, ByteString>> {
    let entry = |name: &str, value: &str| (name.to_owned(), ByteString(value.into()));
    Some([entry("LIVEKIT_API_KEY", key), entry("LIVEKIT_API_SECRET", secret)].into())
}

fn server() -> Value {
    json!({"url": "wss://livekit.example.com", "credentials": {"secretRef": {"name": "keys"}}})
}

/// The server with an access list.
fn server_with(access: Value) -> Value {
    let mut server = server();
    server["access"] = access;
    server
}

fn policy() -> Value {
    json!({"serverRef": {"name": "main", "namespace": "livekit"}, "rooms": [{"exact": "stage"}], "rules": [rule()]})
}

fn rule() -> Value {
    json!({"name": "quiet", "set": {"permission": {"canPublish": false}}})
}

fn broken_policy() -> Value {
    let mut policy = policy();
    policy["rooms"] = json!([{"glob": "[a"}, {"regex": "("}]);
    policy
}

fn forward(to: &str) -> Value {
    json!({
        "serverRef": {"name": "main", "namespace": "livekit"},
        "source": {"rooms": [{"exact": "stage"}]},
        "destinationRooms": [to],
    })
}

fn object(at: &str, generation: i64, spec: Value) -> Value {
    let ObjectName { namespace, name } = name(at);
    json!({
        "metadata": {
            "namespace": &*namespace, "name": &*name, "uid": format!("uid-of-{at}"), "generation": generation,
            "resourceVersion": (100 + generation).to_string(),
        },
        "spec": spec,
    })
}

fn decoded<K: Tables>(object: Value) -> Decoded<K> {
    serde_json::from_value(object).unwrap()
}

fn put<K: Tables>(index: &mut Index, at: &str, generation: i64, spec: Value) -> bool {
    index.apply::<K>(decoded(object(at, generation, spec)))
}

fn verdict(index: &Index, kind: Kind, at: &str) -> Verdict {
    match index.standing(&ObjectId { kind, name: name(at) }).unwrap() {
        Standing::Server(entry) => entry.verdict.clone(),
        Standing::Subject(entry) => entry.verdict.clone(),
    }
}

fn reason(index: &mut Index, kind: Kind, at: &str) -> Option<Reason> {
    index.build();
    verdict(index, kind, at).reason()
}

fn message(index: &mut Index, kind: Kind, at: &str) -> String {
    index.build();
    match verdict(index, kind, at) {
        Verdict::Held(hold) => hold.message,
        Verdict::Acts { notes } => notes.join(" "),
    }
}

fn only(catalog: &Catalog<Client>) -> &Server<Client> {
    assert_eq!(catalog.servers.len(), 1);
    catalog.servers.values().next().unwrap()
}

fn members(catalog: &Catalog<Client>) -> Vec<String> {
    only(catalog).view.policies.members().iter().map(|member| member.policy.name.to_string()).collect()
}
