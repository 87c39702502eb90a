//! What a webhook means to the engine.

use jiff::Timestamp;
use livekit_protocol::WebhookEvent;
use tokio::time::Instant;

use super::convert;
use crate::{
    livekit::webhook::is_whole,
    policy::{Participant, Track},
};

/// A verified webhook that concerns us.
#[derive(Clone, Debug)]
pub struct Event {
    /// The room's name.
    pub room: String,
    /// What happened there.
    pub what: What,
    /// When the server made the event, to the second, by its clock.
    pub created_at: Timestamp,
    /// When we received it.
    pub received: Instant,
}

/// What happened in a room.
#[derive(Clone, Debug)]
pub enum What {
    /// Somebody became Active.
    Joined {
        /// As it was then.
        participant: Box<Participant>,
        /// Whether all of it could be read, so that its permission may be changed and sent back.
        whole: bool,
    },
    /// A session ended. One that follows with the same identity has another sid.
    Left {
        /// Whose.
        identity: String,
        /// Which.
        sid: String,
    },
    /// A track was published. The event says nothing else of the participant.
    TrackPublished {
        /// Whose.
        identity: String,
        /// In which session.
        sid: String,
        /// The track.
        track: Track,
    },
    /// A track is no more.
    TrackUnpublished {
        /// Whose.
        identity: String,
        /// Which.
        track: String,
    },
    /// The room has begun.
    RoomStarted,
    /// The room is no more.
    RoomFinished,
}

impl Event {
    /// Reads a webhook; `None` for one that does not concern us (egress, ingress, agents' jobs, and what LiveKit may
    /// yet invent).
    #[must_use]
    pub fn read(webhook: WebhookEvent, received: Instant) -> Option<Self> {
        let room = webhook.room.map(|room| room.name).filter(|name| !name.is_empty())?;
        let what = match webhook.event.as_str() {
            "room_started" => What::RoomStarted,
            "room_finished" => What::RoomFinished,
            "participant_joined" => {
                let info = webhook.participant?;
                let whole = is_whole(&info) && info.permission.is_some();
                What::Joined { participant: Box::new(convert::participant(info)?), whole }
            }
            "participant_left" | "participant_connection_aborted" => {
                let participant = webhook.participant?;
                What::Left { identity: participant.identity, sid: participant.sid }
            }
            "track_published" => {
                let (participant, track) = (webhook.participant?, webhook.track?);
                let (identity, sid) = (participant.identity, participant.sid);
                What::TrackPublished { identity, sid, track: convert::track(track) }
            }
            "track_unpublished" => {
                What::TrackUnpublished { identity: webhook.participant?.identity, track: webhook.track?.sid }
            }
            _ => return None,
        };
        let created_at = Timestamp::from_second(webhook.created_at).ok()?;
        Some(Self { room, what, created_at, received })
    }
}
