//! Somebody who answers every request at once and does nothing else: what a sender can send.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle};

/// It ends when this is dropped.
pub struct Sink {
    port: u16,
    task: JoinHandle<()>,
}

impl Sink {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a port");
        let port = listener.local_addr().expect("it has an address").port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(refuse)));
            }
        });
        Self { port, task }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

async fn refuse(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let _body = request.into_body().collect().await;
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    Ok(response)
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}
