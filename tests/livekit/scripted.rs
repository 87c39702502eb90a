//! An HTTP server of scripted bytes on loopback: it says exactly what a test wants, right or wrong.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use usher::livekit::{Client, Config, Credentials};

pub const KEY: &str = "devkey";
pub const SECRET: &str = "a-secret-of-at-least-32-characters";

/// One step on a connection.
#[derive(Clone)]
pub enum Step {
    /// Read one request, head and body.
    Read,
    Send(Vec<u8>),
    Pause(Duration),
    /// End with a reset instead of an orderly close.
    Reset,
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The claims of the bearer token.
    pub fn claims(&self) -> serde_json::Value {
        let token = self.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
        let key = jsonwebtoken::DecodingKey::from_secret(SECRET.as_bytes());
        let validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
        jsonwebtoken::decode(token, &key, &validation).unwrap().claims
    }
}

/// Every connection runs through the same steps.
pub struct Scripted {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Scripted {
    pub async fn start(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (seen, count) = (requests.clone(), connections.clone());
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(run(connection, steps.clone(), seen.clone()));
            }
        });
        Self { address, requests, connections, task }
    }

    /// A server that reads a request and sends these bytes.
    pub async fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        Self::start(vec![Step::Read, Step::Send(bytes.into())]).await
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How many connections came.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub fn config(&self) -> Config {
        config(&format!("http://{}", self.address))
    }

    pub fn client(&self) -> Client {
        Client::new(self.config()).unwrap()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn config(address: &str) -> Config {
    Config::new(address.parse().unwrap(), Credentials::new(KEY, SECRET))
}

async fn run(mut connection: TcpStream, steps: Vec<Step>, seen: Arc<Mutex<Vec<Request>>>) {
    for step in steps {
        match step {
            Step::Read => match read(&mut connection).await {
                Some(request) => seen.lock().unwrap().push(request),
                None => return,
            },
            Step::Send(bytes) => {
                if connection.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Step::Pause(time) => tokio::time::sleep(time).await,
            Step::Reset => {
                connection.set_zero_linger().unwrap();
                return;
            }
        }
    }
    let _ = connection.shutdown().await;
    // Closing while the other side still writes would turn into a reset.
    let _ = tokio::time::timeout(Duration::from_secs(1), connection.read_to_end(&mut Vec::new())).await;
}

async fn read(connection: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let count = connection.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut request = Request { head, body: bytes[end + 4..].to_vec() };
        let length: usize = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        while request.body.len() < length {
            let count = connection.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
            request.body.extend_from_slice(&buffer[..count]);
        }
        return Some(request);
    }
}

/// An HTTP answer with a right Content-Length.
pub fn answer(status: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut bytes = format!("{bytes}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

pub fn json(status: &str, body: &str) -> Vec<u8> {
    answer(status, &[("Content-Type", "application/json")], body)
}

pub fn protobuf(body: impl AsRef<[u8]>) -> Vec<u8> {
    answer("200 OK", &[("Content-Type", "application/protobuf")], body)
}
