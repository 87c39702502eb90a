//! Moves that would send participants round in circles.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use super::{field::ObjectName, participant::Participant, transfer::Transfer, ways::Way};

/// Whoever is sent back within this time goes in a circle.
const CIRCLE: Duration = Duration::from_secs(60);
/// So many moves and stopped moves are remembered; of more, the earliest are forgotten, and a circle is noticed a
/// round later.
const MOST: usize = 16_384;

/// Who was moved of late, and which moves have stopped for whom.
#[derive(Debug, Default)]
pub struct Journeys {
    hops: VecDeque<Hop>,
    stops: HashMap<(Arc<str>, ObjectName), Stop>,
}

/// One participant, moved once.
#[derive(Debug)]
struct Hop {
    identity: Arc<str>,
    at: Timestamp,
    from: Arc<str>,
    by: Way,
    /// What the move selects on, as it was.
    selected: u64,
}

/// A move that has stopped for a participant.
#[derive(Clone, Debug)]
pub struct Stop {
    /// The move.
    pub stopped: Arc<Transfer>,
    /// The others of the circle.
    pub with: Vec<Arc<Transfer>>,
    selected: u64,
}

impl Journeys {
    /// Whether a move may take a participant out of a room. Where it would close a circle, the lowest-placed move of
    /// the circle stops for the participant, until what that one selects on is another or one of the moves is.
    /// `stands` says whether a move is in force as it was.
    ///
    /// Where somebody comes back whom this same move has taken and it is not known who sent them, that may have been
    /// another replica: `back` is asked for the moves by which they would be sent back from the destination.
    pub fn permit(
        &mut self,
        way: &Way,
        participant: &Participant,
        now: Timestamp,
        stands: impl Fn(&Arc<Transfer>) -> bool,
        back: impl FnOnce() -> Vec<Way>,
    ) -> bool {
        if self.stop_of(&way.transfer, participant, &stands).is_some() {
            return false;
        }
        if !self.stops.is_empty() {
            self.stops.remove(&(Arc::clone(&participant.identity), way.transfer.id.name.clone()));
        }
        self.forget_before(now);
        let Some(destination) = way.transfer.destinations.first() else { return false };
        let mine = |hop: &&Hop| *hop.identity == *participant.identity;
        let round = self.hops.iter().filter(mine).skip_while(|hop| hop.from != *destination);
        let round: Vec<&Hop> = round.collect();
        let unchanged = |hop: &&Hop| stands(&hop.by.transfer) && hop.by.transfer.selected(participant) == hop.selected;
        let mut members: Vec<Way> = if !round.is_empty() && round.iter().all(unchanged) {
            round.iter().map(|hop| hop.by.clone()).collect()
        } else if self.hops.iter().any(|hop| mine(&hop) && hop.by.transfer.id == way.transfer.id && unchanged(&hop)) {
            back()
        } else {
            return true;
        };
        if members.is_empty() {
            return true;
        }
        members.push(way.clone());
        let Some(lowest) = members.iter().max_by(|a, b| a.place.cmp(&b.place)).map(|lowest| (*lowest).clone()) else {
            return true;
        };
        let mut with: Vec<Arc<Transfer>> = (members.iter().map(|member| &member.transfer))
            .filter(|other| other.id != lowest.transfer.id)
            .cloned()
            .collect();
        with.sort_by(|a, b| a.id.cmp(&b.id));
        with.dedup_by(|a, b| a.id == b.id);
        if self.stops.len() >= MOST {
            self.stops.clear();
        }
        let key = (Arc::clone(&participant.identity), lowest.transfer.id.name.clone());
        let selected = lowest.transfer.selected(participant);
        let may_go = lowest.transfer.id != way.transfer.id;
        self.stops.insert(key, Stop { stopped: lowest.transfer, with, selected });
        may_go
    }

    /// Why a move does not take a participant.
    pub fn stop_of(
        &self,
        transfer: &Arc<Transfer>,
        participant: &Participant,
        stands: impl Fn(&Arc<Transfer>) -> bool,
    ) -> Option<&Stop> {
        if self.stops.is_empty() {
            return None;
        }
        let stop = self.stops.get(&(Arc::clone(&participant.identity), transfer.id.name.clone()))?;
        let holds = stands(&stop.stopped)
            && stop.with.iter().all(stands)
            && stop.stopped.selected(participant) == stop.selected;
        holds.then_some(stop)
    }

    /// Every stop, with the identity that it is for.
    pub fn stops(&self) -> impl Iterator<Item = (&Arc<str>, &Stop)> {
        self.stops.iter().map(|((identity, _), stop)| (identity, stop))
    }

    /// Forgets the stops of those who are no more.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.stops.retain(|(identity, _), _| is_there(identity));
    }

    /// Notes that a move has taken a participant out of a room.
    pub fn moved(&mut self, way: &Way, participant: &Participant, from: &Arc<str>, now: Timestamp) {
        self.forget_before(now);
        if self.hops.len() >= MOST {
            self.hops.pop_front();
        }
        let selected = way.transfer.selected(participant);
        let identity = Arc::clone(&participant.identity);
        self.hops.push_back(Hop { identity, at: now, from: Arc::clone(from), by: way.clone(), selected });
    }

    fn forget_before(&mut self, now: Timestamp) {
        while self.hops.front().is_some_and(|hop| now.duration_since(hop.at).unsigned_abs() > CIRCLE) {
            self.hops.pop_front();
        }
    }
}

impl Stop {
    /// What both sides say.
    #[must_use]
    pub fn message(&self) -> String {
        let others: Vec<String> = self.with.iter().map(|other| other.id.name.to_string()).collect();
        let (stopped, others) = (&self.stopped.id.name, others.join(", "));
        match others.is_empty() {
            true => format!("ParticipantMove {stopped} sends participants back and forth, so it has stopped for them"),
            false => format!(
                "ParticipantMoves {others} and {stopped} send participants back and forth, so {stopped} has stopped for \
                 them"
            ),
        }
    }
}
