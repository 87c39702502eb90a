//! A small LiveKit in memory: rooms and participants, and what the API does to them. Faults on demand.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;
use usher::{
    engine::RoomService,
    livekit::{Error, Feature, TwirpCode},
    policy::{Participant, Update},
};

/// One server.
#[derive(Debug, Default)]
pub struct LiveKit(Mutex<Model>);

#[derive(Debug, Default)]
struct Model {
    rooms: BTreeMap<String, BTreeMap<String, Participant>>,
    calls: Vec<Call>,
    faults: Vec<(String, usize, Fault)>,
    latency: Duration,
    remote_unmute: bool,
    cloud: bool,
    /// Where copies come from: by destination and identity, the source room.
    copies: BTreeMap<(String, String), String>,
    under_way: usize,
    most_under_way: usize,
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Call {
    /// When.
    pub at: Instant,
    /// Which: `ping`, `rooms`, `list ROOM`, `get ROOM/IDENTITY`, `update ROOM/IDENTITY FIELDS`, `remove ROOM/IDENTITY`,
    /// `mute ROOM/IDENTITY TRACK`, `unmute …`, `forward ROOM/IDENTITY DESTINATION`, `move …`.
    pub what: String,
}

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It fails.
    Fails(Error),
    /// It has its effect, and fails nevertheless.
    LosesReply(Error),
    /// It has its effect at once; the answer comes later.
    Slow(Duration),
    /// It never ends.
    Hangs,
    /// It panics.
    Panics,
    /// It answers as if it had had an effect.
    HasNoEffect,
    /// It shows nobody.
    ShowsNobody,
    /// It shows this participant, as it was once.
    Shows(Box<Participant>),
}

pub fn twirp(status: u16, code: TwirpCode) -> Error {
    Error::Twirp { status, code, message: "no".into(), retry_after: None, feature: None }
}

pub fn not_found() -> Error {
    twirp(404, TwirpCode::NotFound)
}

/// What concerns one room or participant and may heal.
pub fn unavailable() -> Error {
    twirp(503, TwirpCode::Unavailable)
}

pub fn refused() -> Error {
    twirp(400, TwirpCode::InvalidArgument)
}

pub fn status(status: u16) -> Error {
    Error::Status { status, retry_after: None }
}

impl LiveKit {
    fn model(&self) -> MutexGuard<'_, Model> {
        self.0.lock().unwrap()
    }

    /// Somebody is in a room from now on.
    pub fn add(&self, room: &str, participant: Participant) {
        self.model().rooms.entry(room.into()).or_default().insert(participant.identity.to_string(), participant);
    }

    /// Somebody is in a room no more.
    pub fn take(&self, room: &str, identity: &str) {
        self.model().leave(room, identity);
    }

    /// A room is no more.
    pub fn end(&self, room: &str) {
        self.model().rooms.remove(room);
    }

    /// Somebody else changes a participant.
    pub fn change(&self, room: &str, identity: &str, change: impl FnOnce(&mut Participant)) {
        let mut model = self.model();
        let participant = model.rooms.get_mut(room).unwrap().get_mut(identity).unwrap();
        change(participant);
        participant.version += 1;
    }

    pub fn find(&self, room: &str, identity: &str) -> Option<Participant> {
        self.model().rooms.get(room)?.get(identity).cloned()
    }

    pub fn see(&self, room: &str, identity: &str) -> Participant {
        self.find(room, identity).expect("somebody who is there")
    }

    /// The next so many calls that begin with `prefix` go wrong.
    pub fn fault(&self, prefix: &str, times: usize, fault: Fault) {
        self.model().faults.push((prefix.into(), times, fault));
    }

    pub fn fail(&self, prefix: &str, times: usize, error: Error) {
        self.fault(prefix, times, Fault::Fails(error));
    }

    pub fn heal(&self) {
        self.model().faults.clear();
    }

    pub fn allow_unmute(&self) {
        self.model().remote_unmute = true;
    }

    /// It can forward and move, as LiveKit Cloud alone can.
    pub fn be_cloud(&self) {
        self.model().cloud = true;
    }

    /// Who is in a room: copies in brackets.
    pub fn who(&self, room: &str) -> Vec<String> {
        let model = self.model();
        let Some(room) = model.rooms.get(room) else { return Vec::new() };
        let shown = |one: &Participant| {
            if one.forwarded { format!("[{}]", one.identity) } else { one.identity.to_string() }
        };
        room.values().map(shown).collect()
    }

    pub fn set_latency(&self, latency: Duration) {
        self.model().latency = latency;
    }

    pub fn most_under_way(&self) -> usize {
        self.model().most_under_way
    }

    /// Every call since the last time.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.model().calls)
    }

    /// The same as text, but for the question whether the server answers.
    pub fn said(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.what).filter(|what| what != "ping").collect()
    }

    /// The calls but for the listings of rooms, since the last time.
    pub fn asked(&self) -> Vec<String> {
        self.said().into_iter().filter(|what| what != "rooms").collect()
    }

    /// The calls that changed something, since the last time.
    pub fn writes(&self) -> Vec<String> {
        let looks = |what: &String| what == "rooms" || what.starts_with("list ") || what.starts_with("get ");
        self.said().into_iter().filter(|what| !looks(what)).collect()
    }

    async fn answer<T>(
        &self,
        what: String,
        act: impl FnOnce(&mut Model, Option<&Fault>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (answer, wait, fault) = {
            let mut model = self.model();
            let fault = model.faults.iter_mut().find(|(prefix, times, _)| *times > 0 && what.starts_with(&**prefix));
            let fault = fault.map(|(_, times, fault)| {
                *times -= 1;
                fault.clone()
            });
            model.calls.push(Call { at: Instant::now(), what });
            model.under_way += 1;
            model.most_under_way = model.most_under_way.max(model.under_way);
            let answer = match &fault {
                Some(Fault::Fails(error)) => Err(error.clone()),
                Some(Fault::LosesReply(error)) => act(&mut model, None).and(Err(error.clone())),
                Some(Fault::Panics) => Err(not_found()),
                fault => act(&mut model, fault.as_ref()),
            };
            (answer, model.latency, fault)
        };
        match fault {
            Some(Fault::Slow(latency)) => tokio::time::sleep(latency).await,
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::Panics) => panic!("the service panics, as it was told to"),
            _ if wait.is_zero() => {}
            _ => tokio::time::sleep(wait).await,
        }
        self.model().under_way -= 1;
        answer
    }
}

impl Model {
    /// Somebody leaves a room, and so do the copies of it.
    fn leave(&mut self, room: &str, identity: &str) {
        self.rooms.entry(room.into()).or_default().remove(identity);
        let made = self.copies.iter().filter(|((_, copied), source)| copied == identity && *source == room);
        let made: Vec<_> = made.map(|(copy, _)| copy.clone()).collect();
        for copy in made {
            self.copies.remove(&copy);
            self.leave(&copy.0, identity);
        }
    }

    fn missing(&self, feature: Feature) -> Result<(), Error> {
        let (status, code, message) = (500, TwirpCode::Unknown, "twirp error unknown: not implemented".into());
        let feature = Some(feature);
        if self.cloud { Ok(()) } else { Err(Error::Twirp { status, code, message, retry_after: None, feature }) }
    }

    fn participant(&mut self, room: &str, identity: &str) -> Result<&mut Participant, Error> {
        self.rooms.get_mut(room).and_then(|room| room.get_mut(identity)).ok_or_else(not_found)
    }
}

impl RoomService for LiveKit {
    async fn ping(&self) -> Result<(), Error> {
        self.answer("ping".into(), |_, _| Ok(())).await
    }

    async fn rooms(&self) -> Result<Vec<String>, Error> {
        self.answer("rooms".into(), |model, fault| match fault {
            Some(Fault::ShowsNobody) => Ok(Vec::new()),
            _ => Ok(model.rooms.keys().cloned().collect()),
        })
        .await
    }

    async fn participants(&self, room: &str) -> Result<Vec<Participant>, Error> {
        self.answer(format!("list {room}"), |model, fault| match fault {
            Some(Fault::ShowsNobody) => Ok(Vec::new()),
            Some(Fault::Shows(participant)) => Ok(vec![(**participant).clone()]),
            _ => Ok(model.rooms.get(room).map(|room| room.values().cloned().collect()).unwrap_or_default()),
        })
        .await
    }

    async fn participant(&self, room: &str, identity: &str) -> Result<Participant, Error> {
        self.answer(format!("get {room}/{identity}"), |model, fault| match fault {
            Some(Fault::Shows(participant)) => Ok((**participant).clone()),
            _ => model.participant(room, identity).cloned(),
        })
        .await
    }

    async fn update(&self, room: &str, identity: &str, update: &Update) -> Result<Participant, Error> {
        let parts = [
            ("permission", update.permission.is_some()),
            ("name", update.name.is_some()),
            ("metadata", update.metadata.is_some()),
            ("attributes", !update.attributes.is_empty()),
        ];
        let parts: Vec<_> = parts.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect();
        self.answer(format!("update {room}/{identity} {}", parts.join("+")), |model, fault| {
            let participant = model.participant(room, identity)?;
            if matches!(fault, Some(Fault::HasNoEffect)) {
                return Ok(participant.clone());
            }
            participant.version += 1;
            if let Some(permission) = update.permission {
                participant.permission = permission;
                participant.tracks.retain(|track| permission.publishing().allows(track.claim()));
            }
            if let Some(name) = update.name.as_deref().filter(|name| !name.is_empty()) {
                participant.name = name.into();
            }
            if let Some(metadata) = update.metadata.as_deref().filter(|metadata| !metadata.is_empty()) {
                participant.metadata = metadata.into();
            }
            for (key, value) in &update.attributes {
                match value {
                    Some(value) => drop(participant.attributes.insert((&**key).into(), (&**value).into())),
                    None => drop(participant.attributes.remove(&**key)),
                }
            }
            Ok(participant.clone())
        })
        .await
    }

    async fn remove(&self, room: &str, identity: &str, _revoke_tokens: bool) -> Result<(), Error> {
        self.answer(format!("remove {room}/{identity}"), |model, _| {
            model.participant(room, identity)?;
            model.leave(room, identity);
            Ok(())
        })
        .await
    }

    async fn mute(&self, room: &str, identity: &str, track: &str, muted: bool) -> Result<bool, Error> {
        let verb = if muted { "mute" } else { "unmute" };
        self.answer(format!("{verb} {room}/{identity} {track}"), |model, _| {
            if !muted && !model.remote_unmute {
                let (status, code, message) = (412, TwirpCode::FailedPrecondition, "remote unmute not enabled".into());
                let feature = Some(Feature::RemoteUnmute);
                return Err(Error::Twirp { status, code, message, retry_after: None, feature });
            }
            let participant = model.participant(room, identity).map_err(|_| unavailable())?;
            let track = participant.tracks.iter_mut().find(|known| known.sid == track);
            if let Some(track) = track {
                track.muted = muted;
                participant.version += 1;
                return Ok(true);
            }
            Ok(false)
        })
        .await
    }

    async fn forward(&self, room: &str, identity: &str, destination: &str) -> Result<(), Error> {
        self.answer(format!("forward {room}/{identity} {destination}"), |model, fault| {
            let source = model.participant(room, identity)?.clone();
            model.missing(Feature::Forward)?;
            if matches!(fault, Some(Fault::HasNoEffect)) {
                return Ok(());
            }
            let copy = Participant { sid: super::sid("PA").into(), forwarded: true, ..source };
            let before = model.rooms.entry(destination.into()).or_default().insert(identity.into(), copy);
            assert!(before.is_none_or(|before| before.forwarded), "{identity} of {destination} has been driven out");
            model.copies.insert((destination.into(), identity.into()), room.into());
            Ok(())
        })
        .await
    }

    async fn move_to(&self, room: &str, identity: &str, destination: &str) -> Result<(), Error> {
        self.answer(format!("move {room}/{identity} {destination}"), |model, _| {
            let source = model.participant(room, identity)?.clone();
            model.missing(Feature::Move)?;
            model.leave(room, identity);
            let there = Participant { sid: super::sid("PA").into(), ..source };
            let before = model.rooms.entry(destination.into()).or_default().insert(identity.into(), there);
            assert!(before.is_none_or(|before| before.forwarded), "{identity} of {destination} has been driven out");
            Ok(())
        })
        .await
    }
}
