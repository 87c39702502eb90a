//! Scenarios in which everything runs: participants join, at leisure or at once.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{sleep, timeout};
use usher_testkit::{Participant, Participants, ParticipantsOptions, TokenSpec, cpu};

use super::{
    contender::Entrant,
    sample::{Sample, is_quiet},
};

/// How long somebody is awaited who is not as declared: more than two looks of the polling script.
pub const PATIENCE: Duration = Duration::from_secs(12);
/// What was sent and is not awaited any more may still cost something.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// How participants join.
#[derive(Clone, Copy, Debug)]
pub struct Joins {
    /// The scenario's name.
    pub name: &'static str,
    /// How many in a round.
    pub count: usize,
    /// Into how many rooms.
    pub rooms: usize,
    /// One after the other, with this between two.
    pub pause: Duration,
}

impl Joins {
    fn specs(&self, round: usize) -> Vec<TokenSpec> {
        let room = |number: usize| format!("{}-{round}-{}", self.name, number % self.rooms);
        (0..self.count).map(|number| TokenSpec::new(&room(number), &format!("guest-{number}"))).collect()
    }

    /// One round of one contender. Everybody has left at its end.
    pub async fn round(&self, entrant: &Entrant, round: usize) -> Sample {
        let crowd = crowd();
        let (requests, before) = (entrant.requests().await, cpu(entrant.program().id()));
        let guests = enter(&crowd, entrant, &self.specs(round), self.pause, PATIENCE).await;
        sleep(LAST_WORDS).await;
        let used = cpu(entrant.program().id()) - before;
        let asked = entrant.requests().await;
        let mut sample = Sample {
            requests: asked.all - requests.all,
            writes: asked.writes - requests.writes,
            cpu: used,
            ..Sample::default()
        };
        sample.observe(&guests);
        leave(guests).await;
        sample
    }
}

/// A program for participants who do not report what they hear of each other.
pub fn crowd() -> Participants {
    Participants::start_with(&ParticipantsOptions { others: false })
}

/// Lets participants join one after the other and waits until each is as declared, or for as long as patience lasts.
pub async fn enter(
    crowd: &Participants,
    entrant: &Entrant,
    specs: &[TokenSpec],
    pause: Duration,
    patience: Duration,
) -> Vec<Participant> {
    let entering = specs.iter().enumerate().map(|(number, spec)| async move {
        sleep(pause * number as u32).await;
        let guest = crowd.join(&entrant.livekit, spec).await;
        wait_quiet(&guest, patience).await;
        guest
    });
    join_all(entering).await
}

/// Waits until somebody is as declared, or for as long as patience lasts.
pub async fn wait_quiet(guest: &Participant, patience: Duration) {
    // Its own time-out would panic, and here it is a figure.
    let _ = timeout(patience, guest.wait_for(patience * 2, is_quiet)).await;
}

/// Lets everybody leave, so that the next round finds the server as this one did.
pub async fn leave(guests: Vec<Participant>) {
    join_all(guests.iter().map(Participant::leave)).await;
    sleep(LAST_WORDS).await;
}
