//! Argo CD and kstatus on statuses that the operator wrote, and on those of objects that it has not looked at.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use usher::api::Reason;
use usher_testkit::{
    Fault, Launch, LiveKitOptions, RecordingProxy, TokenSpec, eventually, repository, scratch, stack_binary,
};

use crate::stage::{AGAIN, SOON, Scene, Stage, condition};

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

/// Kind and name, the reason that the operator is to give, and what is to be said of it. Without a reason: not looked at.
const EXPECTED: &[(&str, &str, Option<Reason>, Verdict)] = &[
    ("LiveKitServer", "main", Some(Reason::Enforced), CURRENT),
    ("RoomPolicy", "enforced", Some(Reason::Enforced), CURRENT),
    ("RoomPolicy", "audited", Some(Reason::Audited), CURRENT),
    ("RoomPolicy", "idle", Some(Reason::NoActiveRooms), CURRENT),
    ("ParticipantForward", "idle", Some(Reason::NoActiveRooms), CURRENT),
    ("ParticipantMove", "idle", Some(Reason::NoActiveRooms), CURRENT),
    ("RoomPolicy", "suspended", Some(Reason::Suspended), SUSPENDED),
    ("ParticipantForward", "sleepy", Some(Reason::Suspended), SUSPENDED),
    ("ParticipantMove", "sleepy", Some(Reason::Suspended), SUSPENDED),
    ("LiveKitServer", "asleep", Some(Reason::Suspended), SUSPENDED),
    ("RoomPolicy", "of-asleep", Some(Reason::Suspended), SUSPENDED),
    ("LiveKitServer", "slow", Some(Reason::Progressing), WAITS),
    ("RoomPolicy", "of-slow", Some(Reason::Progressing), WAITS),
    ("RoomPolicy", "orphan", Some(Reason::ServerNotFound), WAITS),
    ("RoomPolicy", "intruder", Some(Reason::NotPermitted), WAITS),
    ("LiveKitServer", "keyless", Some(Reason::SecretNotFound), WAITS),
    ("RoomPolicy", "of-keyless", Some(Reason::SecretNotFound), WAITS),
    ("LiveKitServer", "redirected", Some(Reason::SecretInvalid), WAITS),
    ("LiveKitServer", "caless", Some(Reason::CaBundleNotFound), WAITS),
    ("LiveKitServer", "badca", Some(Reason::CaBundleInvalid), WAITS),
    ("LiveKitServer", "locked", Some(Reason::Unauthorized), WAITS),
    ("RoomPolicy", "of-locked", Some(Reason::Unauthorized), WAITS),
    ("LiveKitServer", "away", Some(Reason::ServerUnreachable), WAITS),
    ("LiveKitServer", "hasty", Some(Reason::RateLimited), WAITS),
    ("RoomPolicy", "refused", Some(Reason::EnforcementFailed), WAITS),
    ("RoomPolicy", "unmuting", Some(Reason::RemoteUnmuteDisabled), WAITS),
    ("RoomPolicy", "invalid", Some(Reason::Invalid), FAILED),
    ("ParticipantForward", "busy", Some(Reason::UnsupportedByServer), FAILED),
    ("ParticipantMove", "busy", Some(Reason::UnsupportedByServer), FAILED),
    ("LiveKitServer", "twin", Some(Reason::Conflicted), FAILED),
    // The policy itself is right: another object must change.
    ("RoomPolicy", "of-twin", Some(Reason::Conflicted), WAITS),
];

/// What cannot be brought about in a moment, or not on this server.
const ELSEWHERE: [Reason; 4] =
    [Reason::SecretForbidden, Reason::IdentityInUse, Reason::UndoneByOthers, Reason::MoveLoop];

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
        let wanted = reason.map(Reason::as_str);
        eventually(2 * AGAIN, &format!("{kind} {name} {wanted:?}"), async || {
            objects = cast.objects().await;
            let object = find(&objects, kind, name);
            let found = condition(object, "Ready").map(|(_, reason)| reason);
            if found.as_deref() == wanted { Ok(()) } else { Err(object["status"].to_string()) }
        })
        .await;
    }
    let judge = EXPECTED.iter().map(|(kind, name, _, verdict)| (find(&objects, kind, name).clone(), *verdict));
    expect(&judge.collect::<Vec<_>>()).await;
    let seen: BTreeSet<_> = EXPECTED.iter().filter_map(|(_, _, reason, _)| *reason).collect();
    for reason in Reason::ALL {
        assert!(seen.contains(reason) != ELSEWHERE.contains(reason), "{reason} is in exactly one of the two lists");
    }

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
