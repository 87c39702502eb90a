//! What a simulated server is like.

use std::time::{Duration, SystemTime};

use super::webhooks::WebhookOptions;
use crate::livekit::Credentials;

/// Whose server is simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edition {
    /// The open-source server: forwards and moves are stubs, revocation is ignored, an unknown room is an empty one.
    #[default]
    OpenSource,
    /// LiveKit Cloud: forwards, moves, revocation of tokens, and `not_found` for an unknown room.
    Cloud(Cloud),
}

impl Edition {
    /// The cloud's settings, if it is the cloud.
    pub(super) fn cloud(self) -> Option<Cloud> {
        match self {
            Self::OpenSource => None,
            Self::Cloud(cloud) => Some(cloud),
        }
    }
}

/// What is not known for sure of LiveKit Cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cloud {
    /// A forward or move tells by webhooks who has come (`participant_joined`) and gone. Nothing is documented of it:
    /// what is to work in the cloud must work either way.
    pub announces_copies: bool,
}

impl Default for Cloud {
    fn default() -> Self {
        Self { announces_copies: true }
    }
}

/// LiveKit's limits, in bytes (config.go, `limit`); zero is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Limits {
    pub room_name: usize,
    pub identity: usize,
    pub name: usize,
    pub metadata: usize,
    /// Keys and values of one request together: by merging, a participant may have more.
    pub attributes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { room_name: 256, identity: 256, name: 256, metadata: 512 * 1024, attributes: 64 * 1024 }
    }
}

/// How a [`Simulator`](super::Simulator) behaves. The default is LiveKit's own default configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// The keys that tokens may be signed with; the first signs webhooks. Only HTTP checks tokens.
    pub keys: Vec<Credentials>,
    /// Whose server it is.
    pub edition: Edition,
    /// `room.enable_remote_unmute`.
    pub remote_unmute: bool,
    /// The limits.
    pub limits: Limits,
    /// `room.empty_timeout`: how long a room waits for its first participant.
    pub empty_timeout: Duration,
    /// `room.departure_timeout`: how long a room waits after its last participant.
    pub departure_timeout: Duration,
    /// LiveKit's own delays (three seconds until it says that nobody is there to mute) are multiplied by this. Zero
    /// answers at once.
    pub delay_factor: f64,
    /// Where everything that chance decides begins: sids, faults, scripts.
    pub seed: u64,
    /// What time it is at the beginning; from then on tokio's clock counts, so that a paused one stands still here.
    pub start: Option<SystemTime>,
    /// Where webhooks go; empty is nowhere.
    pub webhook_urls: Vec<String>,
    /// How webhooks are delivered.
    pub webhooks: WebhookOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            edition: Edition::OpenSource,
            remote_unmute: false,
            limits: Limits::default(),
            empty_timeout: Duration::from_secs(300),
            departure_timeout: Duration::from_secs(20),
            delay_factor: 1.0,
            seed: 0,
            start: None,
            webhook_urls: Vec::new(),
            webhooks: WebhookOptions::default(),
        }
    }
}
