//! Ports, and the plainest possible HTTP client.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::Mutex;
use tokio::net::TcpStream;

/// Below the range that the kernel gives to outgoing connections. A server that a test restarts could otherwise find
/// its port taken by some connection of the meantime.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port on which nothing listens, neither TCP nor UDP, and which this process gives to nobody else.
///
/// For what must be known before the server starts, such as the address for webhooks.
pub fn free_port() -> u16 {
    static NEXT: Mutex<Option<u16>> = Mutex::new(None);
    let mut next = NEXT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // Starts anywhere, for outside of a network namespace there may be other runs.
    let mut port = next.unwrap_or_else(|| fastrand::u16(PORTS));
    for _ in PORTS {
        let candidate = port;
        port = if port + 1 < PORTS.end { port + 1 } else { PORTS.start };
        let address = (Ipv4Addr::LOCALHOST, candidate);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            *next = Some(port);
            return candidate;
        }
    }
    panic!("no free port in {PORTS:?}");
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends one request over plain HTTP on a connection of its own and returns the whole answer.
///
/// A client with pooled connections would tie them to the async runtime of the test that happened to open them, and
/// fail in the next one; here everything ends with the call.
pub async fn request(
    method: Method,
    url: &str,
    headers: HeaderMap,
    body: impl Into<Bytes>,
) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
    let uri: Uri = url.parse()?;
    let authority = uri.authority().ok_or("a URL without a host")?;
    let stream = TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80))).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;

    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().method(method).uri(path).body(Full::new(body.into()))?;
    *request.headers_mut() = headers;
    request.headers_mut().insert(http::header::HOST, authority.as_str().parse()?);

    let exchange = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Reply { status: head.status, headers: head.headers, body })
    };
    // The connection does its work while the exchange waits. It may end first, with the answer already received.
    tokio::pin!(exchange);
    tokio::select! {
        reply = &mut exchange => reply,
        _ = connection => exchange.await,
    }
}

/// A GET whose answer must have this status; for readiness.
pub(crate) async fn expect_status(url: &str, status: StatusCode) -> Result<(), String> {
    let reply = request(Method::GET, url, HeaderMap::new(), Bytes::new()).await.map_err(|error| error.to_string())?;
    if reply.status == status { Ok(()) } else { Err(format!("{url} answered {}: {}", reply.status, reply.text())) }
}
