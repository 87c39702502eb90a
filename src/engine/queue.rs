//! What is to be done next: joins before policy changes before resync.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tokio::time::Instant;

/// Below this many, work for those who have left is not worth a search.
const FEW: usize = 1024;

/// How urgent work is; the smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Somebody has just joined or published: what they may not do, they are doing now.
    Join,
    /// A policy has changed, or a moment has come.
    Change,
    /// A look at what no webhook told.
    Resync,
}

impl Urgency {
    /// Every urgency, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Join, Self::Change, Self::Resync];

    /// As metrics name it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Change => "change",
            Self::Resync => "resync",
        }
    }
}

/// One piece of work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// Plan for a participant, and act.
    Participant(Key),
    /// The same for everybody in a room: of many rooms their participants stand in no queue, but the rooms do.
    Everybody(Arc<str>),
    /// See whether a copy is to go.
    Retire(Key),
    /// Ask LiveKit for a session that a webhook told of and that is not known yet.
    Meet(Key),
    /// List a room.
    ListRoom(Arc<str>),
    /// List the rooms.
    ListRooms,
    /// See whether the server still answers.
    Ping,
}

/// Names a participant of a room.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The room.
    pub room: Arc<str>,
    /// The identity.
    pub identity: Arc<str>,
}

impl Key {
    /// The same identity in another room.
    pub fn at(&self, room: &Arc<str>) -> Self {
        Self { room: Arc::clone(room), identity: Arc::clone(&self.identity) }
    }
}

/// Work whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) urgency: Urgency,
    pub(super) work: Work,
    /// Since when it has waited.
    pub(super) since: Instant,
}

/// Each urgency has two lanes: first what was begun and must go on, then what has not begun.
const LANES: [Urgency; 6] =
    [Urgency::Join, Urgency::Join, Urgency::Change, Urgency::Change, Urgency::Resync, Urgency::Resync];

/// Work in the order of its urgency; within a lane, first come, first served. No work is in a lane twice, however
/// often it is asked for.
#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: [VecDeque<(Work, Instant)>; LANES.len()],
    /// The lanes in which work stands, as bits.
    places: HashMap<Work, u8>,
    crowd: usize,
}

impl Queue {
    /// Puts work at the end of its urgency, unless it is queued as urgently already.
    pub(super) fn push(&mut self, urgency: Urgency, work: Work) {
        let lane = 2 * urgency as usize + 1;
        if self.enter(lane, &work) {
            self.lanes[lane].push_back((work, Instant::now()));
        }
    }

    /// Puts work before all else of its urgency: what was looked at a moment ago must be acted on before that is old.
    pub(super) fn push_next(&mut self, urgency: Urgency, work: Work) {
        self.put_back(Turn { urgency, work, since: Instant::now() });
    }

    /// Puts back what could not be done when its turn came.
    pub(super) fn put_back(&mut self, turn: Turn) {
        let lane = 2 * turn.urgency as usize;
        if self.enter(lane, &turn.work) {
            self.lanes[lane].push_front((turn.work, turn.since));
        }
    }

    /// How much waits with this urgency.
    pub(super) fn depth(&self, urgency: Urgency) -> usize {
        let lane = 2 * urgency as usize;
        self.lanes[lane].len() + self.lanes[lane + 1].len()
    }

    /// Notes a lane for work; false if it stands there or in a lane before.
    fn enter(&mut self, lane: usize, work: &Work) -> bool {
        let up_to = (2 << lane) - 1;
        match self.places.get_mut(work) {
            Some(places) if *places & up_to != 0 => false,
            Some(places) => {
                *places |= 1 << lane;
                true
            }
            None => self.places.insert(work.clone(), 1 << lane).is_none(),
        }
    }

    /// The next work of at least this urgency.
    pub(super) fn pop(&mut self, least: Urgency) -> Option<Turn> {
        for (lane, urgency) in LANES.into_iter().enumerate().take_while(|(_, urgency)| *urgency <= least) {
            let Some((work, since)) = self.lanes[lane].pop_front() else { continue };
            if let Some(places) = self.places.get_mut(&work) {
                *places &= !(1 << lane);
                if *places == 0 {
                    self.places.remove(&work);
                    self.give_back();
                }
            }
            return Some(Turn { urgency, work, since });
        }
        None
    }

    /// Gives back the memory that many needed once, when none are left.
    fn give_back(&mut self) {
        if self.places.is_empty() && self.places.capacity() > 4 * FEW {
            self.places.shrink_to(FEW);
            self.lanes.iter_mut().for_each(|lane| lane.shrink_to(FEW));
        }
    }

    /// Whether there is twice as much as at the last search for work that has lost its meaning.
    pub(super) fn is_crowded(&self) -> bool {
        self.places.len() > self.crowd.max(FEW)
    }

    pub(super) fn retain(&mut self, has_meaning: impl Fn(&Work) -> bool) {
        self.places.retain(|work, _| has_meaning(work));
        for lane in &mut self.lanes {
            lane.retain(|(work, _)| self.places.contains_key(work));
        }
        self.crowd = 2 * self.places.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> Work {
        Work::ListRoom(name.into())
    }

    fn next(queue: &mut Queue, least: Urgency) -> Option<(Urgency, Work)> {
        queue.pop(least).map(|turn| (turn.urgency, turn.work))
    }

    fn all(queue: &mut Queue) -> Vec<(Urgency, Work)> {
        std::iter::from_fn(|| next(queue, Urgency::Resync)).collect()
    }

    #[test]
    fn urgent_work_overtakes() {
        let mut queue = Queue::default();
        queue.push(Urgency::Resync, room("a"));
        queue.push(Urgency::Change, room("b"));
        queue.push(Urgency::Join, room("c"));
        queue.push(Urgency::Join, room("d"));
        let order: Vec<_> = all(&mut queue).into_iter().map(|(_, work)| work).collect();
        assert_eq!(order, [room("c"), room("d"), room("b"), room("a")]);
        assert!(queue.places.is_empty());
    }

    #[test]
    fn what_has_begun_goes_on_before_the_rest_of_its_urgency() {
        let mut queue = Queue::default();
        queue.push(Urgency::Change, room("a"));
        queue.push(Urgency::Change, room("b"));
        queue.push_next(Urgency::Change, room("b"));
        queue.push(Urgency::Join, room("c"));
        let order: Vec<_> = all(&mut queue).into_iter().map(|(_, work)| work).collect();
        assert_eq!(order, [room("c"), room("b"), room("a"), room("b")]);
    }

    #[test]
    fn what_is_queued_is_not_queued_again() {
        let mut queue = Queue::default();
        for _ in 0..1000 {
            queue.push(Urgency::Resync, room("a"));
            queue.push(Urgency::Join, room("a"));
            queue.push_next(Urgency::Join, room("a"));
            queue.push(Urgency::Change, room("a"));
        }
        assert_eq!(all(&mut queue).len(), 3);
    }

    #[test]
    fn less_urgent_work_waits_where_it_may_not_begin() {
        let mut queue = Queue::default();
        queue.push(Urgency::Resync, room("a"));
        assert_eq!(next(&mut queue, Urgency::Change), None);
        assert_eq!(next(&mut queue, Urgency::Resync), Some((Urgency::Resync, room("a"))));
    }

    #[test]
    fn what_is_put_back_has_waited_since_it_came_and_is_counted() {
        let mut queue = Queue::default();
        queue.push(Urgency::Join, room("a"));
        queue.push(Urgency::Join, room("b"));
        let turn = queue.pop(Urgency::Resync).unwrap();
        queue.put_back(turn.clone());
        assert_eq!(Urgency::ALL.map(|urgency| queue.depth(urgency)), [2, 0, 0]);
        assert_eq!(queue.pop(Urgency::Resync), Some(turn));
    }

    #[test]
    fn work_without_meaning_does_not_gather() {
        let mut queue = Queue::default();
        for number in 0..100_000 {
            queue.push(Urgency::Join, room(&number.to_string()));
            if queue.is_crowded() {
                queue.retain(|_| false);
            }
        }
        assert!(queue.places.len() <= FEW + 1);
        assert!(queue.lanes.iter().all(|lane| lane.len() <= FEW + 1));
    }
}
