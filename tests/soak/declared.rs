//! What is declared, as manifests and as what everybody has to be.

use std::{collections::BTreeSet, path::Path};

use livekit_protocol::{ParticipantInfo, TrackSource, participant_info::KindDetail};
use usher::simulator::Simulator;

use crate::server::SECRET;

/// Where copies of hosts go, who waits to be let in, and where to.
pub const OVERFLOW: &str = "overflow";
pub const LOBBY: &str = "lobby";
pub const HALL: &str = "hall";

/// All objects as they are now. Those that may be absent come and go.
#[derive(Clone, Debug)]
pub struct Declared {
    /// The timeout of requests: another one is another client.
    pub timeout_ms: u32,
    /// Whether guests may publish; their microphones are muted in any case.
    pub guests_publish: bool,
    /// Trolls are removed.
    pub banned: bool,
    /// Everybody sits in this row.
    pub row: Option<u64>,
    /// Hosts are forwarded.
    pub forwards: bool,
    /// Whoever is admitted is moved out of the lobby.
    pub moves: bool,
}

impl Declared {
    pub fn new() -> Self {
        Self { timeout_ms: 2000, guests_publish: false, banned: true, row: None, forwards: true, moves: true }
    }

    /// Writes the manifests into a folder; what is absent is deleted.
    pub fn write(&self, folder: &Path, url: &str) {
        let server = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: keys}}\nstringData: {{LIVEKIT_API_KEY: devkey, \
             LIVEKIT_API_SECRET: {SECRET}}}\n---\napiVersion: usher.dev/v1alpha1\nkind: LiveKitServer\nmetadata: \
             {{name: main}}\nspec: {{url: \"{url}\", credentials: {{secretRef: {{name: keys}}}}, resyncInterval: 5s, \
             requests: {{timeout: {}ms}}}}\n",
            self.timeout_ms
        );
        let base = format!(
            "rooms: [{{prefix: soak-}}], priority: -10, rules: [{{name: hosts, match: {{attributes: [{{key: role, \
             values: [{{exact: host}}]}}]}}, keep: true, set: {{permission: {{canPublish: true}}}}}}, {{name: guests, \
             except: [{{identities: [{{prefix: host-}}]}}], set: {{permission: {{canPublish: {}}}}}, mute: {{sources: \
             [Microphone]}}}}]",
            self.guests_publish
        );
        let banned =
            "rooms: [{glob: '*'}], rules: [{name: trolls, match: {identities: [{prefix: troll-}]}, remove: {}}]";
        let row = self.row.map(|row| {
            format!("rooms: [{{prefix: soak-}}], rules: [{{name: row, set: {{attributes: {{row: row-{row}}}}}}}]")
        });
        let forward = format!(
            "source: {{rooms: [{{prefix: soak-}}], match: {{attributes: [{{key: role, values: [{{exact: host}}]}}]}}}}, \
             destinationRooms: [{OVERFLOW}]"
        );
        let admit = format!(
            "source: {{rooms: [{{exact: {LOBBY}}}], match: {{attributes: [{{key: admitted, values: [{{exact: \
             'yes'}}]}}]}}}}, destinationRoom: {HALL}"
        );
        put(folder, "server", Some(server));
        put(folder, "base", Some(object("RoomPolicy", "base", &base)));
        put(folder, "banned", self.banned.then(|| object("RoomPolicy", "banned", banned)));
        put(folder, "row", row.map(|row| object("RoomPolicy", "row", &row)));
        put(folder, "forward", self.forwards.then(|| object("ParticipantForward", "hosts", &forward)));
        put(folder, "admit", self.moves.then(|| object("ParticipantMove", "admit", &admit)));
    }

    /// What is not as declared, in words.
    pub fn deviations(&self, simulator: &Simulator) -> Vec<String> {
        let mut found = Vec::new();
        let mut hosts = BTreeSet::new();
        for room in simulator.rooms() {
            for participant in simulator.participants(&room.name) {
                if let Some(what) = self.deviation(&room.name, &participant) {
                    found.push(format!("{} in {}: {what}", participant.identity, room.name));
                }
                if room.name.starts_with("soak-") && participant.identity.starts_with("host-") {
                    hosts.insert(participant.identity);
                }
            }
        }
        let wanted = if self.forwards { hosts } else { BTreeSet::new() };
        let copies = simulator.participants(OVERFLOW).into_iter().filter(is_copy);
        let copies: BTreeSet<_> = copies.map(|copy| copy.identity).collect();
        if copies != wanted {
            found.push(format!("{copies:?} are forwarded, not {wanted:?}"));
        }
        found
    }

    fn deviation(&self, room: &str, participant: &ParticipantInfo) -> Option<String> {
        let identity = participant.identity.as_str();
        if self.banned && identity.starts_with("troll-") {
            return Some("is still there".into());
        }
        if self.moves && room == LOBBY && participant.attributes.contains_key("admitted") {
            return Some("has not been moved".into());
        }
        if !room.starts_with("soak-") {
            return None;
        }
        let is_host = identity.starts_with("host-");
        let may_publish = participant.permission.as_ref().is_some_and(|permission| permission.can_publish);
        if may_publish != (is_host || self.guests_publish) {
            return Some(format!("may publish: {may_publish}"));
        }
        let is_heard = participant.tracks.iter().any(|track| track.source() == TrackSource::Microphone && !track.muted);
        if !is_host && is_heard {
            return Some("is heard".into());
        }
        let row = self.row.map(|row| format!("row-{row}"));
        let seen = participant.attributes.get("row");
        (row.is_some() && seen != row.as_ref()).then(|| format!("sits in {seen:?}, not in {row:?}"))
    }
}

fn is_copy(participant: &ParticipantInfo) -> bool {
    participant.kind_details.contains(&KindDetail::Forwarded.into())
}

fn object(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: usher.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{serverRef: {{name: main}}, \
         {spec}}}\n"
    )
}

fn put(folder: &Path, name: &str, text: Option<String>) {
    let path = folder.join(name).with_extension("yaml");
    match text {
        Some(text) => std::fs::write(path, text).expect("it can be written"),
        None => drop(std::fs::remove_file(path)),
    }
}
