//! Forwards and moves where they work: the operator as a program, a real Kubernetes API, and a simulated LiveKit Cloud.

mod ends;
mod tenants;

use std::time::Duration;

use livekit_protocol::{DisconnectReason, participant_info::KindDetail};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use usher::{
    livekit::Credentials,
    simulator::{Change, Cloud, Edition, Join, Options, Running},
};
use usher_testkit::{Cluster, Operator, OperatorOptions, eventually, free_port};

use crate::stage::{A_WHILE, AGAIN, condition};

const SECRET: &str = "a-secret-of-more-than-32-characters-in-all";

/// A namespace with a LiveKitServer `main`, which is simulated, and an operator.
pub struct Stage {
    pub cluster: &'static Cluster,
    pub namespace: String,
    pub server: Running,
    operator: Operator,
}

impl Stage {
    /// With webhooks that tell of copies and of the moved, or without: nobody knows how it is in the cloud.
    pub async fn set(announces_copies: bool) -> Self {
        let cluster = Cluster::shared().await;
        let namespace = cluster.namespace("cloud").await;
        let port = free_port();
        let server = Running::start(Options {
            keys: vec![Credentials::new("devkey", SECRET)],
            edition: Edition::Cloud(Cloud { announces_copies }),
            webhook_urls: vec![format!("http://127.0.0.1:{port}/webhooks/{namespace}/main")],
            ..Options::default()
        })
        .await
        .expect("it starts");
        let stage_of = |url: &str| {
            format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: keys, namespace: {namespace}}}\nstringData: \
                 {{LIVEKIT_API_KEY: devkey, LIVEKIT_API_SECRET: {SECRET}}}\n---\napiVersion: usher.dev/v1alpha1\nkind: \
                 LiveKitServer\nmetadata: {{name: main, namespace: {namespace}}}\nspec: {{url: \"{url}\", credentials: \
                 {{secretRef: {{name: keys}}}}, resyncInterval: 5s}}\n"
            )
        };
        cluster.apply(&stage_of(&server.url())).await;
        let options = OperatorOptions::new(env!("CARGO_BIN_EXE_usher"), cluster.kubeconfig());
        let operator = Operator::start(options.http_port(port).namespace(&namespace)).await;
        Self { cluster, namespace, server, operator }
    }

    /// Applies an object of one of the two kinds.
    pub async fn apply(&self, kind: &str, name: &str, spec: &str) {
        let namespace = &self.namespace;
        self.cluster
            .apply(&format!(
                "apiVersion: usher.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: \
                 {{serverRef: {{name: main}}, {spec}}}\n"
            ))
            .await;
    }

    async fn kubectl(&self, args: &[&str]) -> String {
        self.cluster.kubectl(&[args, &["-n", &self.namespace]].concat(), None).await.ok()
    }

    pub async fn get(&self, kind: &str, name: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["get", kind, name, "-o", "json"]).await).expect("kubectl writes JSON")
    }

    pub fn join(&self, room: &str, identity: &str, role: &str) {
        self.server.simulator().join(Join::new(room, identity).attribute("role", role)).expect("there is room");
    }

    pub fn leave(&self, room: &str, identity: &str) {
        self.server.simulator().leave(room, identity, DisconnectReason::ClientInitiated).expect("it is there");
    }

    /// Who is in a room: copies in brackets.
    pub fn who(&self, room: &str) -> Vec<String> {
        let shown = |info: &livekit_protocol::ParticipantInfo| {
            let is_copy = info.kind_details().any(|detail| detail == KindDetail::Forwarded);
            if is_copy { format!("[{}]", info.identity) } else { info.identity.clone() }
        };
        self.server.simulator().participants(room).iter().map(shown).collect()
    }

    pub async fn wait_for(&self, room: &str, wanted: &[&str]) {
        eventually(AGAIN, &format!("{room}: {wanted:?}"), async || {
            let who = self.who(room);
            if who == wanted { Ok(()) } else { Err(format!("{who:?}\n{}", self.operator.log())) }
        })
        .await;
    }

    pub async fn wait_ready(&self, kind: &str, name: &str, reason: &str) -> Value {
        eventually(AGAIN, &format!("{kind} {name} {reason}"), async || {
            let object = self.get(kind, name).await;
            match condition(&object, "Ready") {
                Some((_, why)) if why == reason => Ok(object),
                _ => Err(object["status"].to_string()),
            }
        })
        .await
    }

    /// Waits for an Event at an object that begins with this, as `reason note`. Those of one reason are joined to one,
    /// with the note of the first.
    async fn wait_event(&self, name: &str, wanted: &str) {
        eventually(AGAIN, wanted, async || {
            let template = "jsonpath={range .items[*]}{.regarding.name} {.reason} {.note}{\"\\n\"}{end}";
            let events = self.kubectl(&["get", "events.events.k8s.io", "-o", template]).await;
            if events.lines().any(|line| line.starts_with(&format!("{name} {wanted}"))) { Ok(()) } else { Err(events) }
        })
        .await;
    }

    pub async fn wait_gone(&self, kind: &str, name: &str) {
        self.kubectl(&["wait", "--for=delete", &format!("{kind}/{name}"), "--timeout=60s"]).await;
    }

    async fn delete(&self, kind: &str, name: &str) -> Duration {
        let begun = Instant::now();
        self.kubectl(&["delete", kind, name, "--timeout=70s"]).await;
        begun.elapsed()
    }
}

const TO_BOTH: &str = "source: {rooms: [{exact: stage}]}, destinationRooms: [overflow-1, overflow-2]";
const TO_ONE: &str = "source: {rooms: [{exact: stage}]}, destinationRooms: [overflow-1]";
const HOSTS: &str = "source: {rooms: [{exact: stage}], match: {attributes: [{key: role, values: [{exact: host}]}]}}, \
                     destinationRooms: [overflow-1]";
const ADMIT: &str = "source: {rooms: [{exact: lobby}], match: {attributes: [{key: role, values: [{exact: host}]}]}}, \
                     destinationRoom: hall";

async fn is_kept_alive_and_ended(announces_copies: bool) {
    let stage = Stage::set(announces_copies).await;
    stage.join("stage", "anna", "host");
    stage.apply("ParticipantForward", "f", TO_BOTH).await;
    for room in ["overflow-1", "overflow-2"] {
        stage.wait_for(room, &["[anna]"]).await;
    }
    stage.join("stage", "bert", "guest");
    stage.wait_for("overflow-2", &["[anna]", "[bert]"]).await;
    let object = stage.wait_ready("pfwd", "f", "Enforced").await;
    assert_eq!(object["metadata"]["finalizers"][0], "usher.dev/forward");
    stage.wait_event("f", "Forwarded Forwarded anna from room stage to overflow-1.").await;
    eventually(AGAIN, "the features of the server", async || {
        let features = stage.get("lks", "main").await["status"]["features"].take();
        if features["forward"] == "Supported" { Ok(()) } else { Err(features.to_string()) }
    })
    .await;

    // A copy that somebody removes comes back; one whose source has gone does not.
    stage.leave("overflow-1", "anna");
    stage.wait_for("overflow-1", &["[anna]", "[bert]"]).await;
    stage.leave("stage", "bert");
    stage.wait_for("overflow-1", &["[anna]"]).await;
    stage.join("stage", "carl", "guest");
    stage.wait_for("overflow-2", &["[anna]", "[carl]"]).await;

    // The list shrinks.
    stage.apply("ParticipantForward", "f", TO_ONE).await;
    stage.wait_for("overflow-2", &[]).await;
    assert_eq!(stage.who("overflow-1"), ["[anna]", "[carl]"]);
    stage.wait_event("f", "Removed Removed the copy of ").await;

    // Fewer match.
    stage.apply("ParticipantForward", "f", HOSTS).await;
    stage.wait_for("overflow-1", &["[anna]"]).await;
    let change = Change { attributes: [("role".to_owned(), "guest".to_owned())].into(), ..Change::default() };
    let _ = stage.server.simulator().change("stage", "anna", &change);

    // It is deleted.
    let took = stage.delete("pfwd", "f").await;
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert_eq!(stage.who("overflow-1"), [""; 0], "{}", stage.operator.log());
    assert_eq!(stage.who("stage"), ["anna", "carl"]);
    assert_eq!(stage.operator.metric("usher_panics_total").await, Some(0.0));
}

#[tokio::test]
async fn a_forward_is_kept_alive_and_ended_where_webhooks_tell_of_copies() {
    is_kept_alive_and_ended(true).await;
}

#[tokio::test]
async fn a_forward_is_kept_alive_and_ended_where_they_do_not() {
    is_kept_alive_and_ended(false).await;
}

#[tokio::test]
async fn an_identity_in_use_is_left_alone_and_the_condition_says_so() {
    let stage = Stage::set(false).await;
    stage.join("overflow-1", "anna", "guest");
    stage.join("stage", "anna", "host");
    stage.join("stage", "bert", "host");
    stage.apply("ParticipantForward", "f", TO_ONE).await;
    stage.wait_for("overflow-1", &["anna", "[bert]"]).await;
    let object = stage.wait_ready("pfwd", "f", "IdentityInUse").await;
    assert_eq!(condition(&object, "Reconciling").expect("it may heal").1, "IdentityInUse");
    assert_eq!(object["status"]["samples"][0]["identity"], "anna");
    stage.leave("overflow-1", "anna");
    stage.wait_for("overflow-1", &["[anna]", "[bert]"]).await;
    stage.wait_ready("pfwd", "f", "Enforced").await;
}

#[tokio::test]
async fn room_policies_apply_to_who_is_moved_and_to_named_copies() {
    let stage = Stage::set(false).await;
    let rules = "rooms: [{exact: hall}, {exact: overflow-1}], rules: [{name: seat, match: {include: [Forwarded]}, set: \
                 {attributes: {seat: back}}}]";
    stage.apply("RoomPolicy", "seats", rules).await;
    stage.apply("ParticipantMove", "m", ADMIT).await;
    stage.apply("ParticipantForward", "f", TO_ONE).await;
    stage.join("lobby", "anna", "host");
    stage.join("lobby", "bert", "guest");
    stage.join("stage", "carl", "guest");
    stage.wait_for("hall", &["anna"]).await;
    stage.wait_for("overflow-1", &["[carl]"]).await;
    for (room, identity) in [("hall", "anna"), ("overflow-1", "carl")] {
        eventually(AGAIN, "the attribute", async || {
            let seen = stage.server.simulator().participant(room, identity).ok_or("gone")?;
            if seen.attributes.get("seat").is_some_and(|seat| seat == "back") { Ok(()) } else { Err("not yet") }
        })
        .await;
    }
    assert_eq!(stage.who("lobby"), ["bert"]);
    stage.wait_event("m", "Moved Moved anna from room lobby to hall.").await;
    stage.wait_ready("pmov", "m", "Enforced").await;
}

#[tokio::test]
async fn a_circle_of_moves_ends_and_both_say_so() {
    let stage = Stage::set(true).await;
    stage.apply("ParticipantMove", "admit", ADMIT).await;
    let back = "source: {rooms: [{exact: hall}]}, destinationRoom: lobby";
    stage.apply("ParticipantMove", "back", back).await;
    stage.wait_ready("pmov", "back", "NoActiveRooms").await;
    stage.join("lobby", "anna", "host");
    for name in ["admit", "back"] {
        let object = stage.wait_ready("pmov", name, "MoveLoop").await;
        let message = object["status"]["conditions"][0]["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains("/back has stopped for them"), "{message}");
    }
    stage.wait_for("hall", &["anna"]).await;
    sleep(A_WHILE).await;
    assert_eq!((stage.who("hall"), stage.who("lobby")), (vec!["anna".to_owned()], vec![]));
}

#[tokio::test]
async fn what_is_suspended_forwards_and_moves_nobody() {
    let stage = Stage::set(true).await;
    stage.join("stage", "anna", "host");
    stage.apply("ParticipantForward", "f", TO_ONE).await;
    stage.apply("ParticipantMove", "m", &format!("{ADMIT}, suspend: true")).await;
    stage.wait_for("overflow-1", &["[anna]"]).await;
    stage.apply("ParticipantForward", "f", &format!("{TO_ONE}, suspend: true")).await;
    for (kind, name) in [("pfwd", "f"), ("pmov", "m")] {
        let object = stage.wait_ready(kind, name, "Suspended").await;
        assert_eq!(condition(&object, "Ready").expect("it is there").0, "True", "{object:#}");
    }
    stage.join("stage", "bert", "host");
    stage.join("lobby", "carl", "host");
    sleep(A_WHILE).await;
    assert_eq!((stage.who("overflow-1"), stage.who("lobby")), (vec!["[anna]".to_owned()], vec!["carl".to_owned()]));
    stage.apply("ParticipantForward", "f", TO_ONE).await;
    stage.apply("ParticipantMove", "m", ADMIT).await;
    stage.wait_for("overflow-1", &["[anna]", "[bert]"]).await;
    stage.wait_for("hall", &["carl"]).await;
}
