//! Webhooks: that they are signed, in order, limited as LiveKit's, and go wrong on demand.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use livekit_protocol::{DisconnectReason, TrackSource, WebhookEvent};
use usher::{
    livekit::webhook::Verifier,
    simulator::{Join, Options, Publication, Running, Simulator, WebhookFaults, WebhookOptions},
};
use usher_testkit::eventually;

use crate::support::{key, options};

const SOON: Duration = Duration::from_secs(10);

/// Takes webhooks, verifies them and keeps them.
#[derive(Clone, Default)]
struct Receiver {
    events: Arc<Mutex<Vec<WebhookEvent>>>,
    /// What it answers; zero is 200.
    status: Arc<AtomicU16>,
    url: String,
}

impl Receiver {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let receiver = Self { url, ..Self::default() };
        let (events, status) = (Arc::clone(&receiver.events), Arc::clone(&receiver.status));
        let receive = async move |headers: HeaderMap, body: Bytes| {
            assert_eq!(headers["content-type"], "application/webhook+json");
            let authorization = headers["authorization"].to_str().unwrap();
            let event = Verifier::new(&[key()]).verify(authorization, &body, SystemTime::now()).unwrap();
            events.lock().unwrap().push(event);
            let status = status.load(Ordering::SeqCst).max(200);
            axum::http::StatusCode::from_u16(status).unwrap()
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", post(receive))).await.unwrap() });
        receiver
    }

    fn options(&self) -> Options {
        Options { webhook_urls: vec![self.url.clone()], ..options() }
    }

    fn names(&self) -> Vec<String> {
        self.events.lock().unwrap().iter().map(|event| event.event.clone()).collect()
    }

    async fn wait(&self, count: usize) -> Vec<String> {
        eventually(SOON, "webhooks", async || {
            let names = self.names();
            if names.len() >= count { Ok(()) } else { Err(format!("{names:?}")) }
        })
        .await;
        self.names()
    }
}

#[tokio::test]
async fn they_are_signed_and_in_order() {
    let receiver = Receiver::start().await;
    let server = Running::start(receiver.options()).await.unwrap();
    let simulator = server.simulator();
    simulator.join(Join::new("room", "ann").attribute("role", "host")).unwrap();
    simulator.publish("room", "ann", &Publication::of(TrackSource::Camera)).unwrap().unwrap();
    simulator.begin_to_join(Join::new("room", "bob")).unwrap();
    for identity in ["bob", "ann"] {
        simulator.leave("room", identity, DisconnectReason::ClientInitiated).unwrap();
    }
    let names = [
        "room_started",
        "participant_joined",
        "track_published",
        "participant_connection_aborted",
        "track_unpublished",
        "participant_left",
    ];
    assert_eq!(receiver.wait(6).await, names);
    let joined = receiver.events.lock().unwrap()[1].clone();
    assert_eq!(joined.participant.unwrap().attributes["role"], "host");
    assert_eq!(simulator.webhook_counts().sent, 6);
}

#[tokio::test]
async fn errors_are_tried_again() {
    let receiver = Receiver::start().await;
    let webhooks = WebhookOptions { shortest_wait: Duration::from_millis(5), retries: 2, ..WebhookOptions::default() };
    let server = Running::start(Options { webhooks, ..receiver.options() }).await.unwrap();
    for (status, tries) in [(500, 3), (429, 3), (501, 1), (404, 1)] {
        receiver.status.store(status, Ordering::SeqCst);
        receiver.events.lock().unwrap().clear();
        // A room of its own, for a queue of its own: the waiting of one does not hold up another.
        server.simulator().join(Join::new(&format!("room-{status}"), "ann")).unwrap();
        receiver.wait(2 * tries).await;
        assert_eq!(receiver.names().len(), 2 * tries, "{status}");
    }
    eventually(SOON, "the counts", async || {
        let counts = server.simulator().webhook_counts();
        if (counts.sent, counts.failed) == (4, 4) { Ok(()) } else { Err(format!("{counts:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_queue_is_so_deep_and_no_deeper() {
    let receiver = Receiver::start().await;
    let webhooks = WebhookOptions { max_depth: 5, ..WebhookOptions::default() };
    let server = Running::start(Options { webhooks, ..receiver.options() }).await.unwrap();
    for identity in 0..50 {
        // Without a pause in which one could be sent.
        server.simulator().join(Join::new("room", &identity.to_string())).unwrap();
    }
    server.simulator().join(Join::new("other", "ann")).unwrap();
    receiver.wait(7).await;
    let counts = server.simulator().webhook_counts();
    assert_eq!(counts.dropped, 51 - 5, "the other room has a queue of its own");
}

#[tokio::test]
async fn the_limits_are_livekits_unless_they_are_switched_off() {
    let livekits = WebhookOptions::default();
    let (age, waits) = (Duration::from_secs(30), [Duration::from_secs(1), Duration::from_secs(30)]);
    assert_eq!((livekits.max_depth, livekits.max_age, livekits.retries), (200, age, 4));
    assert_eq!([livekits.shortest_wait, livekits.longest_wait], waits);
    for (webhooks, dropped) in [(livekits, 501 - 200), (WebhookOptions::patient(), 0)] {
        let receiver = Receiver::start().await;
        let server = Running::start(Options { webhooks, ..receiver.options() }).await.unwrap();
        for identity in 0..500 {
            // Without a pause in which one could be sent.
            server.simulator().join(Join::new("room", &identity.to_string())).unwrap();
        }
        assert_eq!(server.simulator().webhook_counts().dropped, dropped);
        receiver.wait(501 - usize::try_from(dropped).unwrap()).await;
    }
}

#[tokio::test]
async fn an_old_event_is_dropped() {
    let receiver = Receiver::start().await;
    let webhooks = WebhookOptions { max_age: Duration::ZERO, ..WebhookOptions::default() };
    let server = Running::start(Options { webhooks, ..receiver.options() }).await.unwrap();
    server.simulator().join(Join::new("room", "ann")).unwrap();
    eventually(SOON, "the counts", async || {
        let counts = server.simulator().webhook_counts();
        if counts.dropped == 2 { Ok(()) } else { Err(format!("{counts:?}")) }
    })
    .await;
}

/// What a listener in this process hears of twenty who come.
async fn hear(faults: WebhookFaults) -> Vec<String> {
    let simulator = Simulator::new(Options { start: None, ..options() });
    let mut events = simulator.listen(1000);
    simulator.set_webhook_faults(faults);
    for number in 0..20 {
        simulator.join(Join::new("room", &format!("{number:02}"))).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    simulator.heal();
    let mut heard = Vec::new();
    while let Ok(event) = events.try_recv() {
        heard.extend(event.participant.as_ref().map(|participant| participant.identity.clone()));
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn they_are_lost_late_doubled_and_swapped_on_demand() {
    let all: Vec<_> = (0..20).map(|number| format!("{number:02}")).collect();
    assert_eq!(hear(WebhookFaults::default()).await, all);
    assert_eq!(hear(WebhookFaults { lost: 1.0, ..Default::default() }).await, [""; 0]);
    let doubled: Vec<_> = all.iter().flat_map(|one| [one.clone(), one.clone()]).collect();
    assert_eq!(hear(WebhookFaults { doubled: 1.0, ..Default::default() }).await, doubled);

    let some = hear(WebhookFaults { lost: 0.5, ..Default::default() }).await;
    assert!((4..=16).contains(&some.len()), "{some:?}");
    let delay = Duration::from_secs(1)..=Duration::from_secs(9);
    for faults in
        [WebhookFaults { late: 0.5, delay, ..Default::default() }, WebhookFaults { swapped: 0.5, ..Default::default() }]
    {
        let mut heard = hear(faults.clone()).await;
        assert_ne!(heard, all, "{faults:?}");
        heard.sort();
        assert_eq!(heard, all, "{faults:?}");
    }
}
