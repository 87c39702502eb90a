//! The real livekit-server and real WebRTC participants, as child processes on loopback.
//!
//! All that the tests of this room know about processes is here.

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use livekit_api::access_token::{AccessToken, VideoGrants};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use usher::livekit::{Client, Config};

use crate::scripted::{self, KEY, SECRET};

/// One of the programs that `make stack` builds.
fn program(name: &str) -> std::path::PathBuf {
    let folder = std::env::var_os("USHER_STACK_BIN")
        .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/target/stack/bin").into(), std::path::PathBuf::from);
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: build it with `make stack`", path.display());
    path
}

#[derive(Default)]
pub struct Options {
    pub remote_unmute: bool,
    pub webhook: Option<String>,
}

pub struct LiveKit {
    pub url: String,
    _child: Child,
    _folder: tempfile::TempDir,
}

impl LiveKit {
    pub async fn start(options: Options) -> Self {
        // The server cannot be asked to choose a port and say which: between this and its start another may take it.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = json!({
            "port": port,
            "bind_addresses": ["127.0.0.1"],
            "logging": {"level": "error"},
            "rtc": {
                "tcp_port": 0, "udp_port": udp, "node_ip": "127.0.0.1", "use_external_ip": false,
                "enable_loopback_candidate": true, "interfaces": {"includes": ["lo"]},
            },
            "keys": {KEY: SECRET},
            "room": {"auto_create": true, "enable_remote_unmute": options.remote_unmute},
            "webhook": {"api_key": KEY, "urls": options.webhook.into_iter().collect::<Vec<_>>()},
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("livekit.yaml");
        // JSON is YAML.
        std::fs::write(&file, config.to_string()).unwrap();
        let child = Command::new(program("livekit-server"))
            .arg("--config")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(Instant::now() < deadline, "livekit-server does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { url: format!("http://127.0.0.1:{port}"), _child: child, _folder: folder }
    }

    pub fn config(&self) -> Config {
        scripted::config(&self.url)
    }

    pub fn client(&self) -> Client {
        Client::new(self.config()).unwrap()
    }
}

/// One process full of participants, spoken to line by line.
pub struct Participants {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    url: String,
}

static NEXT: AtomicU64 = AtomicU64::new(1);

impl Participants {
    pub fn start(server: &LiveKit) -> Self {
        let mut child = Command::new(program("participants"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = server.url.replace("http://", "ws://");
        Self { _child: child, input, output, url }
    }

    /// Sends a command and waits for its reply.
    async fn command(&mut self, mut command: Value) -> Value {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        command["id"] = json!(id);
        self.input.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        loop {
            let line = tokio::time::timeout(Duration::from_secs(20), self.output.next_line()).await;
            let line = line.expect("no reply in time").unwrap().expect("the participants have ended");
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["reply"] == id {
                assert_eq!(line["ok"], true, "{command} {line}");
                return line;
            }
        }
    }

    /// Joins with attributes and metadata, so that there is something to read.
    pub async fn join(&mut self, room: &str, identity: &str) {
        let token = AccessToken::with_api_key(KEY, SECRET)
            .with_identity(identity)
            .with_name("A name, ünïcode")
            .with_metadata("{\"a\": \"<b>\"}")
            .with_attributes([("role", "host")])
            .with_grants(VideoGrants {
                room_join: true,
                room: room.to_owned(),
                can_publish: Some(true),
                can_publish_sources: vec!["microphone".to_owned(), "camera".to_owned()],
                ..Default::default()
            })
            .to_jwt()
            .unwrap();
        self.command(json!({"do": "join", "participant": identity, "url": self.url, "token": token})).await;
    }

    /// Publishes and answers with the track's sid.
    pub async fn publish(&mut self, identity: &str) -> String {
        let reply = self
            .command(json!({
                "do": "publish", "participant": identity, "label": "voice", "media": "audio", "source": "MICROPHONE",
            }))
            .await;
        reply["track"].as_str().unwrap().to_owned()
    }

    pub async fn leave(&mut self, identity: &str) {
        self.command(json!({"do": "leave", "participant": identity})).await;
    }
}
