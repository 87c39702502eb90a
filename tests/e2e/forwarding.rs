//! Forwards and moves on the open-source server, which has neither.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use usher_testkit::{TokenSpec, eventually};

use crate::stage::{A_WHILE, AGAIN, QUIET, SOON, Scene, Stage, condition};

impl Stage {
    /// Applies a forward and a move out of rooms that begin with `hall-`. `more` is YAML of both.
    async fn bring(&self, more: &str) {
        let (namespace, source) = (&self.namespace, "source: {rooms: [{prefix: hall-}]}");
        self.cluster
            .apply(&format!(
                "apiVersion: usher.dev/v1alpha1\nkind: ParticipantForward\nmetadata: {{name: overflow, namespace: \
                 {namespace}}}\nspec: {{serverRef: {{name: main}}, {source}, destinationRooms: [overflow-1]{more}}}\n\
                 ---\napiVersion: usher.dev/v1alpha1\nkind: ParticipantMove\nmetadata: {{name: admit, namespace: \
                 {namespace}}}\nspec: {{serverRef: {{name: main}}, {source}, destinationRoom: cellar{more}}}\n"
            ))
            .await;
    }

    fn asked(&self) -> (usize, usize) {
        (self.proxy.count("ForwardParticipant"), self.proxy.count("MoveParticipant"))
    }

    /// Deletes a forward as a person does, and answers how long that took.
    async fn delete_forward(&self) -> Duration {
        let begun = Instant::now();
        self.kubectl(&["delete", "pfwd", "overflow", "--timeout=70s"]).await;
        begun.elapsed()
    }
}

fn finalizers(object: &Value) -> Vec<&str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn a_server_without_them_is_asked_once_and_all_else_goes_on() {
    let stage = Stage::with(Scene { resync_interval: Some("5s"), ..Scene::default() }).await;
    stage.policy("quiet", "hall-", QUIET).await;
    stage.bring("").await;
    // As long as nobody matches, nothing is asked and nothing is wrong.
    stage.wait("pfwd", "overflow", "Ready").await;
    assert_eq!(stage.asked(), (0, 0));
    let anna = stage.join(&TokenSpec::new("hall-1", "anna")).await;
    anna.wait_for(SOON, |info| !info.permission.can_publish).await;
    for (kind, name) in [("pfwd", "overflow"), ("pmov", "admit")] {
        stage.wait(kind, name, "Stalled").await;
        let object = stage.get(kind, name).await;
        for type_ in ["Ready", "Stalled"] {
            let status = if type_ == "Ready" { "False" } else { "True" };
            let expected = Some((status.to_owned(), "UnsupportedByServer".to_owned()));
            assert_eq!(condition(&object, type_), expected, "{object:#}");
        }
        assert_eq!(condition(&object, "Reconciling"), None);
    }
    eventually(AGAIN, "the features of the server", async || {
        let features = stage.get("lks", "main").await["status"]["features"].take();
        let is = |name: &str| features[name] == "Unsupported";
        if is("forward") && is("move") { Ok(()) } else { Err(features.to_string()) }
    })
    .await;
    assert_eq!(stage.asked(), (1, 1));

    // Others come, everything is listed twice: no other question, and no other object is the worse for it.
    let bert = stage.join(&TokenSpec::new("hall-1", "bert")).await;
    bert.wait_for(SOON, |info| !info.permission.can_publish).await;
    stage.wait_summary("quiet", 2, 2).await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(stage.asked(), (1, 1));
    stage.wait("roompolicy", "quiet", "Ready").await;
    assert!(anna.info().sid == anna.sid() && stage.livekit.participants("hall-1").await.len() == 2);

    // Another spec is worth a question.
    stage.bring(", suspend: false, mode: Enforce").await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(stage.asked(), (1, 1), "defaults that are written out are no other spec");
    let patch = "{\"spec\":{\"destinationRooms\":[\"overflow-2\"]}}";
    stage.kubectl(&["patch", "pfwd", "overflow", "--type=merge", "-p", patch]).await;
    stage.proxy.wait_for("ForwardParticipant", 2, SOON).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(stage.asked(), (2, 1));

    // There is nothing to end.
    assert_eq!(finalizers(&stage.get("pfwd", "overflow").await), ["usher.dev/forward"]);
    assert!(stage.delete_forward().await < AGAIN);
    assert_eq!(stage.proxy.count("RemoveParticipant"), 0);
    assert_eq!(stage.operator.metric("usher_panics_total").await, Some(0.0));
}

#[tokio::test]
async fn deletion_ends_within_a_minute_though_livekit_is_down() {
    let stage = Stage::set().await;
    stage.bring("").await;
    stage.wait("pfwd", "overflow", "Ready").await;
    stage.livekit.kill().await;
    stage.kubectl(&["annotate", "pfwd", "overflow", "usher.dev/reconcile-requested-at=now"]).await;
    stage.wait_ready("pfwd", "overflow", "False", "ServerUnreachable").await;
    let took = stage.delete_forward().await;
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[tokio::test]
async fn deletion_ends_within_a_minute_though_server_and_secret_are_gone_or_the_forward_is_broken() {
    let stage = Stage::set().await;
    for what in ["secret", "broken", "server"] {
        stage.bring("").await;
        eventually(SOON, "the finalizer", async || {
            let object = stage.get("pfwd", "overflow").await;
            if finalizers(&object).is_empty() { Err(object.to_string()) } else { Ok(()) }
        })
        .await;
        match what {
            "secret" => drop(stage.kubectl(&["delete", "secret", "livekit-keys"]).await),
            "broken" => {
                let patch = "{\"spec\":{\"source\":{\"rooms\":[{\"regex\":\"(\"}]}}}";
                stage.kubectl(&["patch", "pfwd", "overflow", "--type=merge", "-p", patch]).await;
                stage.wait("pfwd", "overflow", "Stalled").await;
            }
            _ => drop(stage.kubectl(&["delete", "lks", "main"]).await),
        }
        let took = stage.delete_forward().await;
        assert!(took < Duration::from_secs(60), "{what}: {took:?}");
        if what == "secret" {
            stage.cluster.apply(&stage.livekit.manifests(&stage.namespace, &stage.proxy.url(), "1h")).await;
            stage.wait("lks", "main", "Ready").await;
        }
    }
}
