//! What can be had on the open-source server, and where its operator may not read a Secret.

use serde_json::{Value, json};
use tokio::net::TcpListener;
use usher::api::Reason;
use usher_testkit::{Fault, LiveKitOptions, RecordingProxy, TokenSpec, eventually};

use super::{CURRENT, Expected, FAILED, SUSPENDED, WAITS, expect, find};
use crate::stage::{AGAIN, SOON, Scene, Stage, condition};

/// The cast: every object has a name of its own, so that the table of what is expected can name it.
struct Cast {
    stage: Stage,
    other: String,
    // They end with the test.
    _proxies: Vec<RecordingProxy>,
    _silent: TcpListener,
}

impl Cast {
    async fn server(stage: &Stage, name: &str, url: &str, secret: &str, more: &str) {
        let namespace = &stage.namespace;
        stage
            .cluster
            .apply(&format!(
                "{{apiVersion: usher.dev/v1alpha1, kind: LiveKitServer, metadata: {{name: {name}, namespace: {namespace}}}, \
                 spec: {{url: '{url}', credentials: {{secretRef: {{name: {secret}}}}}, resyncInterval: 5s{more}}}}}"
            ))
            .await;
    }

    async fn policy(stage: &Stage, name: &str, server: &str, more: &str) {
        let namespace = &stage.namespace;
        let spec = if more.contains("rules:") { more.to_owned() } else { format!("{RULES}{more}") };
        stage
            .cluster
            .apply(&format!(
                "{{apiVersion: usher.dev/v1alpha1, kind: RoomPolicy, metadata: {{name: {name}, namespace: {namespace}}}, \
                 spec: {{serverRef: {{name: {server}}}, {spec}}}}}"
            ))
            .await;
    }

    async fn transfers(stage: &Stage, name: &str, server: &str, more: &str) {
        let namespace = &stage.namespace;
        for (kind, to) in [("ParticipantForward", "destinationRooms: [o]"), ("ParticipantMove", "destinationRoom: o")] {
            stage
                .cluster
                .apply(&format!(
                    "{{apiVersion: usher.dev/v1alpha1, kind: {kind}, metadata: {{name: {name}, namespace: {namespace}}}, \
                     spec: {{serverRef: {{name: {server}}}, source: {{rooms: [{{prefix: {name}-}}]}}, {to}{more}}}}}"
                ))
                .await;
        }
    }

    /// Brings about every reason that can be had in a moment.
    async fn enter() -> Self {
        let livekit = LiveKitOptions { max_metadata_size: Some(100), ..LiveKitOptions::default() };
        let mut stage = Stage::with(Scene { resync_interval: Some("5s"), livekit, ..Scene::default() }).await;
        let other = stage.cluster.namespace("tenant").await;
        stage.also_watch(&[&other]).await;
        let namespace = stage.namespace.clone();
        let secret = |name: &str, more: &str| {
            format!(
                "{{apiVersion: v1, kind: Secret, metadata: {{name: {name}, namespace: {namespace}}}, stringData: \
                 {{LIVEKIT_API_KEY: devkey, {more}}}}}"
            )
        };
        let good = stage.livekit.keys()[0].secret.clone();
        stage.cluster.apply(&secret("wrong", "LIVEKIT_API_SECRET: not-the-secret-of-this-server-at-all")).await;
        let elsewhere = format!("LIVEKIT_API_SECRET: {good}, LIVEKIT_URL: 'wss://livekit.example.com'");
        stage.cluster.apply(&secret("for-another-host", &elsewhere)).await;
        let ca = "{apiVersion: v1, kind: ConfigMap, metadata: {name: no-ca}, data: {ca.crt: nonsense}}";
        stage.cluster.kubectl(&["apply", "-n", &namespace, "-f", "-"], Some(ca)).await.ok();

        let proxies: Vec<_> = (0..4).map(|_| RecordingProxy::start(stage.livekit.url())).collect();
        proxies[1].fault("ListRooms", Fault::twirp(429, "resource_exhausted", "too fast"));
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let silent_url = format!("http://{}", silent.local_addr().expect("an address"));
        let main = stage.proxy.url();
        for (name, url, secret, more) in [
            ("twin", main.as_str(), "livekit-keys", ""),
            ("asleep", &proxies[0].url(), "livekit-keys", ", suspend: true"),
            ("calm", &proxies[3].url(), "livekit-keys", ""),
            ("hasty", &proxies[1].url(), "livekit-keys", ""),
            ("locked", &proxies[2].url(), "wrong", ""),
            ("keyless", &main, "nowhere", ""),
            ("redirected", &main, "for-another-host", ""),
            ("caless", "https://127.0.0.1:2", "livekit-keys", ", caBundle: {configMapRef: {name: nowhere, key: a}}"),
            ("badca", "https://127.0.0.1:3", "livekit-keys", ", caBundle: {configMapRef: {name: no-ca, key: ca.crt}}"),
            ("away", "http://127.0.0.1:1", "livekit-keys", ""),
            ("slow", &silent_url, "livekit-keys", ", requests: {timeout: 60s}"),
        ] {
            Self::server(&stage, name, url, secret, more).await;
            Self::policy(&stage, &format!("of-{name}"), name, "").await;
        }
        for (name, more) in [
            ("enforced", ""),
            ("audited", ", mode: Audit"),
            ("suspended", ", suspend: true"),
            ("idle", "rooms: [{exact: nobody-here}], rules: [{name: a, keep: true}]"),
            ("invalid", "rooms: [{regex: '('}], rules: [{name: a, keep: true}]"),
            (
                "refused",
                &format!("rooms: [{{exact: hall-1}}], rules: [{{name: a, set: {{metadata: {}}}}}]", "x".repeat(200)),
            ),
        ] {
            Self::policy(&stage, name, "main", more).await;
        }
        Self::policy(&stage, "orphan", "nowhere", "").await;
        // Where none was tried, nobody knows that the server cannot.
        Self::transfers(&stage, "idle", "calm", "").await;
        Self::transfers(&stage, "busy", "main", "").await;
        Self::transfers(&stage, "sleepy", "main", ", suspend: true").await;
        let tenant = format!("spec: {{serverRef: {{name: main, namespace: {namespace}}}, {RULES}}}");
        let tenant = format!(
            "{{apiVersion: usher.dev/v1alpha1, kind: RoomPolicy, metadata: {{name: intruder, namespace: {other}}}, {tenant}}}"
        );
        stage.cluster.apply(&tenant).await;
        Self { stage, other, _proxies: proxies, _silent: silent }
    }

    async fn objects(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for namespace in [&self.stage.namespace, &self.other] {
            let args = ["get", "usher", "-n", namespace, "-o", "json"];
            let list: Value = serde_json::from_str(&self.stage.cluster.kubectl(&args, None).await.ok()).expect("JSON");
            all.extend(list["items"].as_array().cloned().unwrap_or_default());
        }
        all
    }
}

const RULES: &str = "rooms: [{exact: hall-1}], rules: [{name: a, set: {attributes: {seat: back}}}]";

pub(super) const EXPECTED: &[Expected] = &[
    ("LiveKitServer", "main", Reason::Enforced, CURRENT),
    ("RoomPolicy", "enforced", Reason::Enforced, CURRENT),
    ("RoomPolicy", "audited", Reason::Audited, CURRENT),
    ("RoomPolicy", "idle", Reason::NoActiveRooms, CURRENT),
    ("ParticipantForward", "idle", Reason::NoActiveRooms, CURRENT),
    ("ParticipantMove", "idle", Reason::NoActiveRooms, CURRENT),
    ("RoomPolicy", "suspended", Reason::Suspended, SUSPENDED),
    ("ParticipantForward", "sleepy", Reason::Suspended, SUSPENDED),
    ("ParticipantMove", "sleepy", Reason::Suspended, SUSPENDED),
    ("LiveKitServer", "asleep", Reason::Suspended, SUSPENDED),
    ("RoomPolicy", "of-asleep", Reason::Suspended, SUSPENDED),
    ("LiveKitServer", "slow", Reason::Progressing, WAITS),
    ("RoomPolicy", "of-slow", Reason::Progressing, WAITS),
    ("RoomPolicy", "orphan", Reason::ServerNotFound, WAITS),
    ("RoomPolicy", "intruder", Reason::NotPermitted, WAITS),
    ("LiveKitServer", "keyless", Reason::SecretNotFound, WAITS),
    ("RoomPolicy", "of-keyless", Reason::SecretNotFound, WAITS),
    ("LiveKitServer", "redirected", Reason::SecretInvalid, WAITS),
    ("LiveKitServer", "caless", Reason::CaBundleNotFound, WAITS),
    ("LiveKitServer", "badca", Reason::CaBundleInvalid, WAITS),
    ("LiveKitServer", "locked", Reason::Unauthorized, WAITS),
    ("RoomPolicy", "of-locked", Reason::Unauthorized, WAITS),
    ("LiveKitServer", "away", Reason::ServerUnreachable, WAITS),
    ("LiveKitServer", "hasty", Reason::RateLimited, WAITS),
    ("RoomPolicy", "refused", Reason::EnforcementFailed, WAITS),
    ("RoomPolicy", "unmuting", Reason::RemoteUnmuteDisabled, WAITS),
    ("RoomPolicy", "invalid", Reason::Invalid, FAILED),
    ("ParticipantForward", "busy", Reason::UnsupportedByServer, FAILED),
    ("ParticipantMove", "busy", Reason::UnsupportedByServer, FAILED),
    ("LiveKitServer", "twin", Reason::Conflicted, FAILED),
    // The policy itself is right: another object must change.
    ("RoomPolicy", "of-twin", Reason::Conflicted, WAITS),
];

#[tokio::test]
async fn argo_cd_and_kstatus_say_what_we_mean() {
    let cast = Cast::enter().await;
    let stage = &cast.stage;
    let _enforced = stage.join(&TokenSpec::new("hall-1", "anna")).await;
    let speaker = stage.join(&TokenSpec::new("hall-2", "bert")).await;
    let track = speaker.publish("audio", "MICROPHONE", "voice").await;
    speaker.wait_published(&track, SOON).await;
    speaker.mute(&track, true).await;
    eventually(SOON, "LiveKit knows that it is muted", async || {
        let there = stage.livekit.participants("hall-2").await;
        if there.iter().any(|info| info["tracks"][0]["muted"] == true) { Ok(()) } else { Err(format!("{there:?}")) }
    })
    .await;
    // Only now: it has its turn once.
    let unmuting = "rooms: [{exact: hall-2}], rules: [{name: a, mute: {muted: false}}]";
    Cast::policy(stage, "unmuting", "main", unmuting).await;
    let _busy = stage.join(&TokenSpec::new("busy-1", "carl")).await;

    let mut objects = Vec::new();
    for (kind, name, reason, _) in EXPECTED {
        eventually(2 * AGAIN, &format!("{kind} {name} {reason}"), async || {
            objects = cast.objects().await;
            let object = find(&objects, kind, name);
            match condition(object, "Ready") {
                Some((_, found)) if found == reason.as_str() => Ok(()),
                _ => Err(object["status"].to_string()),
            }
        })
        .await;
    }
    let judge = EXPECTED.iter().map(|(kind, name, _, verdict)| (find(&objects, kind, name).clone(), *verdict));
    expect(&judge.collect::<Vec<_>>()).await;

    // Nobody looks any more: what has changed since, and what is new, is not as it is told.
    stage.operator.kill().await;
    let patch = "{\"spec\":{\"priority\":7}}";
    stage.kubectl(&["patch", "roompolicy", "enforced", "--type=merge", "-p", patch]).await;
    Cast::policy(stage, "new", "main", "").await;
    Cast::transfers(stage, "new", "main", "").await;
    Cast::server(stage, "new", "http://127.0.0.1:1", "livekit-keys", "").await;
    let objects = cast.objects().await;
    let kinds = ["LiveKitServer", "RoomPolicy", "ParticipantForward", "ParticipantMove"];
    for kind in kinds {
        assert_eq!(find(&objects, kind, "new")["status"], json!({"observedGeneration": -1}), "{kind}");
    }
    let mut judge: Vec<_> = kinds.map(|kind| (find(&objects, kind, "new").clone(), WAITS)).to_vec();
    judge.push((find(&objects, "RoomPolicy", "enforced").clone(), WAITS));
    expect(&judge).await;
}

pub(super) const FORBIDDEN: &[Expected] = &[
    ("LiveKitServer", "forbidden", Reason::SecretForbidden, WAITS),
    ("RoomPolicy", "of-forbidden", Reason::SecretForbidden, WAITS),
];

#[tokio::test]
async fn a_secret_that_may_not_be_read_is_waited_for() {
    let stage = Stage::set().await;
    // The chart was told of others.
    Cast::server(&stage, "forbidden", "http://127.0.0.1:1", "unnamed", "").await;
    Cast::policy(&stage, "of-forbidden", "forbidden", "").await;
    let mut objects = Vec::new();
    for (kind, name, reason, verdict) in FORBIDDEN {
        stage.wait_ready(kind, name, "False", reason.as_str()).await;
        objects.push((stage.get(kind, name).await, *verdict));
    }
    expect(&objects).await;
}
