//! The real livekit-server and participants of it, with the key that all tests of this room use.

use std::collections::HashMap;

use usher::livekit::{Client, Config};
use usher_testkit::{ApiKey, LiveKitOptions, Participant, TokenSpec};

use crate::scripted::{self, KEY, SECRET};

#[derive(Default)]
pub struct Options {
    pub remote_unmute: bool,
    pub webhook: Option<String>,
}

pub struct LiveKit {
    pub url: String,
    server: usher_testkit::LiveKit,
}

impl LiveKit {
    pub async fn start(options: Options) -> Self {
        let server = usher_testkit::LiveKit::start(LiveKitOptions {
            enable_remote_unmute: options.remote_unmute,
            webhook_urls: options.webhook.into_iter().collect(),
            keys: vec![ApiKey::new(KEY, SECRET)],
            ..LiveKitOptions::default()
        })
        .await;
        Self { url: server.url(), server }
    }

    pub fn config(&self) -> Config {
        scripted::config(&self.url)
    }

    pub fn client(&self) -> Client {
        Client::new(self.config()).unwrap()
    }
}

/// Participants of a server, by identity.
pub struct Participants<'a> {
    livekit: &'a LiveKit,
    participants: usher_testkit::Participants,
    joined: HashMap<String, Participant>,
}

impl<'a> Participants<'a> {
    pub fn start(livekit: &'a LiveKit) -> Self {
        Self { livekit, participants: usher_testkit::Participants::start(), joined: HashMap::new() }
    }

    /// Joins with attributes and metadata, so that there is something to read.
    pub async fn join(&mut self, room: &str, identity: &str) {
        let spec = TokenSpec::new(room, identity)
            .name("A name, ünïcode")
            .metadata("{\"a\": \"<b>\"}")
            .attribute("role", "host")
            .grant("canPublish", true)
            .grant("canPublishSources", vec!["microphone", "camera"]);
        let participant = self.participants.join(&self.livekit.server, &spec).await;
        self.joined.insert(identity.to_owned(), participant);
    }

    /// Publishes and answers with the track's sid.
    pub async fn publish(&mut self, identity: &str) -> String {
        self.joined[identity].publish("audio", "MICROPHONE", "voice").await
    }

    pub async fn leave(&mut self, identity: &str) {
        self.joined[identity].leave().await;
    }
}
