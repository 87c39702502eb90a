//! What a tenant, who has the role `edit` in one namespace, can and cannot reach; and what nobody is told.

use serde_json::{Value, json};
use usher_testkit::{Cluster, ClusterOptions, CommandOutput, Participants, TokenSpec, eventually, request};

use crate::{
    SOON,
    stage::{Run, Stage, object},
};

const TENANT: &str = "--as=tenant";

/// Whether the API server would permit the tenant something.
async fn may(cluster: &Cluster, namespace: &str, verb: &str, resource: &str) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let subresource = format!("--subresource={subresource}");
    let asked = ["auth", "can-i", verb, resource, &subresource, "-n", namespace, TENANT];
    let said = cluster.kubectl(&asked, None).await;
    match said.stdout.trim() {
        "yes" => true,
        "no" => false,
        other => panic!("{other}{}", said.stderr),
    }
}

async fn as_tenant(cluster: &Cluster, args: &[&str], stdin: &str) -> CommandOutput {
    cluster.kubectl(&[args, &[TENANT]].concat(), Some(stdin)).await
}

/// The reason of an object's condition Ready, once it is this one.
async fn reason(cluster: &Cluster, namespace: &str, object: &str, expected: &str) {
    let path = "-o=jsonpath={.status.conditions[?(@.type=='Ready')].reason}";
    let look = async || {
        let reason = cluster.kubectl(&["-n", namespace, "get", object, path], None).await.stdout;
        if reason == expected { Ok(()) } else { Err(reason) }
    };
    eventually(SOON, expected, look).await;
}

#[tokio::test]
async fn a_tenant_reaches_its_own_namespace_and_the_rooms_that_it_was_granted() {
    let cluster = Cluster::start(ClusterOptions { controller_manager: true, ..ClusterOptions::default() }).await;
    let system = cluster.namespace("usher").await;
    let stage = Stage::set(&cluster, &system, true, Run::Plainly).await;
    let (house, team) = (stage.namespace.as_str(), cluster.namespace("team").await);
    let team = team.as_str();
    let bind = ["-n", team, "create", "rolebinding", "tenant", "--clusterrole=edit", "--user=tenant"];
    cluster.kubectl(&bind, None).await.ok();

    let aggregated = async || match may(&cluster, team, "create", "roompolicies.usher.dev").await {
        true => Ok(()),
        false => Err("the role edit has not been put together yet"),
    };
    eventually(SOON, "aggregation", aggregated).await;
    for kind in ["roompolicies.usher.dev", "participantforwards.usher.dev", "participantmoves.usher.dev"] {
        for verb in ["get", "list", "watch", "create", "update", "patch", "delete"] {
            assert!(may(&cluster, team, verb, kind).await, "{verb} {kind}");
            assert!(!may(&cluster, house, verb, kind).await, "{verb} {kind} in another namespace");
        }
        assert!(!may(&cluster, team, "patch", &format!("{kind}/status")).await, "{kind}/status");
    }
    assert!(may(&cluster, team, "get", "livekitservers.usher.dev").await);
    for (namespace, verb, resource) in [
        (team, "create", "livekitservers.usher.dev"),
        (team, "patch", "livekitservers.usher.dev"),
        (team, "delete", "livekitservers.usher.dev"),
        (team, "patch", "livekitservers.usher.dev/status"),
        (house, "get", "livekitservers.usher.dev"),
        (house, "get", "secrets"),
        (system.as_str(), "get", "secrets"),
        (system.as_str(), "create", "serviceaccounts/token"),
        (system.as_str(), "update", "leases.coordination.k8s.io"),
        (system.as_str(), "create", "pods/exec"),
    ] {
        assert!(!may(&cluster, namespace, verb, resource).await, "{verb} {resource} in {namespace}");
    }

    // The same with its own hands: into the other namespace, and from its own to the server there.
    cluster.apply(&stage.livekit.manifests(house, &stage.livekit.url(), "5s")).await;
    let server = json!({"name": "main", "namespace": house});
    let everybody = json!([{"name": "out", "match": {"identities": [{"glob": "guest-*"}]}, "remove": {}},
        {"name": "loud", "set": {"permission": {"canPublish": true}}}]);
    let greedy = json!({"serverRef": server, "rooms": [{"glob": "*"}], "priority": 1000, "rules": everybody});
    let trespass = object("RoomPolicy", house, "greedy", greedy.clone());
    as_tenant(&cluster, &["apply", "-f", "-"], &trespass).await.refused();
    let address = json!({"url": stage.livekit.url(), "credentials": {"secretRef": {"name": "livekit-keys"}}});
    as_tenant(&cluster, &["apply", "-f", "-"], &object("LiveKitServer", team, "mine", address)).await.refused();
    as_tenant(&cluster, &["apply", "-f", "-"], &object("RoomPolicy", team, "greedy", greedy)).await.ok();
    reason(&cluster, team, "rpol/greedy", "NotPermitted").await;
    let participants = Participants::start();
    let guest = participants.join(&stage.livekit, &TokenSpec::new("team-1", "guest-0")).await;

    let quiet = json!([{"name": "quiet", "set": {"permission": {"canPublish": false}}}]);
    let spec = json!({"serverRef": {"name": "main"}, "rooms": [{"glob": "*"}], "rules": quiet});
    stage.apply("RoomPolicy", "house", spec).await;
    guest.wait_for(SOON, |info| !info.permission.can_publish).await;
    let access = json!([{"name": "team", "namespaces": {"names": [team]}, "rooms": [{"prefix": "team-"}]}]);
    let patch = json!({"spec": {"access": access}}).to_string();
    cluster.kubectl(&["-n", house, "patch", "lks/main", "--type=merge", "-p", &patch], None).await.ok();
    guest.wait_removed(SOON).await;
    // Everywhere else nobody is removed, and its priority does not outrank the house.
    let anna = participants.join(&stage.livekit, &TokenSpec::new("hall", "guest-1")).await;
    anna.wait_for(SOON, |info| !info.permission.can_publish).await;
    let bert = participants.join(&stage.livekit, &TokenSpec::new("team-1", "bert")).await;
    bert.wait_for(SOON, |info| !info.permission.can_publish).await;
    bert.wait_quiet(std::time::Duration::from_secs(6), SOON).await;
    assert!(!anna.permission().can_publish && !bert.permission().can_publish);
}

#[tokio::test]
async fn nothing_secret_is_in_status_events_logs_or_metrics() {
    let cluster = Cluster::start(ClusterOptions::default()).await;
    let system = cluster.namespace("usher").await;
    let stage = Stage::set(&cluster, &system, true, Run::Plainly).await;
    let namespace = stage.namespace.as_str();
    let wrong = json!({"stringData": {"LIVEKIT_API_SECRET": "wrong-0123456789012345678901234567890"}}).to_string();
    let patch = ["-n", namespace, "patch", "secret/livekit-keys", "-p", &wrong];
    let manifests = stage.livekit.manifests(namespace, &stage.livekit.url(), "5s");
    cluster.apply(&manifests).await;
    stage.wait("Ready", "lks/main").await;
    let rules = json!([
        {"name": "out", "match": {"identities": [{"exact": "troll"}]}, "remove": {}},
        {"name": "quiet", "set": {"permission": {"canPublish": false}}},
    ]);
    let spec = json!({"serverRef": {"name": "main"}, "rooms": [{"exact": "hall"}], "rules": rules});
    stage.apply("RoomPolicy", "house", spec).await;
    stage.wait("Ready", "rpol/house").await;

    // Everything that may be told of: joins, a removal, a webhook that is not signed, a key that is wrong.
    let participants = Participants::start();
    let private = format!("private-{}", "x".repeat(200));
    let anna = TokenSpec::new("hall", "anna").metadata(&private).attribute("diagnosis", "private-attribute");
    let token = stage.livekit.token(&anna);
    let anna = participants.join(&stage.livekit, &anna).await;
    anna.wait_for(SOON, |info| !info.permission.can_publish).await;
    participants.join(&stage.livekit, &TokenSpec::new("hall", "troll")).await.wait_left(SOON).await;
    let url = format!("{}/webhooks/{namespace}/main", stage.operator.http_url());
    let mut headers = http::HeaderMap::new();
    headers.insert("Authorization", token.parse().expect("a token is a header"));
    let body = bytes::Bytes::from_static(b"{\"event\": \"private-event\"}");
    let refused = request(http::Method::POST, &url, headers, body).await.expect("it answers");
    assert_eq!(refused.status, http::StatusCode::UNAUTHORIZED);
    cluster.kubectl(&patch, None).await.ok();
    reason(&cluster, namespace, "lks/main", "Unauthorized").await;
    cluster.apply(&manifests).await;
    reason(&cluster, namespace, "rpol/house", "Enforced").await;

    let kinds = "lks,rpol,pfwd,pmov,events.events.k8s.io,leases";
    let objects = cluster.kubectl(&["get", kinds, "-A", "-o", "json"], None).await.ok();
    let objects: Value = serde_json::from_str(&objects).expect("kubectl writes JSON");
    assert!(objects["items"].as_array().is_some_and(|items| items.len() > 3), "{objects:#}");
    let (log, metrics) = (stage.operator.log(), stage.operator.metrics().await);
    assert!(log.contains("troll") && log.contains("DEBUG"), "the log says little: {log}");
    for told in [objects.to_string(), log, metrics] {
        for secret in [&stage.livekit.keys()[0].secret, "wrong-0123", "eyJ", "turnPassword", "private-"] {
            assert!(!told.contains(secret), "{secret} is told: {told}");
        }
    }
}
