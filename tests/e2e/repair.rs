//! What is wrong around an object is named in its condition, and heals by itself when it is put right. It is never
//! Stalled meanwhile: pipelines give up on that.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt};
use kube::{
    Api,
    api::{ApiResource, DynamicObject},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::Value;
use tokio::task::JoinHandle;
use usher::api::{LiveKitServer, RoomPolicy};
use usher_testkit::{ApiKey, RecordingProxy, TokenSpec, eventually, free_port};

use crate::stage::{AGAIN, QUIET, SOON, Scene, Stage, condition};

/// Sees every status that the objects of a namespace ever have.
struct Witness {
    seen: Arc<Mutex<Vec<Value>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Witness {
    async fn of(stage: &Stage) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for resource in [ApiResource::erase::<LiveKitServer>(&()), ApiResource::erase::<RoomPolicy>(&())] {
            let client = stage.cluster.client().await;
            let api: Api<DynamicObject> = Api::namespaced_with(client, &stage.namespace, &resource);
            let seen = Arc::clone(&seen);
            tasks.push(tokio::spawn(async move {
                let mut objects = watcher(api, watcher::Config::default()).touched_objects().boxed();
                while let Some(object) = objects.try_next().await.expect("the API server is well") {
                    seen.lock().unwrap().push(serde_json::to_value(object).unwrap());
                }
            }));
        }
        Self { seen, tasks }
    }

    /// Nothing was ever Stalled, and something was Reconciling for this reason.
    fn saw(self, reason: &str) {
        self.tasks.iter().for_each(JoinHandle::abort);
        let seen = self.seen.lock().unwrap();
        assert!(seen.iter().any(|object| condition(object, "Reconciling").is_some_and(|(_, why)| why == reason)));
        for object in seen.iter() {
            assert_eq!(condition(object, "Stalled"), None, "{object:#}");
        }
    }
}

/// A stage where all is well and nobody may publish, and who sees what becomes of it.
async fn witnessed() -> (Stage, Witness) {
    let stage = Stage::set().await;
    stage.policy("quiet", "hall-", QUIET).await;
    let witness = Witness::of(&stage).await;
    (stage, witness)
}

impl Stage {
    /// Both the server and its policy say that something is wrong.
    async fn wait_both(&self, status: &str, reason: &str) {
        for (kind, name) in [("livekitserver", "main"), ("roompolicy", "quiet")] {
            self.wait_ready(kind, name, status, reason).await;
        }
    }

    async fn secret(&self, key: &ApiKey) {
        let (namespace, ApiKey { key, secret }) = (&self.namespace, key);
        self.cluster
            .apply(&format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: livekit-keys, namespace: {namespace}}}\nstringData: \
                 {{LIVEKIT_API_KEY: {key}, LIVEKIT_API_SECRET: {secret}}}\n"
            ))
            .await;
    }

    async fn patch(&self, kind: &str, name: &str, patch: &str) {
        self.kubectl(&["patch", kind, name, "--type=merge", "-p", patch]).await;
    }

    /// Somebody joins and is made quiet.
    async fn enforces(&self, identity: &str) {
        let guest = self.join(&TokenSpec::new("hall-1", identity)).await;
        guest.wait_for(AGAIN, |info| !info.permission.can_publish).await;
    }

    /// Somebody joins and nothing happens: the operator does not know the key that signed the webhook.
    async fn enforces_nothing(&self, identity: &str) {
        let guest = self.join(&TokenSpec::new("hall-1", identity)).await;
        guest.wait_quiet(Duration::from_secs(1), SOON).await;
        assert!(guest.permission().can_publish);
    }

    /// No secret stands in a status, an Event or the log, however its Secret was used.
    async fn tells_no_secret(&self) {
        let objects = self.kubectl(&["get", "livekitservers,roompolicies,events", "-o", "yaml"]).await;
        assert!(objects.contains("kind: LiveKitServer"), "{objects}");
        let told = objects + &self.operator.log();
        for ApiKey { secret, .. } in self.livekit.keys() {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
    }

    async fn wait_ready_in(&self, namespace: &str, status: &str, reason: &str) {
        eventually(AGAIN, "the tenant's policy", async || {
            let args = ["get", "roompolicy", "quiet", "-n", namespace, "-o", "json"];
            let text = self.cluster.kubectl(&args, None).await.ok();
            let object: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(condition(&object, "Stalled"), None, "{object:#}");
            match condition(&object, "Ready") {
                Some((is, why)) if is == status && why == reason => Ok(()),
                _ => Err(object["status"].to_string()),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_wrong_secret_and_then_the_right_one() {
    let (stage, witness) = witnessed().await;
    let right = stage.livekit.keys()[0].clone();
    stage.secret(&ApiKey::new(&right.key, "another-secret-of-at-least-32-bytes!")).await;
    stage.wait_both("False", "Unauthorized").await;
    stage.secret(&right).await;
    stage.wait_both("True", "NoActiveRooms").await;
    stage.enforces("anna").await;
    assert!(stage.kubectl(&["get", "events"]).await.contains("Unauthorized"));
    stage.tells_no_secret().await;
    witness.saw("Unauthorized");
}

#[tokio::test]
async fn a_secret_that_is_deleted_malformed_and_made_again() {
    let (stage, witness) = witnessed().await;
    stage.kubectl(&["delete", "secret", "livekit-keys"]).await;
    stage.wait_both("False", "SecretNotFound").await;
    let namespace = &stage.namespace;
    let empty = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: livekit-keys, namespace: {namespace}}}\nstringData: \
         {{LIVEKIT_API_KEY: '', LIVEKIT_API_SECRET: ''}}\n"
    );
    stage.cluster.apply(&empty).await;
    stage.wait_both("False", "SecretInvalid").await;
    stage.secret(&stage.livekit.keys()[0]).await;
    stage.wait_both("True", "NoActiveRooms").await;
    stage.enforces("anna").await;
    stage.tells_no_secret().await;
    witness.saw("SecretNotFound");
}

#[tokio::test]
async fn keys_are_rotated_with_a_restart_of_the_server() {
    // The server is asked this often at least, so that it is soon known not to take the key any more.
    let mut stage = Stage::with(Scene { resync_interval: Some("5s"), ..Scene::default() }).await;
    stage.policy("quiet", "hall-", QUIET).await;
    stage.enforces("anna").await;
    let witness = Witness::of(&stage).await;
    let new = ApiKey::new("newkey", "a-new-secret-for-tests-of-at-least-32-bytes");
    stage.livekit.rotate(vec![new.clone()]).await;
    stage.enforces_nothing("bert").await;
    stage.wait_both("False", "Unauthorized").await;
    stage.secret(&new).await;
    stage.wait_both("True", "Enforced").await;
    stage.enforces("carl").await;
    witness.saw("Unauthorized");
}

#[tokio::test]
async fn an_address_that_is_wrong_and_then_right() {
    let (stage, witness) = witnessed().await;
    let nobody = format!("{{\"spec\":{{\"url\":\"http://127.0.0.1:{}\"}}}}", free_port());
    stage.patch("livekitserver", "main", &nobody).await;
    stage.wait_both("False", "ServerUnreachable").await;
    // Somebody answers there, who is no LiveKit.
    let other = RecordingProxy::start(stage.operator.admin_url());
    stage.patch("livekitserver", "main", &format!("{{\"spec\":{{\"url\":\"{}\"}}}}", other.url())).await;
    other.wait_for("ListRooms", 1, SOON).await;
    stage.wait_both("False", "ServerUnreachable").await;
    stage.patch("livekitserver", "main", &format!("{{\"spec\":{{\"url\":\"{}\"}}}}", stage.livekit.url())).await;
    stage.wait_both("True", "NoActiveRooms").await;
    stage.enforces("anna").await;
    witness.saw("ServerUnreachable");
}

#[tokio::test]
async fn a_server_that_comes_after_its_policies() {
    let stage = Stage::set().await;
    stage.kubectl(&["delete", "livekitserver", "main"]).await;
    let witness = Witness::of(&stage).await;
    stage.policy_unseen("quiet", "hall-", QUIET).await;
    stage.wait_ready("roompolicy", "quiet", "False", "ServerNotFound").await;
    stage.cluster.apply(&stage.livekit.manifests(&stage.namespace, &stage.proxy.url(), "1h")).await;
    stage.wait_both("True", "NoActiveRooms").await;
    stage.enforces("anna").await;
    witness.saw("ServerNotFound");
}

#[tokio::test]
async fn a_namespace_that_is_forbidden_and_then_permitted() {
    let stage = Stage::set_for_all_namespaces().await;
    let tenant = stage.cluster.namespace("tenant").await;
    let (home, namespace) = (&stage.namespace, &tenant);
    let policy = format!(
        "apiVersion: usher.dev/v1alpha1
kind: RoomPolicy
metadata: {{name: quiet, namespace: {namespace}}}
spec:
  serverRef: {{name: main, namespace: {home}}}
  rooms: [{{prefix: hall-}}]
  rules:
  - name: quiet
    set:
      permission: {{canPublish: false}}
"
    );
    stage.cluster.apply(&policy).await;
    let guest = stage.join(&TokenSpec::new("hall-1", "anna")).await;
    stage.wait_ready_in(namespace, "False", "NotPermitted").await;
    assert!(guest.permission().can_publish);
    let access = format!(
        "{{\"spec\":{{\"access\":[{{\"name\":\"tenant\",\"namespaces\":{{\"names\":[\"{namespace}\"]}},\
         \"rooms\":[{{\"prefix\":\"hall-\"}}]}}]}}}}"
    );
    stage.patch("livekitserver", "main", &access).await;
    stage.wait_ready_in(namespace, "True", "Enforced").await;
    guest.wait_for(SOON, |info| !info.permission.can_publish).await;
    // And away again: what was done stays, who comes now is not touched.
    stage.patch("livekitserver", "main", "{\"spec\":{\"access\":null}}").await;
    stage.wait_ready_in(namespace, "False", "NotPermitted").await;
    stage.enforces_nothing("bert").await;
}

#[tokio::test]
async fn a_keys_file_with_two_keys_and_a_server_that_signs_with_the_second() {
    let mut stage = Stage::set().await;
    stage.policy("quiet", "hall-", QUIET).await;
    let old = stage.livekit.keys()[0].clone();
    let new = ApiKey::new("newkey", "a-new-secret-for-tests-of-at-least-32-bytes");
    let keys_file = |keys: &[&ApiKey]| {
        let lines: String = keys.iter().map(|ApiKey { key, secret }| format!("    {key}: {secret}\n")).collect();
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: keys-file, namespace: {}}}\nstringData:\n  keys.yaml: \
             |\n{lines}",
            stage.namespace
        )
    };
    stage.cluster.apply(&keys_file(&[&old, &new])).await;
    let credentials = "{\"spec\":{\"credentials\":{\"secretRef\":{\"name\":\"keys-file\"},\
                       \"keysFileKey\":\"keys.yaml\"}}}";
    stage.patch("livekitserver", "main", credentials).await;
    stage.enforces("anna").await;

    // The server knows both and signs its webhooks with the new one: the old one still signs our calls.
    let only_new = keys_file(&[&new]);
    stage.livekit.rotate(vec![new, old]).await;
    stage.enforces("bert").await;
    stage.cluster.apply(&only_new).await;
    stage.wait_both("True", "Enforced").await;
    stage.enforces("carl").await;
    stage.tells_no_secret().await;
}

/// Whoever may write a LiveKitServer, and not its Secret, could else have the keys sent to a server of his own.
#[tokio::test]
async fn a_secret_that_is_for_another_host_is_not_sent_there() {
    let (stage, witness) = witnessed().await;
    let host = |url: &str| format!("{{\"stringData\":{{\"LIVEKIT_URL\":\"{url}\"}}}}");
    stage.patch("secret", "livekit-keys", &host("wss://livekit.example.com")).await;
    stage.wait_both("False", "SecretInvalid").await;
    let server = stage.get("livekitserver", "main").await["status"].to_string();
    assert!(server.contains("LIVEKIT_URL") && !server.contains("livekit.example.com"), "{server}");
    stage.proxy.clear();
    stage.join(&TokenSpec::new("hall-1", "anna")).await.assert_unchanged_for(Duration::from_secs(2)).await;
    assert_eq!(stage.proxy.calls().len(), 0, "nothing is sent");
    stage.patch("secret", "livekit-keys", &host(&stage.proxy.url())).await;
    stage.wait_both("True", "Enforced").await;
    stage.tells_no_secret().await;
    witness.saw("SecretInvalid");
}

#[tokio::test]
async fn of_two_objects_for_one_server_the_later_is_idle_until_the_first_has_gone() {
    let stage = Stage::set().await;
    let twin = stage.livekit.manifests(&stage.namespace, &stage.proxy.url(), "1h").replace("name: main", "name: twin");
    stage.cluster.apply(&twin).await;
    stage.wait_ready("livekitserver", "twin", "False", "Conflicted").await;
    let object = stage.get("livekitserver", "twin").await;
    assert!(condition(&object, "Stalled").is_some() && object["status"].to_string().contains("/main"), "{object:#}");
    stage.wait_ready("livekitserver", "main", "True", "NoActiveRooms").await;
    stage.kubectl(&["delete", "livekitserver", "main"]).await;
    stage.wait_ready("livekitserver", "twin", "True", "NoActiveRooms").await;
}
