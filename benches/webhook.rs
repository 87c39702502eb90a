//! What a webhook costs on its way from the socket to the request, without LiveKit: the peer is in memory and the
//! connection on loopback, both on the thread that measures.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    collections::HashMap,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
};
use usher::{
    api::RoomPolicySpec,
    engine::{Catalog, Engine, Limits, Reports, RoomService, Routes, Server, ServerView},
    http::{self, Guests},
    livekit::{
        Credentials, Error,
        webhook::{Verifier, sign},
    },
    metrics::Metrics,
    policy::{Member, ObjectName, Participant, Policy, PolicySet, Reach, Update},
};

const RULE: &str =
    "{serverRef: {name: main}, rooms: [{glob: '*'}], rules: [{name: quiet, set: {permission: {canPublish: false}}}]}";

fn credentials() -> Credentials {
    Credentials::new("devkey", "a-secret-for-tests-of-at-least-32-bytes")
}

/// As LiveKit 1.13 writes it, with what a participant of an application brings along.
fn joined(number: u64) -> Vec<u8> {
    let now = Timestamp::now();
    json!({
        "event": "participant_joined",
        "room": {
            "sid": "RM_9vbUn6rGhFzq", "name": "webinar-42", "emptyTimeout": 300, "departureTimeout": 20,
            "creationTime": now.as_second().to_string(), "creationTimeMs": now.as_millisecond().to_string(),
            "turnPassword": "DPe6tQ2vSXrSVTxx1bWSL0NUgvZZ3FkRqkFVJf3D5XE",
            "enabledCodecs": [{"mime": "audio/opus"}, {"mime": "video/VP8"}, {"mime": "video/H264"}],
        },
        "participant": {
            "sid": format!("PA_{number}"), "identity": format!("guest-{number}"), "state": "ACTIVE",
            "metadata": "{\"avatar\":\"https://example.com/avatars/1234567890.png\",\"team\":\"a\"}",
            "joinedAt": now.as_second().to_string(), "joinedAtMs": now.as_millisecond().to_string(),
            "name": "A Guest", "version": 2,
            "permission": {"canSubscribe": true, "canPublish": true, "canPublishData": true},
            "attributes": {"role": "listener", "plan": "free"},
        },
        "id": format!("EV_{number}"),
        "createdAt": now.as_second().to_string(),
    })
    .to_string()
    .into_bytes()
}

/// Tells of each update, and nothing else.
struct Peer(mpsc::UnboundedSender<()>);

impl RoomService for Peer {
    async fn ping(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn rooms(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    async fn participants(&self, _: &str) -> Result<Vec<Participant>, Error> {
        Ok(Vec::new())
    }

    async fn participant(&self, _: &str, identity: &str) -> Result<Participant, Error> {
        Ok(somebody(identity))
    }

    async fn update(&self, _: &str, identity: &str, _: &Update) -> Result<Participant, Error> {
        let _ = self.0.send(());
        Ok(somebody(identity))
    }

    async fn remove(&self, _: &str, _: &str, _: bool) -> Result<(), Error> {
        Ok(())
    }

    async fn mute(&self, _: &str, _: &str, _: &str, _: bool) -> Result<bool, Error> {
        Ok(true)
    }

    async fn forward(&self, _: &str, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }

    async fn move_to(&self, _: &str, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

/// As they are after the update.
fn somebody(identity: &str) -> Participant {
    let mut quiet = Participant::new(&identity.replace("guest-", "PA_"), identity, Timestamp::now());
    quiet.permission.can_publish = false;
    Participant { version: 3, ..quiet }
}

/// The receiver and the engine, and a connection to them.
struct Path {
    stream: TcpStream,
    updates: mpsc::UnboundedReceiver<()>,
    _stop: watch::Sender<bool>,
    _catalog: watch::Sender<Option<Arc<Catalog<Peer>>>>,
}

impl Path {
    async fn lay() -> Self {
        let spec: RoomPolicySpec = serde_saphyr::from_str(RULE).unwrap();
        let policy = Arc::new(Policy::compile(ObjectName::new("default", "quiet"), &spec).unwrap());
        let (told, updates) = mpsc::unbounded_channel();
        let server = ObjectName::new("default", "main");
        let view = ServerView {
            server: server.clone(),
            service: Arc::new(Peer(told)),
            policies: Arc::new(PolicySet::new(vec![Member { policy, reach: Reach::Home }], Vec::new())),
            transfers: Arc::default(),
            resync_interval: Duration::from_secs(30),
            limits: Limits { rate: None, max_in_flight: 32 },
            suspended: false,
            resync_request: 0,
        };
        let verifier = Arc::new(Verifier::new([&credentials()]));
        let servers = HashMap::from([(server, Server { view: Arc::new(view), verifier })]);
        let (catalog, catalogs) = watch::channel(Some(Arc::new(Catalog { servers })));
        let (reporting, _) = watch::channel(Reports::new());
        let (stop, stopped) = watch::channel(false);
        let (routes, metrics) = (Routes::default(), Arc::new(Metrics::new()));
        tokio::spawn(Engine::new(catalogs, reporting, routes.clone(), Arc::clone(&metrics)).run(stopped.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = http::webhooks(routes, Arc::clone(&metrics));
        tokio::spawn(http::serve(listener, router, Guests::Known(metrics), stopped));
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        Self { stream, updates, _stop: stop, _catalog: catalog }
    }

    /// Sends a webhook and waits for the update and for the answer.
    async fn go(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.unwrap();
        self.updates.recv().await.unwrap();
        let mut answer = [0; 512];
        let mut received = 0;
        while !answer[..received].ends_with(b"\r\n\r\n") {
            received += self.stream.read(&mut answer[received..]).await.unwrap();
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}

fn request(number: u64) -> Vec<u8> {
    let body = joined(number);
    let token = sign(&credentials(), &body, SystemTime::now()).unwrap();
    let head = format!(
        "POST /webhooks/default/main HTTP/1.1\r\nHost: usher\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: {}\r\n\
         Authorization: {token}\r\nContent-Type: application/webhook+json\r\nAccept-Encoding: gzip\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

fn path(criterion: &mut Criterion, name: &str, runtime: &Runtime) {
    let mut path = runtime.block_on(Path::lay());
    let mut number = 0;
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|times| {
            runtime.block_on(async {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    number += 1;
                    let request = request(number);
                    let begun = Instant::now();
                    path.go(&request).await;
                    spent += begun.elapsed();
                }
                spent
            })
        });
    });
}

fn webhook(criterion: &mut Criterion) {
    let (verifier, body) = (Verifier::new([&credentials()]), joined(0));
    let now = SystemTime::now();
    let token = sign(&credentials(), &body, now).unwrap();
    criterion.bench_function("check the token", |bencher| {
        bencher.iter(|| verifier.check(black_box(&token), now).unwrap());
    });
    let signed = verifier.check(&token, now).unwrap();
    criterion.bench_function("hash and parse the body", |bencher| {
        bencher.iter(|| signed.read(black_box(&body)).unwrap());
    });
    let one = Builder::new_current_thread().enable_all().build().unwrap();
    path(criterion, "webhook to request, one thread", &one);
    let two = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    path(criterion, "webhook to request, two threads", &two);
}

criterion_group!(benches, webhook);
criterion_main!(benches);
