//! The operator as the chart has it: exactly the container's arguments and environment, the ServiceAccount's token, and
//! no right but those of its Roles. It does its whole job so, and uses every right.

use serde_json::{Value, json};
use usher_testkit::{Cluster, ClusterOptions, Participants, TokenSpec, eventually};

use crate::{
    SOON, audit,
    stage::{Run, Stage},
};

impl Stage<'_> {
    /// Everything that the operator does: reads keys and a CA, governs, removes, tells, puts its finalizer on and off.
    async fn play(&self, access: Value) {
        let (cluster, namespace) = (self.cluster, &self.namespace);
        let ca = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "livekit-ca", "namespace": namespace},
            "data": {"ca.crt": cluster.ca()}});
        cluster.apply(&ca.to_string()).await;
        cluster.apply(&self.livekit.manifests(namespace, &self.livekit.url(), "5s")).await;
        let spec = json!({"spec": {
            "caBundle": {"configMapRef": {"name": "livekit-ca", "key": "ca.crt"}},
            "access": [{"name": "others", "namespaces": access, "rooms": [{"prefix": "other-"}]}],
        }});
        let patch = ["-n", namespace, "patch", "lks", "main", "--type=merge", "-p", &spec.to_string()];
        cluster.kubectl(&patch, None).await.ok();
        self.wait("Ready", "lks/main").await;

        let server = json!({"name": "main"});
        let rules = json!([
            {"name": "banned", "match": {"identities": [{"exact": "troll"}]}, "remove": {}},
            {"name": "quiet", "set": {"permission": {"canPublish": false}}},
        ]);
        self.apply("RoomPolicy", "house", json!({"serverRef": server, "rooms": [{"exact": "hall"}], "rules": rules}))
            .await;
        self.wait("Ready", "rpol/house").await;
        let participants = Participants::start();
        let anna = participants.join(&self.livekit, &TokenSpec::new("hall", "anna")).await;
        anna.wait_for(SOON, |info| !info.permission.can_publish).await;
        // Twice, so that the Event is told of again.
        for _ in 0..2 {
            let troll = participants.join(&self.livekit, &TokenSpec::new("hall", "troll")).await;
            troll.wait_left(SOON).await;
        }

        let source = json!({"rooms": [{"exact": "hall"}]});
        self.apply(
            "ParticipantForward",
            "overflow",
            json!({"serverRef": server, "source": source, "destinationRooms": ["overflow"]}),
        )
        .await;
        self.apply("ParticipantMove", "admit", json!({"serverRef": server, "source": source, "destinationRoom": "x"}))
            .await;
        // The open-source server has neither.
        self.wait("Stalled", "pfwd/overflow").await;
        self.wait("Stalled", "pmov/admit").await;
        cluster.kubectl(&["-n", namespace, "delete", "--timeout=70s", "pfwd/overflow"], None).await.ok();

        let event = async || {
            let events = cluster.kubectl(&["-n", namespace, "get", "events.events.k8s.io", "-o", "json"], None).await;
            let events: Value = serde_json::from_str(&events.ok()).expect("kubectl writes JSON");
            let told = events["items"].as_array().into_iter().flatten().any(|event| {
                event["reason"] == "Removed" && event["series"]["count"].as_u64().is_some_and(|count| count > 1)
            });
            if told { Ok(()) } else { Err(events.to_string()) }
        };
        eventually(SOON, "an Event that was told of twice", event).await;
        let leads = async || match self.operator.metric("usher_leader").await {
            Some(1.0) => Ok(()),
            other => Err(format!("usher_leader {other:?}")),
        };
        eventually(SOON, "it leads", leads).await;
    }
}

#[tokio::test]
async fn the_rights_of_the_chart_are_what_the_operator_needs_and_no_more() {
    let cluster = Cluster::start(ClusterOptions { audit: true, ..ClusterOptions::default() }).await;
    let system = cluster.namespace("usher").await;
    let stage = Stage::set(&cluster, &system, true, Run::Plainly).await;
    stage.play(json!({"selector": {"matchLabels": {"team": "a"}}})).await;
    audit::needs_what_it_has(&cluster, &system, "usher").await;
    drop(stage);

    // The same for one namespace alone, beside it.
    let system = cluster.namespace("usher").await;
    let stage = Stage::set(&cluster, &system, false, Run::Plainly).await;
    let own = cluster.kubectl(&["get", "clusterroles,clusterrolebindings", "-o", "name"], None).await.ok();
    let of_the_first = own.lines().filter(|name| name.contains("usher")).count();
    assert_eq!(of_the_first, 5, "the namespaced release has added something: {own}");
    stage.play(json!({"names": ["other"]})).await;
    audit::needs_what_it_has(&cluster, &system, "usher").await;
}

#[tokio::test]
async fn whoever_owns_a_namespace_installs_it_there() {
    let cluster = Cluster::start(ClusterOptions::default()).await;
    cluster.apply_crds().await;
    let namespace = cluster.namespace("owned").await;
    let owner = cluster.kubeconfig_for_service_account(&namespace, "owner").await;
    let all = ["-n", &namespace, "create", "role", "owner", "--verb=*", "--resource=*.*"];
    cluster.kubectl(&all, None).await.ok();
    let account = format!("--serviceaccount={namespace}:owner");
    let bind = ["-n", &namespace, "create", "rolebinding", "owner", "--role=owner", &account];
    cluster.kubectl(&bind, None).await.ok();
    let chart = usher_testkit::Release::chart();
    let chart = chart.to_str().expect("the path is text");
    let values = json!({
        "crds": {"enabled": false},
        "watchNamespaces": [namespace],
        "serverNamespaces": [{"namespace": namespace, "secrets": ["livekit-keys"]}],
    });
    let install = ["install", "usher", chart, "-n", &namespace, "-f", "-"];
    let said = cluster.helm_with(&owner, &install, Some(&values.to_string())).await.ok();
    assert!(said.contains(&format!("rooms obey declared policies of the namespaces {namespace}")), "{said}");
    // Without the two values it needs the cluster, and says so.
    let again = ["install", "again", chart, "-n", &namespace];
    let refused = cluster.helm_with(&owner, &again, None).await.refused();
    assert!(refused.contains("cluster scope") || refused.contains("forbidden"), "{refused}");
}
