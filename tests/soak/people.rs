//! Who comes and goes. Nobody comes twice but who was thrown out.

use fastrand::Rng;
use livekit_protocol::{
    DisconnectReason, ParticipantPermission, RoomParticipantIdentity, TrackSource, UpdateParticipantRequest,
};
use usher::simulator::{Call, Caller, Join, Publication};

use crate::{declared::LOBBY, server::Server};

/// As many are there at once.
const MOST: usize = 60;
/// In as many rooms, of each cycle its own.
const ROOMS: u64 = 8;

/// Those who are there or were thrown out: each with the token of its first join.
#[derive(Default)]
pub struct People {
    pub joined: u64,
    there: Vec<Join>,
}

impl People {
    /// The next one comes; when the house is full, somebody goes.
    pub fn come(&mut self, server: &Server, random: &mut Rng, cycle: u64) {
        self.joined += 1;
        let number = self.joined;
        let room = format!("soak-{cycle}-{}", number % ROOMS);
        let join = match number % 10 {
            0 => Join::new(&room, &format!("host-{number}")).attribute("role", "host"),
            1 => Join::new(&room, &format!("troll-{number}")),
            2 => Join::new(LOBBY, &format!("visitor-{number}")).attribute("admitted", "yes"),
            _ => Join::new(&room, &format!("guest-{number}")),
        };
        self.enter(server, &join);
        self.there.push(join);
        if self.there.len() > MOST {
            self.go(server, random);
        }
    }

    /// Somebody does what no policy likes, or is thrown out and comes again.
    pub fn act(&self, server: &Server, random: &mut Rng) {
        if self.there.is_empty() {
            return;
        }
        let join = &self.there[random.usize(..self.there.len())];
        let (room, identity) = (&*join.room, &*join.identity);
        match random.u8(0..4) {
            // It may not be there: it was moved or removed.
            0 => unmute(server, room, identity),
            1 => meddle(server, room, identity),
            2 => publish(server, room, identity),
            _ if identity.starts_with("troll-") => self.enter(server, join),
            _ => {}
        }
    }

    fn go(&mut self, server: &Server, random: &mut Rng) {
        let gone = self.there.swap_remove(random.usize(..self.there.len()));
        leave(server, &gone.room, &gone.identity);
    }

    /// LiveKit has come back without its memory, and they all come with the tokens that they have.
    pub fn come_back(&self, server: &Server) {
        for join in &self.there {
            self.enter(server, join);
        }
    }

    /// Guests and hosts whom nobody was to remove, and who are not there.
    pub fn missing(&self, server: &Server) -> Vec<String> {
        let may_be_gone = |identity: &str| identity.starts_with("troll-") || identity.starts_with("visitor-");
        let stays = self.there.iter().filter(|join| !may_be_gone(&join.identity));
        let missing = stays.filter(|join| server.act(|it| it.session(&join.room, &join.identity)).is_none());
        missing.map(|join| format!("{} has been removed from {}", join.identity, join.room)).collect()
    }

    /// Everybody goes, wherever they have been brought to.
    pub fn leave(&mut self, server: &Server) {
        self.there.clear();
        for room in server.act(|it| it.rooms()) {
            for participant in server.act(|it| it.participants(&room.name)) {
                leave(server, &room.name, &participant.identity);
            }
        }
    }

    fn enter(&self, server: &Server, join: &Join) {
        // Who was removed a moment ago is refused: its token was revoked.
        let _ = server.act(|it| it.join(join.clone()));
        publish(server, &join.room, &join.identity);
    }
}

fn leave(server: &Server, room: &str, identity: &str) {
    // Who was moved or removed is not there.
    let _ = server.act(|it| it.leave(room, identity, DisconnectReason::ClientInitiated));
}

fn publish(server: &Server, room: &str, identity: &str) {
    for source in [TrackSource::Microphone, TrackSource::Camera] {
        let has = |track: &livekit_protocol::TrackInfo| track.source() == source;
        let seen = server.act(|it| it.participant(room, identity));
        if seen.is_some_and(|seen| !seen.tracks.iter().any(has)) {
            // It may not be allowed.
            let _ = server.act(|it| it.publish(room, identity, &Publication::of(source)));
        }
    }
}

/// Of which no webhook tells.
fn unmute(server: &Server, room: &str, identity: &str) {
    let Some(seen) = server.act(|it| it.participant(room, identity)) else { return };
    for track in seen.tracks.iter().filter(|track| track.muted) {
        let _ = server.act(|it| it.mute(room, identity, &track.sid, false));
    }
}

/// Another administrator turns somebody's right to publish around, of which no webhook tells.
fn meddle(server: &Server, room: &str, identity: &str) {
    let Some(seen) = server.act(|it| it.participant(room, identity)) else { return };
    let permission = seen.permission.unwrap_or_default();
    let who = RoomParticipantIdentity { room: room.into(), identity: identity.into(), ..Default::default() };
    let request = UpdateParticipantRequest {
        room: who.room,
        identity: who.identity,
        permission: Some(ParticipantPermission { can_publish: !permission.can_publish, ..permission }),
        ..Default::default()
    };
    server.act(|it| {
        let it = it.clone();
        tokio::spawn(async move { it.perform(&Caller::Trusted, Call::UpdateParticipant(request), None).await });
    });
}
