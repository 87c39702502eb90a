//! Stands in for the operator in the tests of the testkit: takes its flags, answers `/readyz` and `/metrics`, counts
//! webhooks.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};

static WEBHOOKS: AtomicU64 = AtomicU64::new(0);

fn main() -> std::io::Result<()> {
    let value =
        |flag: &str| std::env::args().find_map(|arg| arg.strip_prefix(flag).map(str::to_owned)).unwrap_or_default();
    println!("{:?} KUBECONFIG={:?}", std::env::args().collect::<Vec<_>>(), std::env::var("KUBECONFIG"));
    let webhooks = TcpListener::bind(value("--http-addr="))?;
    let admin = TcpListener::bind(value("--admin-addr="))?;
    std::thread::spawn(move || {
        for stream in webhooks.incoming() {
            let _ = stream.and_then(|stream| {
                answer(stream, |_| {
                    WEBHOOKS.fetch_add(1, Ordering::Relaxed);
                    String::new()
                })
            });
        }
    });
    for stream in admin.incoming() {
        answer(stream?, |path| match path {
            "/metrics" => format!("webhooks_total{{server=\"a\"}} {}\n", WEBHOOKS.load(Ordering::Relaxed)),
            _ => "ok\n".to_owned(),
        })?;
    }
    Ok(())
}

/// Reads one request and answers it.
fn answer(mut stream: TcpStream, body: impl FnOnce(&str) -> String) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    let head = loop {
        let read = stream.read(&mut buffer)?;
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            break head.to_ascii_lowercase();
        }
        if read == 0 {
            return Ok(());
        }
    };
    let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    while request.len() < head.len() + 4 + length {
        let read = stream.read(&mut buffer)?;
        request.extend_from_slice(&buffer[..read]);
    }
    let body = body(head.split(' ').nth(1).unwrap_or_default());
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}
