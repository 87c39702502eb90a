//! Rooms and those who are in them: what LiveKit does, without HTTP, without waiting, and with time as an argument.
//!
//! Nothing here takes longer the more rooms there are, but listing all of them.

mod admin;
mod cloud;
mod participant;
mod room;
mod sid;
mod track;
mod visit;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use livekit_protocol::{DisconnectReason, ParticipantInfo, Room as RoomInfo, WebhookEvent};

pub(super) use cloud::TransferError;
pub use participant::{Change, Join};
pub use track::Publication;
pub use visit::JoinError;

use participant::Participant;
use room::Room;
use sid::Sids;
use track::Track;

use super::{
    clock::Moment,
    options::{Cloud, Options},
};

/// Who or what is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The room.
    Room,
    /// The participant, or its room: LiveKit does not say which.
    Participant,
}

/// How long somebody may be connecting (rtc/room.go, joinTimeout).
const JOIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Everything a server knows.
#[derive(Debug)]
pub(super) struct Model {
    rooms: BTreeMap<Arc<str>, Room>,
    participants: usize,
    sids: Sids,
    deadlines: BTreeSet<(Moment, Deadline)>,
    /// By room and identity: tokens issued before this second are no longer good.
    revoked: HashMap<(String, String), i64>,
    /// By room and identity: the room somebody was moved to, until it knows.
    moved: HashMap<(String, String), String>,
    cloud: Option<Cloud>,
    empty_timeout: u32,
    departure_timeout: u32,
    /// What is to be told by webhook; nothing is kept unless somebody listens.
    events: Option<Vec<WebhookEvent>>,
}

/// What happens by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deadline {
    /// A room that nobody is in ends.
    End(Arc<str>),
    /// Somebody does not get connected: the session with this sid.
    Abort(Arc<str>, Arc<str>, String),
}

impl Model {
    pub(super) fn new(options: &Options) -> Self {
        let seconds = |timeout: Duration| u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX);
        Self {
            rooms: BTreeMap::new(),
            participants: 0,
            sids: Sids::new(options.seed),
            deadlines: BTreeSet::new(),
            revoked: HashMap::new(),
            moved: HashMap::new(),
            cloud: options.edition.cloud(),
            empty_timeout: seconds(options.empty_timeout),
            departure_timeout: seconds(options.departure_timeout),
            events: None,
        }
    }

    /// From now on what happens is kept until it is taken.
    pub(super) fn listen(&mut self) {
        self.events.get_or_insert_default();
    }

    pub(super) fn take_events(&mut self) -> Vec<WebhookEvent> {
        self.events.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn counts(&self) -> (usize, usize) {
        (self.rooms.len(), self.participants)
    }

    /// The rooms of these names; of no names, all.
    pub(super) fn rooms(&self, names: &[String]) -> Vec<RoomInfo> {
        if names.is_empty() {
            return self.rooms.values().map(Room::info).collect();
        }
        let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        names.into_iter().filter_map(|name| self.rooms.get(name)).map(Room::info).collect()
    }

    /// Everybody in a room; none when there is no such room.
    pub(super) fn list(&self, room: &str) -> Option<Vec<ParticipantInfo>> {
        Some(self.rooms.get(room)?.participants().map(Participant::info).collect())
    }

    pub(super) fn get(&self, room: &str, identity: &str) -> Result<ParticipantInfo, Missing> {
        self.find(room, identity).map(Participant::info)
    }

    pub(super) fn session(&self, room: &str, identity: &str) -> Option<String> {
        self.find(room, identity).map(|participant| participant.sid.to_string()).ok()
    }

    pub(super) fn joined(&self, room: &str, identity: &str) -> Option<Moment> {
        self.find(room, identity).map(|participant| participant.joined).ok()
    }

    pub(super) fn has(&self, room: &str, identity: &str) -> bool {
        self.find(room, identity).is_ok()
    }

    pub(super) fn has_room(&self, room: &str) -> bool {
        self.rooms.contains_key(room)
    }

    fn find(&self, room: &str, identity: &str) -> Result<&Participant, Missing> {
        self.rooms.get(room).and_then(|room| room.get(identity)).ok_or(Missing::Participant)
    }

    /// Changes a participant.
    fn with<T>(
        &mut self,
        room: &str,
        identity: &str,
        change: impl FnOnce(&mut Participant) -> T,
    ) -> Result<T, Missing> {
        self.rooms.get_mut(room).and_then(|room| room.change(identity, change)).ok_or(Missing::Participant)
    }

    /// When something happens by itself next.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Lets happen what is due.
    pub(super) fn advance(&mut self, now: Moment) {
        while self.deadlines.first().is_some_and(|(at, _)| *at <= now) {
            match self.deadlines.pop_first() {
                Some((_, Deadline::End(room))) => self.end_room(&room, DisconnectReason::RoomClosed, now),
                Some((_, Deadline::Abort(room, identity, sid))) => {
                    let connecting = |participant: &Participant| {
                        participant.state != livekit_protocol::participant_info::State::Active
                            && participant.sid.to_string() == sid
                    };
                    if self.find(&room, &identity).is_ok_and(connecting) {
                        self.remove_session(&room, &identity, DisconnectReason::JoinFailure, now);
                    }
                }
                None => {}
            }
        }
    }

    /// Begins or ends the wait for a room's end, by who is in it.
    fn mind_end(&mut self, room: &str, now: Moment) {
        let Some(room) = self.rooms.get_mut(room) else { return };
        let wanted = room.is_deserted().then(|| {
            let timeout = if room.visited { room.departure_timeout } else { room.empty_timeout };
            room.ends.unwrap_or_else(|| now.after(Duration::from_secs(timeout.into())))
        });
        if room.ends == wanted {
            return;
        }
        if let Some(at) = room.ends {
            self.deadlines.remove(&(at, Deadline::End(Arc::clone(&room.name))));
        }
        if let Some(at) = wanted {
            self.deadlines.insert((at, Deadline::End(Arc::clone(&room.name))));
        }
        room.ends = wanted;
    }

    fn tell(&mut self, now: Moment, event: &str, fill: impl FnOnce(&Self) -> Option<WebhookEvent>) {
        if self.events.is_none() {
            return;
        }
        let Some(told) = fill(self) else { return };
        let id = self.sids.make("EV_").to_string();
        let told = WebhookEvent { event: event.to_owned(), id, created_at: now.seconds(), ..told };
        if let Some(events) = &mut self.events {
            events.push(told);
        }
    }

    fn tell_of_room(&mut self, now: Moment, event: &str, room: &str) {
        self.tell(now, event, |model| {
            Some(WebhookEvent { room: Some(model.rooms.get(room)?.info()), ..Default::default() })
        });
    }

    fn tell_of_participant(&mut self, now: Moment, event: &str, room: &str, participant: Option<ParticipantInfo>) {
        self.tell(now, event, |model| {
            Some(WebhookEvent { room: Some(model.rooms.get(room)?.info()), participant, ..Default::default() })
        });
    }

    /// Rooms and participants are only mentioned in these (telemetry/events.go).
    fn tell_of_track(&mut self, now: Moment, event: &str, room: &str, who: (String, Arc<str>), track: &Track) {
        self.tell(now, event, |model| {
            let (sid, identity) = who;
            let participant = ParticipantInfo { sid, identity: identity.to_string(), ..Default::default() };
            Some(WebhookEvent {
                room: Some(model.rooms.get(room)?.mention()),
                participant: Some(participant),
                track: Some(track.info()),
                ..Default::default()
            })
        });
    }
}
