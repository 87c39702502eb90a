//! A reverse proxy for plain HTTP/1.1 that writes down what passes and breaks it where told.

use super::fault::{Fault, Rule};
use crate::net::{Reply, free_port, request};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// One request that came by.
#[derive(Clone, Debug)]
pub struct Call {
    /// The last part of the path: for Twirp the method's name.
    pub method: String,
    /// The whole path.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as it came.
    pub body: Bytes,
    /// When it had arrived.
    pub at: Instant,
    /// The same on the wall clock, to compare with what participants say.
    pub arrived: Timestamp,
    /// What it was answered; none as long as it was not.
    pub status: Option<StatusCode>,
    /// How long that took.
    pub took: Option<Duration>,
}

/// A proxy on a thread and a runtime of its own, so that it works while the test's runtime does something else, and
/// ends when it is dropped.
#[derive(Debug)]
pub(super) struct Engine {
    port: u16,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// Where requests go on to; the path is kept.
    target: Mutex<Option<String>>,
    calls: Mutex<Vec<Call>>,
    grown: watch::Sender<()>,
    rules: Mutex<Vec<Rule>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    pub(super) fn start(target: Option<String>) -> Self {
        let port = free_port();
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            calls: Mutex::default(),
            grown: watch::Sender::new(()),
            rules: Mutex::default(),
        });
        // Bound here, so that it can be connected to when this returns.
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
        listener.set_nonblocking(true).expect("a socket can be made non-blocking");
        let (stop, stopped) = oneshot::channel();
        let run = {
            let shared = Arc::clone(&shared);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.expect("a runtime can be made");
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        () = serve(listener, shared) => {}
                    }
                });
            }
        };
        let thread = std::thread::Builder::new().name("proxy".to_owned()).spawn(run);
        Self { port, shared, stop: Some(stop), thread: Some(thread.expect("a thread can be started")) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn target(&self) -> Option<String> {
        lock(&self.shared.target).clone()
    }

    pub(super) fn set_target(&self, target: &str) {
        *lock(&self.shared.target) = Some(target.to_owned());
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        lock(&self.shared.calls).clone()
    }

    pub(super) fn clear(&self) {
        lock(&self.shared.calls).clear();
    }

    pub(super) fn add_rule(&self, rule: Rule) {
        lock(&self.shared.rules).push(rule);
    }

    pub(super) fn clear_rules(&self) {
        lock(&self.shared.rules).clear();
    }

    /// Waits until `look` finds what it looks for among the calls. No time limit.
    pub(super) async fn wait<T>(&self, mut look: impl FnMut(&[Call]) -> Option<T>) -> T {
        let mut grown = self.shared.grown.subscribe();
        loop {
            grown.mark_unchanged();
            if let Some(found) = look(&lock(&self.shared.calls)) {
                return found;
            }
            let _ = grown.changed().await;
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("the listener is non-blocking");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| handle(request, &shared));
            // An error of the service closes the connection without an answer, which is how requests are dropped.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn no_answer() -> io::Error {
    io::Error::other("the proxy drops the connection")
}

async fn handle(request: Request<Incoming>, shared: &Shared) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = head.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let call = Call {
        method: head.uri.path().rsplit('/').next().unwrap_or_default().to_owned(),
        path,
        headers: head.headers,
        body,
        at: Instant::now(),
        arrived: Timestamp::now(),
        status: None,
        took: None,
    };
    let fault = lock(&shared.rules).iter_mut().find_map(|rule| rule.apply(&call));
    let place = {
        let mut calls = lock(&shared.calls);
        calls.push(call.clone());
        calls.len() - 1
    };
    shared.grown.send_replace(());

    let reply = answer(shared, &head.method, &call, fault).await?;
    // The calls may have been cleared meanwhile.
    if let Some(noted) = lock(&shared.calls).get_mut(place).filter(|noted| noted.at == call.at) {
        noted.status = Some(reply.status);
        noted.took = Some(call.at.elapsed());
    }
    shared.grown.send_replace(());
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    *response.headers_mut() = end_to_end(reply.headers);
    Ok(response)
}

async fn answer(shared: &Shared, method: &Method, call: &Call, fault: Option<Fault>) -> io::Result<Reply> {
    let on = |body: Bytes| forward(shared, method, call, body);
    match fault {
        None => on(call.body.clone()).await,
        Some(Fault::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            on(call.body.clone()).await
        }
        Some(Fault::Refuse) => Err(no_answer()),
        Some(Fault::LoseReply) => {
            on(call.body.clone()).await?;
            Err(no_answer())
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Reply { status, content_type, body }) => {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, content_type.parse().map_err(io::Error::other)?);
            Ok(Reply { status, headers, body })
        }
        Some(Fault::Twice) => {
            on(call.body.clone()).await?;
            on(call.body.clone()).await
        }
        Some(Fault::Alter(alter)) => on(alter(&call.body)).await,
    }
}

/// Sends a request on. A target that does not answer looks to the client as it would without the proxy.
async fn forward(shared: &Shared, method: &Method, call: &Call, body: Bytes) -> io::Result<Reply> {
    let target = lock(&shared.target).clone().ok_or_else(no_answer)?;
    let url = format!("{target}{}", call.path);
    request(method.clone(), &url, end_to_end(call.headers.clone()), body).await.map_err(io::Error::other)
}

/// Without the headers that belong to one connection.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}
