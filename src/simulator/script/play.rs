//! Plays a script.

use std::{cmp::Reverse, collections::BinaryHeap, ops::RangeInclusive, time::Duration};

use livekit_protocol::{DisconnectReason, TrackSource};
use tokio::{task::JoinHandle, time::Instant};

use super::{Role, Script};
use crate::simulator::{Join, Publication, Simulator, faults::within};

/// A script that is played. It ends when this is dropped; the participants stay.
#[derive(Debug)]
pub struct Play(JoinHandle<()>);

impl Drop for Play {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Simulator {
    /// Plays a script, as its seed and that of this server decide. To be called within a Tokio runtime.
    #[must_use]
    pub fn play(&self, script: Script, seed: u64) -> Play {
        let chance = fastrand::Rng::with_seed(self.options().seed ^ seed.rotate_left(32));
        let stage = Stage {
            simulator: self.clone(),
            script,
            chance,
            acts: BinaryHeap::new(),
            actors: Vec::new(),
            free: Vec::new(),
            come: 0,
        };
        Play(tokio::spawn(stage.play()))
    }
}

/// One participant. A place is used again when it has left.
struct Actor {
    role: usize,
    /// Its first token.
    token: Join,
    room: String,
    sid: String,
    /// Distinguishes it from who had the place before, and will have it after.
    number: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Come,
    Look { place: usize, number: usize },
    Leave { place: usize, number: usize },
}

struct Stage {
    simulator: Simulator,
    script: Script,
    chance: fastrand::Rng,
    acts: BinaryHeap<Reverse<(Instant, Act)>>,
    actors: Vec<Actor>,
    free: Vec<usize>,
    come: usize,
}

impl Stage {
    async fn play(mut self) {
        if self.script.rooms.is_empty() || self.script.roles.is_empty() {
            return;
        }
        self.at(Duration::ZERO, Act::Come);
        while let Some(Reverse((at, act))) = self.acts.pop() {
            tokio::time::sleep_until(at).await;
            match act {
                Act::Come => self.come(at),
                Act::Look { place, number } if self.actors[place].number == number => self.look(place),
                Act::Leave { place, number } if self.actors[place].number == number => self.leave(place),
                // It has left already.
                Act::Look { .. } | Act::Leave { .. } => {}
            }
        }
    }

    fn at(&mut self, after: Duration, act: Act) {
        self.acts.push(Reverse((Instant::now() + after, act)));
    }

    /// Somebody comes if there is a place, and the next one is expected.
    fn come(&mut self, due: Instant) {
        let rate = self.script.joins_per_second;
        let mut coming = if rate > 0.0 { 1 } else { usize::MAX };
        while coming > 0 && self.actors.len() - self.free.len() < self.script.participants {
            self.enter();
            coming -= 1;
        }
        // Half as early to half as late again, so that the average holds; and from when it was due, for a clock that
        // ticks in milliseconds would make each of thousands a second late.
        let next = if rate > 0.0 { (0.5 + self.chance.f64()) / rate } else { 1.0 };
        self.acts.push(Reverse((due + Duration::from_secs_f64(next.min(3600.0)), Act::Come)));
    }

    fn enter(&mut self) {
        self.come += 1;
        let number = self.come;
        let weights: u32 = self.script.roles.iter().map(|role| role.weight).sum();
        let mut drawn = self.chance.u32(0..weights.max(1));
        let role = self.script.roles.iter().position(|role| {
            let it = drawn < role.weight;
            drawn = drawn.saturating_sub(role.weight);
            it
        });
        let role = role.unwrap_or_default();
        let room = self.script.rooms[number % self.script.rooms.len()].clone();
        let Role { identity, token, .. } = &self.script.roles[role];
        let token = Join {
            room: room.clone(),
            identity: format!("{identity}{number}"),
            issued_at: Some(self.simulator.now().seconds()),
            ..token.clone()
        };
        let Ok(sid) = self.simulator.join(token.clone()) else { return };
        let actor = Actor { role, token, room, sid, number };
        let place = match self.free.pop() {
            Some(place) => {
                self.actors[place] = actor;
                place
            }
            None => {
                self.actors.push(actor);
                self.actors.len() - 1
            }
        };
        self.publish(place);
        if let Some(stay) = self.script.stay.clone() {
            let stay = self.draw(&stay);
            self.at(stay, Act::Leave { place, number });
        }
        self.expect_look(place);
    }

    fn expect_look(&mut self, place: usize) {
        let Actor { role, number, .. } = self.actors[place];
        if let Some(looks) = self.script.roles[role].looks.clone() {
            let wait = self.draw(&looks).max(Duration::from_millis(1));
            self.at(wait, Act::Look { place, number });
        }
    }

    /// It goes. Who had been removed has gone already.
    fn leave(&mut self, place: usize) {
        if self.is_there(place) {
            let Actor { room, token, .. } = &self.actors[place];
            // It was there a moment ago.
            let _ = self.simulator.leave(room, &token.identity, DisconnectReason::ClientInitiated);
        }
        self.actors[place].number = 0;
        self.free.push(place);
    }

    fn look(&mut self, place: usize) {
        let habits = self.script.roles[self.actors[place].role].habits.clone();
        if let Some(room) = self.moved(place) {
            self.actors[place].room = room;
        } else if !self.is_there(place) {
            if !habits.comes_back {
                self.leave(place);
                return;
            }
            let token = self.actors[place].token.clone();
            self.rejoin(place, token);
        } else if self.chance.f64() < habits.reconnects {
            let Actor { room, token, .. } = &self.actors[place];
            if let Ok(refreshed) = self.simulator.refreshed(room, &token.identity) {
                self.rejoin(place, refreshed);
            }
        }
        self.publish(place);
        let Actor { room, token, .. } = &self.actors[place];
        // Each of these fails when it was removed in this very moment, which it sees at its next look.
        if habits.unmutes
            && let Some(seen) = self.simulator.participant(room, &token.identity)
        {
            for track in seen.tracks.iter().filter(|track| track.muted) {
                let _ = self.simulator.mute(room, &token.identity, &track.sid, false);
            }
        }
        if let Some(change) = &habits.changes {
            let _ = self.simulator.change(room, &token.identity, change);
        }
        self.expect_look(place);
    }

    fn rejoin(&mut self, place: usize, token: Join) {
        let room = token.room.clone();
        if let Ok(sid) = self.simulator.join(token) {
            self.actors[place].sid = sid;
            self.actors[place].room = room;
        }
    }

    /// The session it knows is there.
    fn is_there(&self, place: usize) -> bool {
        let Actor { room, token, sid, .. } = &self.actors[place];
        self.simulator.session(room, &token.identity).as_deref() == Some(sid)
    }

    /// The room it was moved to since it looked last.
    fn moved(&mut self, place: usize) -> Option<String> {
        let Actor { room, token, .. } = &self.actors[place];
        let (room, sid) = self.simulator.take_move(room, &token.identity)?;
        self.actors[place].sid = sid;
        Some(room)
    }

    /// Publishes what it wants to and has not.
    fn publish(&mut self, place: usize) {
        let Actor { room, token, role, .. } = &self.actors[place];
        let wanted = &self.script.roles[*role].publishes;
        if wanted.is_empty() {
            return;
        }
        let Some(seen) = self.simulator.participant(room, &token.identity) else { return };
        let has = |source: TrackSource| seen.tracks.iter().any(|track| track.source == i32::from(source));
        for source in wanted.iter().copied().filter(|source| !has(*source)) {
            let _ = self.simulator.publish(room, &token.identity, &Publication::of(source));
        }
    }

    fn draw(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        within(range, &mut self.chance)
    }
}
