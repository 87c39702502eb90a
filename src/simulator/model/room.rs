//! A room.

use std::{collections::BTreeMap, sync::Arc};

use livekit_protocol::{Codec, Room as RoomInfo};

use super::{participant::Participant, sid::Sid};
use crate::simulator::clock::Moment;

/// What the server offers to publish with, in its default configuration.
const CODECS: [&str; 10] = [
    "audio/PCMU",
    "audio/PCMA",
    "audio/opus",
    "audio/red",
    "video/VP8",
    "video/H264",
    "video/VP9",
    "video/AV1",
    "video/H265",
    "video/rtx",
];

#[derive(Debug)]
pub(super) struct Room {
    pub(super) sid: Sid,
    pub(super) name: Arc<str>,
    pub(super) metadata: Box<str>,
    pub(super) created: Moment,
    pub(super) empty_timeout: u32,
    pub(super) departure_timeout: u32,
    pub(super) max_participants: u32,
    /// Somebody has been in it.
    pub(super) visited: bool,
    /// When it ends if nobody comes.
    pub(super) ends: Option<Moment>,
    /// By identity, so that listings are the same under the same seed. The real server's have no order.
    participants: BTreeMap<Arc<str>, Box<Participant>>,
    /// Participants that count: neither agents nor recorders.
    independent: u32,
    publishers: u32,
    recorders: u32,
}

impl Room {
    pub(super) fn new(sid: Sid, name: &str, now: Moment, empty_timeout: u32, departure_timeout: u32) -> Self {
        Self {
            sid,
            name: name.into(),
            metadata: "".into(),
            created: now,
            empty_timeout,
            departure_timeout,
            max_participants: 0,
            visited: false,
            ends: None,
            participants: BTreeMap::new(),
            independent: 0,
            publishers: 0,
            recorders: 0,
        }
    }

    pub(super) fn get(&self, identity: &str) -> Option<&Participant> {
        self.participants.get(identity).map(|participant| &**participant)
    }

    pub(super) fn participants(&self) -> impl Iterator<Item = &Participant> {
        self.participants.values().map(|participant| &**participant)
    }

    pub(super) fn len(&self) -> usize {
        self.participants.len()
    }

    /// Nobody is left but agents and recorders, who keep no room open (rtc/room.go CloseIfEmpty).
    pub(super) fn is_deserted(&self) -> bool {
        self.independent == 0
    }

    pub(super) fn insert(&mut self, participant: Participant) {
        self.count(&participant, 1);
        self.participants.insert(Arc::clone(&participant.identity), Box::new(participant));
    }

    pub(super) fn remove(&mut self, identity: &str) -> Option<Box<Participant>> {
        let participant = self.participants.remove(identity)?;
        self.count(&participant, -1);
        Some(participant)
    }

    /// Changes a participant, and the counts with it.
    pub(super) fn change<T>(&mut self, identity: &str, change: impl FnOnce(&mut Participant) -> T) -> Option<T> {
        let participant = self.participants.get_mut(identity)?;
        let counted = |participant: &Participant| {
            [!participant.is_dependent(), participant.is_publisher(), participant.is_recorder()]
        };
        let before = counted(participant);
        let result = change(participant);
        let after = counted(participant);
        let counts = [&mut self.independent, &mut self.publishers, &mut self.recorders];
        for (count, (before, after)) in counts.into_iter().zip(before.into_iter().zip(after)) {
            *count = *count + u32::from(after) - u32::from(before);
        }
        Some(result)
    }

    fn count(&mut self, participant: &Participant, by: i32) {
        let counts = [
            (&mut self.independent, !participant.is_dependent()),
            (&mut self.publishers, participant.is_publisher()),
            (&mut self.recorders, participant.is_recorder()),
        ];
        for (count, counts) in counts {
            if counts {
                *count = count.saturating_add_signed(by);
            }
        }
    }

    pub(super) fn info(&self) -> RoomInfo {
        RoomInfo {
            sid: self.sid.to_string(),
            name: self.name.to_string(),
            empty_timeout: self.empty_timeout,
            departure_timeout: self.departure_timeout,
            max_participants: self.max_participants,
            creation_time: self.created.seconds(),
            creation_time_ms: self.created.millis(),
            turn_password: format!("no-turn-here-{}", self.sid),
            enabled_codecs: CODECS.map(|mime| Codec { mime: mime.into(), fmtp_line: String::new() }).into(),
            metadata: self.metadata.to_string(),
            num_participants: self.independent,
            num_publishers: self.publishers,
            active_recording: self.recorders > 0,
            version: None,
        }
    }

    /// As the webhooks about tracks have it.
    pub(super) fn mention(&self) -> RoomInfo {
        RoomInfo { sid: self.sid.to_string(), name: self.name.to_string(), ..Default::default() }
    }
}
