//! What goes wrong.

use std::{collections::BTreeSet, ops::RangeInclusive, time::Duration};

use fastrand::Rng;
use tokio::time::Instant;
use usher::{
    livekit::TwirpCode,
    simulator::{Effect, Fault, Method, Refusal, Simulator, WebhookFaults},
};

/// What goes wrong beyond what the simulator can do by itself.
#[derive(Debug)]
pub struct Weather {
    /// Which life of the server this is.
    pub life: u64,
    down_until: Instant,
    /// How the next listings are spoiled.
    spoiled: Vec<Spoiled>,
    /// Rooms whose last listing was spoiled.
    were_spoiled: BTreeSet<String>,
    rooms_were_spoiled: bool,
    random: Rng,
}

#[derive(Clone, Copy, Debug)]
pub enum Spoiled {
    /// It shows nobody.
    Empty,
    /// It lacks one.
    Partial,
}

impl Weather {
    pub fn new(seed: u64) -> Self {
        Self {
            life: 0,
            down_until: Instant::now(),
            spoiled: Vec::new(),
            were_spoiled: BTreeSet::new(),
            rooms_were_spoiled: false,
            random: Rng::with_seed(seed),
        }
    }

    pub fn is_down(&self) -> bool {
        Instant::now() < self.down_until
    }

    /// The server has crashed and is not there for a while.
    pub fn crash(&mut self, pause: Duration) {
        self.life += 1;
        self.down_until = Instant::now() + pause;
    }

    pub fn clear(&mut self) {
        self.down_until = Instant::now();
        self.spoiled.clear();
    }

    pub fn spoil_next(&mut self, spoiled: Spoiled, times: usize) {
        self.spoiled.extend(std::iter::repeat_n(spoiled, times));
    }

    /// What becomes of a listing of rooms: it is all or nothing, LiveKit keeps them in one place.
    pub fn spoil_rooms(&mut self, rooms: Vec<String>) -> Vec<String> {
        let is_next = matches!(self.spoiled.last(), Some(Spoiled::Empty));
        if std::mem::take(&mut self.rooms_were_spoiled) || !is_next {
            return rooms;
        }
        self.rooms_were_spoiled = true;
        self.spoiled.pop();
        Vec::new()
    }

    /// What becomes of a listing of a room. Of two in a row one is right: whom both lack has left, as far as anybody can
    /// know.
    pub fn spoil<T>(&mut self, room: &str, mut shown: Vec<T>) -> Vec<T> {
        let was_spoiled = self.were_spoiled.remove(room);
        match self.spoiled.pop_if(|_| !was_spoiled) {
            None => return shown,
            Some(Spoiled::Empty) => shown.clear(),
            Some(Spoiled::Partial) if shown.is_empty() => {}
            Some(Spoiled::Partial) => drop(shown.remove(self.random.usize(..shown.len()))),
        }
        self.were_spoiled.insert(room.to_owned());
        shown
    }
}

/// Something goes wrong with calls from now on; in words, what.
pub fn spoil_calls(random: &mut Rng, simulator: &Simulator) -> String {
    let effect = match random.u8(0..10) {
        0 => Effect::Latency(milliseconds(0..=3000)),
        1 => Effect::SlowAnswer(milliseconds(0..=3000)),
        2 => Effect::Status { status: [429, 503][random.usize(..2)], retry_after: Some(random.u32(1..8)) },
        3 => Effect::Status { status: [429, 500, 502, 503][random.usize(..4)], retry_after: None },
        4 | 5 => Effect::Cut { acted_upon: random.bool() },
        6 => Effect::Hangs,
        7 => Effect::StaleListing,
        8 => Effect::Refused(Refusal::new(TwirpCode::Unavailable, "try again")),
        _ => Effect::Refused(Refusal::new(TwirpCode::Internal, "oh")),
    };
    let fault = Fault::always(effect).times(random.u32(1..6));
    let fault = if random.bool() { fault.with_chance(0.5) } else { fault };
    let methods = [
        Method::ListRooms,
        Method::ListParticipants,
        Method::GetParticipant,
        Method::UpdateParticipant,
        Method::RemoveParticipant,
        Method::ForwardParticipant,
    ];
    let fault = if random.bool() { fault.on(methods[random.usize(..methods.len())]) } else { fault };
    let said = format!("calls go wrong: {fault:?}");
    simulator.add_fault(fault);
    said
}

/// Something goes wrong with webhooks from now on; in words, what.
pub fn spoil_webhooks(random: &mut Rng, simulator: &Simulator) -> String {
    let mut chance = || if random.bool() { random.f64() / 2.0 } else { 0.0 };
    let faults = WebhookFaults {
        lost: chance(),
        doubled: chance(),
        late: chance(),
        swapped: chance(),
        delay: milliseconds(10..=12_000),
    };
    let said = format!("webhooks go wrong: {faults:?}");
    simulator.set_webhook_faults(faults);
    said
}

fn milliseconds(range: RangeInclusive<u64>) -> RangeInclusive<Duration> {
    Duration::from_millis(*range.start())..=Duration::from_millis(*range.end())
}
