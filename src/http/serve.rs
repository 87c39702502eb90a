//! Connections: how many, how long, and how much may come in before anything is known of who sends it.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{extract::Request, response::Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{Instant, sleep},
};
use tower::{Service, ServiceExt};

use crate::{engine::stopped, metrics::Metrics};

/// Connections at the same time. LiveKit keeps a few; the next ones wait in the kernel's queue.
const CONNECTIONS: usize = 512;
/// How long a connection may be without a header, from its beginning or its last answer on. Longer than the 90 s after
/// which Go's client closes an idle connection: whoever closes first must not be the one who is not asking.
const IDLE: Duration = Duration::from_secs(120);
/// Who has not sent a good webhook within this time of connecting is shown out.
const STRANGER: Duration = Duration::from_secs(15);
/// The same while all connections are taken. Of a webhook that takes longer LiveKit hears nothing, and sends it again.
const STRANGER_IN_A_CROWD: Duration = Duration::from_secs(1);
/// How long a stranger waits for its refusal, after which it must connect anew; or, where there is no answer to what it
/// sends, its place is taken. So a flood has no more than five times a second what connections there may be, however fast
/// it can send; the rest of it waits in the kernel, where it costs nothing. Whoever is known is answered at once, also
/// when its key is being changed.
pub(super) const STRANGER_WAITS: Duration = Duration::from_millis(200);
/// Of one request: LiveKit's has about ten, a proxy adds some.
const HEADERS: usize = 64;
/// Bytes of a request line with its headers, and of a piece of a body.
const BUFFER: usize = 32 << 10;
/// After accepting has failed, as it does while there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// Who may stay connected.
#[derive(Clone, Debug)]
pub enum Guests {
    /// Anybody: the address is not for strangers.
    All,
    /// Who proves soon to be known, by [`Known::is`]. Whoever does not, and whose request never ends, is counted here.
    Known(Arc<Metrics>),
}

/// Whether whoever is at the other end of a connection is known. Every request carries it as an extension.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Arc<AtomicBool>);

impl Known {
    /// Notes that it is.
    pub(super) fn is(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    pub(super) fn is_known(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits until whoever is still not known has to make room.
    async fn or_time_is_over(self, connections: &Semaphore) {
        let until = Instant::now() + STRANGER;
        loop {
            sleep(STRANGER_IN_A_CROWD).await;
            if self.is_known() {
                return std::future::pending().await;
            }
            if connections.available_permits() == 0 || Instant::now() >= until {
                return;
            }
        }
    }
}

/// Listens on an address.
///
/// # Errors
/// The address is in use or not ours; the text names it and the flag to change.
pub async fn listen(address: SocketAddr, flag: &str) -> std::io::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| std::io::Error::new(error.kind(), format!("cannot listen on {address} ({flag}): {error}")))
}

/// Serves until it is stopped, and then until the requests under way are answered.
pub async fn serve<S>(listener: TcpListener, service: S, guests: Guests, mut stop: watch::Receiver<bool>)
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, permit) = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = accept(&listener, &connections) => match accepted {
                Some(accepted) => accepted,
                None => continue,
            },
        };
        let (service, known) = (service.clone(), Known::default());
        let service = {
            let known = known.clone();
            service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(known.clone());
                service.clone().oneshot(request)
            })
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .max_headers(HEADERS)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        let (connection, guests, connections) = (graceful.watch(connection), guests.clone(), Arc::clone(&connections));
        tokio::spawn(async move {
            let _permit = permit;
            let Guests::Known(metrics) = guests else {
                // It ends in an error when the other end breaks the rules or goes: that is its own affair.
                let _ = connection.await;
                return;
            };
            tokio::select! {
                ended = connection => {
                    if let Err(error) = ended && error.is_parse() {
                        let is_large = error.is_parse_too_large();
                        metrics.webhook_rejected(if is_large { "header_size" } else { "malformed" });
                        sleep(STRANGER_WAITS).await;
                    }
                }
                () = known.or_time_is_over(&connections) => metrics.webhook_rejected("slow"),
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    match listener.accept().await {
        Ok((stream, _)) => {
            let permit = Arc::clone(connections).acquire_owned().await.ok()?;
            // Answers are small and awaited: LiveKit sends the next webhook of a room after the answer to the last.
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
        }
        Err(error) => {
            tracing::debug!(%error, "cannot accept a connection");
            sleep(PAUSE).await;
            None
        }
    }
}
