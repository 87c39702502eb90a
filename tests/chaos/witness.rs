//! Stands between the engine and the simulated server: sees and judges every request, and hands on the answer, or
//! spoils it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;
use usher::{
    engine::RoomService,
    livekit::Error,
    policy::{Participant, Update},
    simulator::{Direct, Simulator},
};

use crate::{
    judge,
    ledger::{Ledger, Who},
    weather::Weather,
};

const TIMEOUT: Duration = Duration::from_secs(5);

/// What the engine asks for.
#[derive(Clone, Debug)]
pub enum Request {
    Ping,
    Rooms,
    List(String),
    Get(Who),
    Update(Who, Update),
    Remove(Who),
    Mute(Who, String, bool),
    Forward(Who, String),
    Move(Who, String),
}

impl Request {
    pub fn writes(&self) -> bool {
        !matches!(self, Self::Ping | Self::Rooms | Self::List(_) | Self::Get(_))
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ping => write!(f, "Ping"),
            Self::Rooms => write!(f, "ListRooms"),
            Self::List(room) => write!(f, "List {room}"),
            Self::Get((room, identity)) => write!(f, "Get {room}/{identity}"),
            Self::Update((room, identity), update) => {
                write!(f, "Update {room}/{identity}")?;
                if let Some(permission) = &update.permission {
                    write!(f, " {permission:?}")?;
                }
                let texts = [("name", &update.name), ("metadata", &update.metadata)];
                for (field, text) in texts.into_iter().filter_map(|(field, text)| Some((field, text.as_ref()?))) {
                    write!(f, " {field}={text}")?;
                }
                update.attributes.iter().try_for_each(|(key, value)| write!(f, " {key}={value:?}"))
            }
            Self::Remove((room, identity)) => write!(f, "Remove {room}/{identity}"),
            Self::Mute((room, identity), track, muted) => write!(f, "Mute {room}/{identity} {track} {muted}"),
            Self::Forward((room, identity), to) => write!(f, "Forward {room}/{identity} to {to}"),
            Self::Move((room, identity), to) => write!(f, "Move {room}/{identity} to {to}"),
        }
    }
}

/// What the witness shares with the stage.
pub struct Shared {
    pub ledger: Mutex<Ledger>,
    pub weather: Mutex<Weather>,
    pub simulator: Mutex<Simulator>,
}

impl Shared {
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    pub fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap()
    }

    /// The server of these days.
    pub fn simulator(&self) -> Simulator {
        self.simulator.lock().unwrap().clone()
    }
}

/// The RoomService of one life of the engine.
#[derive(Clone)]
pub struct Witness {
    shared: Arc<Shared>,
    life: u64,
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").field("life", &self.life).finish_non_exhaustive()
    }
}

/// A request that is under way, until it is answered or the engine crashes.
struct UnderWay {
    witness: Witness,
    request: Request,
    begun: Instant,
    direct: Direct,
    /// Which life of the server it was sent to.
    server: u64,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut ledger = self.witness.shared.ledger();
        if ledger.life == self.witness.life {
            ledger.under_way -= 1;
        }
    }
}

impl Witness {
    pub fn new(shared: Arc<Shared>) -> Self {
        let life = shared.ledger().life;
        Self { shared, life }
    }

    fn ask(&self, request: Request) -> Result<UnderWay, Error> {
        let simulator = self.shared.simulator();
        let mut ledger = self.shared.ledger();
        ledger.say(|| format!("   {request}"));
        if ledger.life != self.life {
            ledger.break_rule(format!("{request} by an engine that is no more"));
        }
        judge::request(&mut ledger, &simulator, &request);
        drop(ledger);
        let weather = self.shared.weather();
        let asked = UnderWay {
            witness: self.clone(),
            request,
            begun: Instant::now(),
            direct: simulator.direct(TIMEOUT),
            server: weather.life,
        };
        let is_down = weather.is_down();
        drop(weather);
        if is_down { asked.end(Err(Error::Connect(None))) } else { Ok(asked) }
    }
}

impl UnderWay {
    /// Notes what came of it. An answer of a server that has crashed meanwhile does not arrive.
    fn end<T>(self, answer: Result<T, Error>) -> Result<T, Error> {
        let has_crashed = self.witness.shared.weather().life != self.server;
        let answer = if has_crashed { Err(Error::Cut(None)) } else { answer };
        self.witness.shared.ledger().answered(&self.request, answer.as_ref().err());
        answer
    }

    fn tell(&self, room: &str, participant: &Participant) {
        self.witness.shared.ledger().tell(room, participant, Some(self.begun));
    }
}

fn who(room: &str, identity: &str) -> Who {
    (room.to_owned(), identity.to_owned())
}

impl RoomService for Witness {
    async fn ping(&self) -> Result<(), Error> {
        let asked = self.ask(Request::Ping)?;
        let answer = asked.direct.ping().await;
        asked.end(answer)
    }

    async fn rooms(&self) -> Result<Vec<String>, Error> {
        let asked = self.ask(Request::Rooms)?;
        let answer = asked.direct.rooms().await.map(|rooms| self.shared.weather().spoil_rooms(rooms));
        asked.end(answer)
    }

    async fn participants(&self, room: &str) -> Result<Vec<Participant>, Error> {
        let asked = self.ask(Request::List(room.to_owned()))?;
        let answer = asked.direct.participants(room).await.map(|shown| self.shared.weather().spoil(room, shown));
        for participant in answer.iter().flatten() {
            asked.tell(room, participant);
        }
        asked.end(answer)
    }

    async fn participant(&self, room: &str, identity: &str) -> Result<Participant, Error> {
        let asked = self.ask(Request::Get(who(room, identity)))?;
        let answer = asked.direct.participant(room, identity).await;
        answer.iter().for_each(|participant| asked.tell(room, participant));
        asked.end(answer)
    }

    async fn update(&self, room: &str, identity: &str, update: &Update) -> Result<Participant, Error> {
        let asked = self.ask(Request::Update(who(room, identity), update.clone()))?;
        let answer = asked.direct.update(room, identity, update).await;
        answer.iter().for_each(|participant| asked.tell(room, participant));
        asked.end(answer)
    }

    async fn remove(&self, room: &str, identity: &str, revoke_tokens: bool) -> Result<(), Error> {
        let asked = self.ask(Request::Remove(who(room, identity)))?;
        let answer = asked.direct.remove(room, identity, revoke_tokens).await;
        asked.end(answer)
    }

    async fn mute(&self, room: &str, identity: &str, track: &str, muted: bool) -> Result<bool, Error> {
        let asked = self.ask(Request::Mute(who(room, identity), track.to_owned(), muted))?;
        let answer = asked.direct.mute(room, identity, track, muted).await;
        asked.end(answer)
    }

    async fn forward(&self, room: &str, identity: &str, destination: &str) -> Result<(), Error> {
        let asked = self.ask(Request::Forward(who(room, identity), destination.to_owned()))?;
        let answer = asked.direct.forward(room, identity, destination).await;
        asked.end(answer)
    }

    async fn move_to(&self, room: &str, identity: &str, destination: &str) -> Result<(), Error> {
        let asked = self.ask(Request::Move(who(room, identity), destination.to_owned()))?;
        let answer = asked.direct.move_to(room, identity, destination).await;
        asked.end(answer)
    }
}
