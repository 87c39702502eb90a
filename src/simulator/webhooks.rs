//! Delivers webhooks as LiveKit does (livekit/protocol webhook/resource_url_notifier.go): one queue for each address
//! and room, whose events go out one by one.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use livekit_protocol::WebhookEvent;
use tokio::{sync::mpsc, task::AbortHandle, time::Instant};

use super::clock::Clock;
use crate::livekit::{
    Credentials,
    pool::{Pool, Roots},
    webhook::sign,
};

/// A queue that nobody used for so long is given up.
const IDLE: Duration = Duration::from_secs(60);

/// How webhooks are delivered. The default is LiveKit's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookOptions {
    /// A queue with so many events takes no more.
    pub max_depth: usize,
    /// An event that waited so long is dropped.
    pub max_age: Duration,
    /// How often it is tried again after no connection, 429 or 5xx. Every other answer is a good one.
    pub retries: u32,
    /// How long after the first try; each further wait is twice as long.
    pub shortest_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
    /// How long one try may take. LiveKit itself waits without end.
    pub timeout: Duration,
}

impl Default for WebhookOptions {
    fn default() -> Self {
        Self {
            max_depth: 200,
            max_age: Duration::from_secs(30),
            retries: 4,
            shortest_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(30),
            timeout: Duration::from_secs(60),
        }
    }
}

impl WebhookOptions {
    /// Without LiveKit's limits: nothing is dropped within an hour.
    #[must_use]
    pub fn patient() -> Self {
        Self { max_depth: 1 << 20, max_age: Duration::from_secs(3600), retries: 1000, ..Self::default() }
    }
}

/// What became of webhooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebhookCounts {
    /// Sent, and answered.
    pub sent: u64,
    /// Dropped for a full queue or for their age.
    pub dropped: u64,
    /// Given up after the last try.
    pub failed: u64,
}

/// The queues. They end when this is dropped.
pub(super) struct Deliveries {
    inner: Arc<Inner>,
}

struct Inner {
    urls: Vec<Arc<str>>,
    key: Credentials,
    options: WebhookOptions,
    clock: Clock,
    pool: Pool,
    queues: Mutex<HashMap<(usize, String), Queue>>,
    sent: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

struct Queue {
    sender: mpsc::Sender<Queued>,
    worker: AbortHandle,
}

/// An event and when it came. The JSON is made when it is sent, for each address anew, as LiveKit does.
struct Queued {
    event: Arc<WebhookEvent>,
    at: Instant,
}

impl fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliveries").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Deliveries {
    /// None when the HTTP client cannot be set up.
    pub(super) fn new(urls: &[String], key: Credentials, options: WebhookOptions, clock: Clock) -> Option<Self> {
        let pool = Pool::new(Roots::for_urls(urls), options.timeout).ok()?;
        let urls = urls.iter().map(|url| url.as_str().into()).collect();
        let (sent, dropped, failed) = Default::default();
        let queues = Mutex::default();
        Some(Self { inner: Arc::new(Inner { urls, key, options, clock, pool, queues, sent, dropped, failed }) })
    }

    pub(super) fn counts(&self) -> WebhookCounts {
        WebhookCounts {
            sent: self.inner.sent.load(Ordering::Relaxed),
            dropped: self.inner.dropped.load(Ordering::Relaxed),
            failed: self.inner.failed.load(Ordering::Relaxed),
        }
    }

    /// Queues an event. Must be called within a Tokio runtime.
    pub(super) fn send(&self, event: &Arc<WebhookEvent>) {
        let room = event.room.as_ref().map(|room| room.name.clone()).unwrap_or_default();
        for url in 0..self.inner.urls.len() {
            let mut queues = self.inner.queues();
            let queue = queues.entry((url, room.clone())).or_insert_with(|| {
                let depth = self.inner.options.max_depth.clamp(1, 1 << 20);
                let (sender, receiver) = mpsc::channel(depth);
                let worker = tokio::spawn(work(Arc::clone(&self.inner), (url, room.clone()), receiver));
                Queue { sender, worker: worker.abort_handle() }
            });
            if queue.sender.try_send(Queued { event: Arc::clone(event), at: Instant::now() }).is_err() {
                self.inner.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        for queue in self.inner.queues().values() {
            queue.worker.abort();
        }
    }
}

impl Inner {
    fn queues(&self) -> MutexGuard<'_, HashMap<(usize, String), Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn deliver(&self, url: usize, queued: &Queued) {
        if queued.at.elapsed() > self.options.max_age {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let sent = match serde_json::to_vec(&*queued.event) {
            Ok(body) => self.post(&self.urls[url], body.into()).await,
            Err(_) => false,
        };
        let count = if sent { &self.sent } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it was taken, now or at a later try.
    async fn post(&self, url: &str, body: Bytes) -> bool {
        let signed = sign(&self.key, &body, self.clock.now().system()).ok();
        let Some(token) = signed.and_then(|token| HeaderValue::try_from(token).ok()) else { return false };
        let Ok(uri) = url.parse::<Uri>() else { return false };
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, token);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/webhook+json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("Go-http-client/1.1"));
        let mut wait = self.options.shortest_wait;
        for attempt in 0..=self.options.retries {
            if attempt > 0 {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(self.options.longest_wait);
            }
            let answer = tokio::time::timeout(self.options.timeout, self.pool.send(request.clone())).await;
            // 501 is not tried again either (go-retryablehttp baseRetryPolicy).
            if let Ok(Ok(answer)) = answer
                && !matches!(answer.status().as_u16(), 429 | 500 | 502..)
            {
                return true;
            }
        }
        false
    }
}

/// Sends the events of one queue until none has come for a while.
async fn work(inner: Arc<Inner>, key: (usize, String), mut queue: mpsc::Receiver<Queued>) {
    loop {
        match tokio::time::timeout(IDLE, queue.recv()).await {
            Ok(Some(queued)) => inner.deliver(key.0, &queued).await,
            Ok(None) => return,
            Err(_) => {
                let mut queues = inner.queues();
                // Whoever sends holds this lock: what is not here now does not come.
                if queue.is_empty() {
                    queues.remove(&key);
                    return;
                }
            }
        }
    }
}
