//! Sends forged webhooks, as fast as they are answered, over many connections, until SIGTERM; then says on standard
//! output how many it has sent, and how they were answered.
//!
//! ```text
//! flood URL CONNECTIONS API_KEY
//! ```

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program for the benchmark, which ends where it cannot go on"
)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    signal::unix::{SignalKind, signal},
    time::Instant,
};
use usher_testkit::ApiKey;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().expect("usage: flood URL CONNECTIONS API_KEY");
    let (url, connections, key) = (next(), next().parse::<usize>().expect("a number"), next());
    let uri: http::Uri = url.parse().expect("a URL");
    let address = uri.authority().expect("a URL with a host").to_string();
    let request: Arc<[u8]> = forged(&address, uri.path(), &key).into();
    let mut end = signal(SignalKind::terminate()).expect("signals can be heard");
    let (begun, sent) = (Instant::now(), Arc::new(Sent::default()));
    for _ in 0..connections {
        tokio::spawn(flood(address.clone(), Arc::clone(&request), Arc::clone(&sent)));
    }
    end.recv().await;
    let seconds = begun.elapsed().as_secs_f64();
    let answered = sent.answered.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{}", json!({"seconds": seconds, "sent": sent.all.load(Ordering::Relaxed), "answered": &*answered}));
}

/// What has been sent.
#[derive(Default)]
struct Sent {
    all: AtomicU64,
    /// How many were answered, by status.
    answered: Mutex<BTreeMap<String, u64>>,
}

/// What a real one looks like, signed with a secret that is not the server's.
fn forged(host: &str, path: &str, key: &str) -> Vec<u8> {
    let body = json!({
        "event": "participant_joined",
        "room": {"sid": "RM_forged", "name": "flood-0", "creationTime": "1700000000"},
        "participant": {
            "sid": "PA_forged", "identity": "guest-0", "state": "ACTIVE", "joinedAt": "1700000000",
            "metadata": "x".repeat(512),
            "permission": {"canSubscribe": true, "canPublish": true, "canPublishData": true},
        },
        "id": "EV_forged",
        "createdAt": "1700000000",
    })
    .to_string();
    let claims = json!({"sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="});
    let secret = ApiKey::new(key, "another-secret-of-at-least-32-bytes-of-length");
    let token = secret.sign(claims.as_object().cloned().unwrap_or_default(), Duration::from_secs(3600));
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\nContent-Type: application/webhook+json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

async fn flood(address: String, request: Arc<[u8]>, sent: Arc<Sent>) {
    loop {
        if connected(&address, &request, &sent).await.is_err() {
            // Refused, or shown out: the next connection is not worth a busy loop.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// What is sent after this, nobody reads.
const CLOSE: &[u8] = b"connection: close";

async fn connected(address: &str, request: &[u8], sent: &Sent) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = [0; 1024];
    loop {
        stream.write_all(request).await?;
        sent.all.fetch_add(1, Ordering::Relaxed);
        let mut received = 0;
        while !buffer[..received].ends_with(b"\r\n\r\n") {
            match stream.read(&mut buffer[received..]).await? {
                0 => return Ok(()),
                count => received += count,
            }
        }
        // HTTP/1.1 401 Unauthorized
        let status = String::from_utf8_lossy(buffer.get(9..12).unwrap_or_default()).into_owned();
        *sent.answered.lock().unwrap_or_else(PoisonError::into_inner).entry(status).or_default() += 1;
        if buffer[..received].windows(CLOSE.len()).any(|part| part.eq_ignore_ascii_case(CLOSE)) {
            return Ok(());
        }
    }
}
