//! What the server says about a participant.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A participant as the server describes it to a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Info {
    /// The server's name of this session; another after each reconnect that is not a resume.
    pub sid: String,
    /// Who it is.
    pub identity: String,
    /// The name others see.
    pub name: String,
    /// Metadata.
    pub metadata: String,
    /// Attributes.
    pub attributes: BTreeMap<String, String>,
    /// What it may do.
    pub permission: Permission,
    /// `JOINING`, `JOINED`, `ACTIVE` or `DISCONNECTED`.
    pub state: String,
    /// `STANDARD`, `AGENT`, …
    pub kind: String,
    /// What it has published.
    pub tracks: Vec<Track>,
    /// Rises with each change in one session.
    pub version: u32,
}

impl Info {
    /// The published track with this SID.
    pub fn track(&self, sid: &str) -> Option<&Track> {
        self.tracks.iter().find(|track| track.sid == sid)
    }
}

/// What a participant may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools)]
pub struct Permission {
    /// May receive tracks.
    pub can_subscribe: bool,
    /// May publish tracks, of the sources below if any are named.
    pub can_publish: bool,
    /// May send data.
    pub can_publish_data: bool,
    /// `CAMERA`, `MICROPHONE`, …; none means all of them.
    pub can_publish_sources: Vec<String>,
    /// Is not shown to others.
    pub hidden: bool,
    /// Is a recorder.
    pub recorder: bool,
    /// Is an agent.
    pub agent: bool,
    /// May change its own name, metadata and attributes.
    pub can_update_metadata: bool,
    /// May see the metrics of others.
    pub can_subscribe_metrics: bool,
    /// May manage sessions of agents.
    pub can_manage_agent_session: bool,
}

/// A published track.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Track {
    /// The server's name of it.
    pub sid: String,
    /// `AUDIO`, `VIDEO` or `DATA`: what it is.
    pub r#type: String,
    /// `CAMERA`, `MICROPHONE`, `SCREEN_SHARE`, …: what its publisher says it is.
    pub source: String,
    /// The label that its publisher gave it.
    pub name: String,
    /// Whether it is muted.
    pub muted: bool,
}
