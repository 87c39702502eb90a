//! What is wrong around an object is named in its condition, and heals by itself when it is put right. It is never
//! Stalled meanwhile: pipelines give up on that.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use kube::{
    Api,
    api::{ApiResource, DynamicObject},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::Value;
use tokio::task::JoinHandle;
use usher::api::{LiveKitServer, RoomPolicy};
use usher_testkit::{ApiKey, Fault, RecordingProxy, TokenSpec, eventually, free_port};

use crate::stage::{AGAIN, QUIET, SOON, Scene, Stage, condition};

/// What is wrong must stand in a condition within five seconds. Ten more are for a machine that does much else, where the
/// API server, LiveKit and the test itself wait for their turn. The next listing of the rooms comes 27 s after the last
/// one at the earliest, and would not do.
const TOLD_WITHIN: Duration = Duration::from_secs(5 + 10);
/// What resyncInterval is where nobody sets it.
const DEFAULT_INTERVAL: &str = "30s";

const BOTH: [&str; 2] = ["LiveKitServer", "RoomPolicy"];

/// Sees every status that the objects of a namespace ever have.
struct Witness {
    seen: Arc<Mutex<Vec<Sight>>>,
    tasks: Vec<JoinHandle<()>>,
}

/// An object as the watch told of it.
struct Sight {
    at: Instant,
    kind: String,
    object: Value,
}

impl Witness {
    async fn of(stage: &Stage) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for resource in [ApiResource::erase::<LiveKitServer>(&()), ApiResource::erase::<RoomPolicy>(&())] {
            let client = stage.cluster.client().await;
            let api: Api<DynamicObject> = Api::namespaced_with(client, &stage.namespace, &resource);
            let (seen, kind) = (Arc::clone(&seen), resource.kind);
            tasks.push(tokio::spawn(async move {
                let mut objects = watcher(api, watcher::Config::default()).touched_objects().boxed();
                while let Some(object) = objects.try_next().await.expect("the API server is well") {
                    let object = serde_json::to_value(object).unwrap();
                    seen.lock().unwrap().push(Sight { at: Instant::now(), kind: kind.clone(), object });
                }
            }));
        }
        Self { seen, tasks }
    }

    /// Objects of these kinds have been not Ready for this reason, and soon after something went wrong.
    async fn told(&self, kinds: &[&str], reason: &str, since: Instant) {
        for kind in kinds {
            let told = eventually(SOON, &format!("the watch tells of {kind} {reason}"), async || {
                let seen = self.seen.lock().unwrap();
                let mut of_it = seen.iter().filter(|sight| sight.kind == *kind && sight.at >= since);
                let is_told = |sight: &&Sight| {
                    condition(&sight.object, "Ready").is_some_and(|(status, why)| status == "False" && why == reason)
                };
                of_it.find(is_told).map(|sight| sight.at - since).ok_or("not yet")
            })
            .await;
            assert!(told <= TOLD_WITHIN, "{kind} {reason} after {told:?}");
        }
    }

    /// Nothing was ever Stalled, and something was Reconciling for this reason.
    fn saw(self, reason: &str) {
        self.tasks.iter().for_each(JoinHandle::abort);
        let seen = self.seen.lock().unwrap();
        let is_reconciling =
            |sight: &Sight| condition(&sight.object, "Reconciling").is_some_and(|(_, why)| why == reason);
        assert!(seen.iter().any(is_reconciling));
        for Sight { object, .. } in seen.iter() {
            assert_eq!(condition(object, "Stalled"), None, "{object:#}");
        }
    }
}

/// A stage where all is well, nobody is there and nobody may publish, and who sees what becomes of it.
async fn witnessed() -> (Stage, Witness) {
    let stage = Stage::with(Scene { resync_interval: Some(DEFAULT_INTERVAL), ..Scene::default() }).await;
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

    /// The tenant's policy is so, and since when.
    async fn wait_ready_in(&self, namespace: &str, status: &str, reason: &str) -> Timestamp {
        eventually(AGAIN, "the tenant's policy", async || {
            let args = ["get", "roompolicy", "quiet", "-n", namespace, "-o", "json"];
            let text = self.cluster.kubectl(&args, None).await.ok();
            let object: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(condition(&object, "Stalled"), None, "{object:#}");
            match condition(&object, "Ready") {
                Some((is, why)) if is == status && why == reason => {
                    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
                    let mut ready = conditions.filter(|condition| condition["type"] == "Ready");
                    let since = ready.next().unwrap()["lastTransitionTime"].as_str().unwrap().parse();
                    Ok(since.expect("a time"))
                }
                _ => Err(object["status"].to_string()),
            }
        })
        .await
    }
}

/// A condition became so soon after a moment, by its own word.
fn soon_after(begun: Timestamp, since: Timestamp) {
    assert!(since.duration_since(begun).unsigned_abs() <= TOLD_WITHIN, "{begun} {since}");
}

#[tokio::test]
async fn a_wrong_secret_and_then_the_right_one() {
    let (stage, witness) = witnessed().await;
    let right = stage.livekit.keys()[0].clone();
    let begun = Instant::now();
    stage.secret(&ApiKey::new(&right.key, "another-secret-of-at-least-32-bytes!")).await;
    stage.wait_both("False", "Unauthorized").await;
    witness.told(&BOTH, "Unauthorized", begun).await;
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
    let begun = Instant::now();
    stage.kubectl(&["delete", "secret", "livekit-keys"]).await;
    stage.wait_both("False", "SecretNotFound").await;
    witness.told(&BOTH, "SecretNotFound", begun).await;
    let namespace = &stage.namespace;
    let empty = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: livekit-keys, namespace: {namespace}}}\nstringData: \
         {{LIVEKIT_API_KEY: '', LIVEKIT_API_SECRET: ''}}\n"
    );
    let begun = Instant::now();
    stage.cluster.apply(&empty).await;
    stage.wait_both("False", "SecretInvalid").await;
    witness.told(&BOTH, "SecretInvalid", begun).await;
    stage.secret(&stage.livekit.keys()[0]).await;
    stage.wait_both("True", "NoActiveRooms").await;
    stage.enforces("anna").await;
    stage.tells_no_secret().await;
    witness.saw("SecretNotFound");
}

#[tokio::test]
async fn keys_are_rotated_with_a_restart_of_the_server() {
    let (mut stage, witness) = witnessed().await;
    let new = ApiKey::new("newkey", "a-new-secret-for-tests-of-at-least-32-bytes");
    let begun = Instant::now();
    stage.livekit.rotate(vec![new.clone()]).await;
    // Nobody is there, and nobody asks for anything.
    stage.wait_both("False", "Unauthorized").await;
    witness.told(&BOTH, "Unauthorized", begun).await;
    stage.enforces_nothing("bert").await;
    stage.secret(&new).await;
    stage.wait_both("True", "Enforced").await;
    stage.enforces("carl").await;
    witness.saw("Unauthorized");
}

#[tokio::test]
async fn a_server_that_dies_where_nobody_is_and_comes_back() {
    let (stage, witness) = witnessed().await;
    eventually(SOON, "it is asked now and then whether it is there", async || {
        let pings = stage.proxy.pings();
        let answered = pings.iter().filter(|ping| ping.status == Some(http::StatusCode::OK)).count();
        if answered >= 2 { Ok(()) } else { Err(format!("{pings:?}")) }
    })
    .await;
    let begun = Instant::now();
    stage.livekit.kill().await;
    stage.wait_both("False", "ServerUnreachable").await;
    witness.told(&BOTH, "ServerUnreachable", begun).await;
    stage.livekit.restart().await;
    stage.wait_both("True", "NoActiveRooms").await;
    stage.enforces("anna").await;
    witness.saw("ServerUnreachable");
}

#[tokio::test]
async fn an_address_that_is_wrong_and_then_right() {
    let (stage, witness) = witnessed().await;
    let nobody = format!("{{\"spec\":{{\"url\":\"http://127.0.0.1:{}\"}}}}", free_port());
    let begun = Instant::now();
    stage.patch("livekitserver", "main", &nobody).await;
    stage.wait_both("False", "ServerUnreachable").await;
    witness.told(&BOTH, "ServerUnreachable", begun).await;
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
async fn a_server_that_wants_fewer_requests() {
    let (stage, witness) = witnessed().await;
    let begun = Instant::now();
    let (status, content_type) = (http::StatusCode::TOO_MANY_REQUESTS, "text/plain".to_owned());
    stage.proxy.fault("*", Fault::Reply { status, content_type, body: Default::default() });
    stage.wait_both("False", "RateLimited").await;
    witness.told(&BOTH, "RateLimited", begun).await;
    stage.proxy.clear_faults();
    stage.wait_both("True", "NoActiveRooms").await;
    stage.enforces("anna").await;
    witness.saw("RateLimited");
}

#[tokio::test]
async fn a_server_that_comes_after_its_policies() {
    let stage = Stage::set().await;
    stage.kubectl(&["delete", "livekitserver", "main"]).await;
    let witness = Witness::of(&stage).await;
    let begun = Instant::now();
    stage.policy_unseen("quiet", "hall-", QUIET).await;
    stage.wait_ready("roompolicy", "quiet", "False", "ServerNotFound").await;
    witness.told(&["RoomPolicy"], "ServerNotFound", begun).await;
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
    let begun = Timestamp::now();
    stage.cluster.apply(&policy).await;
    let guest = stage.join(&TokenSpec::new("hall-1", "anna")).await;
    soon_after(begun, stage.wait_ready_in(namespace, "False", "NotPermitted").await);
    assert!(guest.permission().can_publish);
    let access = format!(
        "{{\"spec\":{{\"access\":[{{\"name\":\"tenant\",\"namespaces\":{{\"names\":[\"{namespace}\"]}},\
         \"rooms\":[{{\"prefix\":\"hall-\"}}]}}]}}}}"
    );
    stage.patch("livekitserver", "main", &access).await;
    stage.wait_ready_in(namespace, "True", "Enforced").await;
    guest.wait_for(SOON, |info| !info.permission.can_publish).await;
    // And away again: what was done stays, who comes now is not touched.
    let begun = Timestamp::now();
    stage.patch("livekitserver", "main", "{\"spec\":{\"access\":null}}").await;
    soon_after(begun, stage.wait_ready_in(namespace, "False", "NotPermitted").await);
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
    assert_eq!((stage.proxy.calls().len(), stage.proxy.pings().len()), (0, 0), "nothing is sent");
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
