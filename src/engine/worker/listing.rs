//! Listing: which rooms there are, and who is in them.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Worker, wake::Timer};
use crate::{
    engine::{
        act::{Answer, Ticket, Trouble},
        queue::{Key, Urgency, Work},
        record::Failure,
        room::{CERTAIN, Room},
        service::RoomService,
    },
    livekit::Class,
    policy::Participant,
};

/// Between a listing and the one that it is held against.
const CONFIRM: Duration = Duration::from_secs(1);

impl<S: RoomService> Worker<S> {
    /// Lists the rooms, if that is this replica's to do.
    pub(super) fn list_rooms_soon(&mut self, urgency: Urgency) {
        if !self.role.leads() {
            return;
        }
        self.round.asked = Instant::now();
        self.queue.push(urgency, Work::ListRooms);
    }

    pub(super) fn list_room_soon(&mut self, name: &Arc<str>, urgency: Urgency) {
        if let Some(room) = self.rooms.get_mut(name) {
            room.asked = Instant::now();
            self.queue.push(urgency, Work::ListRoom(Arc::clone(name)));
        }
    }

    /// Lists who is in every room, the one that was listed longest ago first, if that is this replica's to do.
    pub(super) fn list_all_soon(&mut self, urgency: Urgency) {
        if !self.role.leads() {
            return;
        }
        let mut rooms: Vec<_> = self.rooms.values().map(|room| (room.listed, Arc::clone(&room.name))).collect();
        rooms.sort_unstable();
        for (_, name) in rooms {
            self.list_room_soon(&name, urgency);
        }
    }

    /// Sets when a room is to be listed next.
    pub(super) fn list_room_at(&mut self, name: &Arc<str>, due: Instant) {
        if let Some(room) = self.rooms.get_mut(name) {
            room.due = due;
            self.set_timer(due, Timer::Room(Arc::clone(name)));
        }
    }

    /// The same, unless it is to be listed sooner anyway.
    pub(super) fn list_room_by(&mut self, name: &Arc<str>, due: Instant) {
        let now = Instant::now();
        if self.rooms.get(name).is_some_and(|room| room.due > due || room.due <= now) {
            self.list_room_at(name, due);
        }
    }

    /// Sets when the rooms are to be listed next.
    fn list_rooms_at(&mut self, due: Instant) {
        self.round.due = due;
        self.set_timer(due, Timer::Rooms);
    }

    /// Sees to it that rooms are known for certain soon, and which rooms there are: what is done to copies rests on who
    /// is not there, and one listing may be wrong.
    pub(super) fn make_certain(&mut self, names: &[Arc<str>]) {
        let due = Instant::now() + CONFIRM;
        if !self.round.is_certain() && self.round.listed.is_some() && self.round.due > due {
            self.list_rooms_at(due);
        }
        for name in names {
            let listed_once = |room: &Room| room.listed.is_some() && room.failure.is_none() && !room.is_certain();
            if self.room(name).is_some_and(listed_once) {
                self.list_room_by(name, due);
            }
        }
    }

    /// Sets anew when everything is listed, spread over the resync interval.
    pub(super) fn spread_listings(&mut self) {
        if !self.role.leads() {
            return;
        }
        let now = Instant::now();
        for name in self.rooms.keys().cloned().collect::<Vec<_>>() {
            let due = now + self.part_of_interval(0.1, 1.0);
            self.list_room_by(&name, due);
        }
        let due = now + self.part_of_interval(0.1, 1.0);
        self.list_rooms_at(due);
    }

    /// How often a governed room is listed: as declared, or as often as the budget allows.
    pub(super) fn resync_interval(&self) -> Duration {
        let round = self.rooms.len() as f64 + 1.0;
        let needed = self.budget.resync_rate().map(|rate| Duration::from_secs_f64(round / f64::from(rate.get())));
        self.view.resync_interval.max(needed.unwrap_or_default())
    }

    /// A part of the resync interval, by chance.
    fn part_of_interval(&self, from: f64, to: f64) -> Duration {
        self.resync_interval().mul_f64(from + (to - from) * fastrand::f64())
    }

    /// When a room is due that has been listed now. At first they are spread over the whole interval, for all of them
    /// are found at once; from then on a tenth more or less keeps them so.
    pub(super) fn next_listing(&self, is_first: bool) -> Instant {
        let from = if is_first { 0.1 } else { 0.9 };
        Instant::now() + self.part_of_interval(from, from + if is_first { 0.9 } else { 0.2 })
    }

    /// The room of a name, if some policy, forward or move concerns it.
    pub(super) fn govern(&mut self, name: &str) -> Option<Arc<str>> {
        if let Some((name, _)) = self.rooms.get_key_value(name) {
            return Some(Arc::clone(name));
        }
        let (line, ways) = self.what_holds_in(name)?;
        let name: Arc<str> = name.into();
        let room = Room::new(Arc::clone(&name), Arc::new(line), Instant::now());
        self.rooms.insert(Arc::clone(&name), Box::new(room));
        self.set_ways(&name, ways);
        self.watch_line(&name);
        Some(name)
    }

    pub(super) fn listed_rooms(&mut self, ticket: Ticket, result: Result<Answer, Trouble>, begun: Instant) {
        if self.round.listing.take_if(|awaited| *awaited == ticket).is_none() {
            return;
        }
        if let Some(urgency) = self.round.again.take() {
            self.list_rooms_soon(urgency);
        }
        // A follower asked in order to see whether the server answers.
        if !self.role.leads() {
            return;
        }
        self.report_soon();
        match result {
            Ok(Answer::Rooms(names)) => {
                self.round.failure = None;
                self.take_names(&names, begun);
                let due = Instant::now() + self.part_of_interval(0.9, 1.1);
                self.list_rooms_at(due);
            }
            Ok(_) => {}
            Err(trouble) => {
                let now = Instant::now();
                let message = format!("the rooms cannot be listed: {trouble}").into();
                let class = Class::Transient { retry_after: None };
                let failure = Failure::another(self.round.failure.as_ref(), message, class, now);
                self.list_rooms_at(failure.until);
                self.round.failure = Some(failure);
            }
        }
    }

    /// Takes in which rooms there are.
    fn take_names(&mut self, names: &[String], begun: Instant) {
        let governed: HashSet<Arc<str>> =
            names.iter().filter_map(|name| self.guarded(name, |worker| worker.govern(name))).collect();
        let mut gone = Vec::new();
        for (name, room) in &mut self.rooms {
            if governed.contains(name) {
                room.missed = 0;
            } else if room.since < begun && room.records.values().all(|record| record.changed < begun) {
                room.missed += 1;
                if room.missed > 1 {
                    gone.push(Arc::clone(name));
                }
            }
        }
        for name in gone {
            self.forget_room(&name);
        }
        let mut unknown: Vec<_> = (governed.iter())
            .filter(|name| self.rooms.get(*name).is_some_and(|room| room.listed.is_none()))
            .cloned()
            .collect();
        unknown.sort_unstable();
        for name in &unknown {
            // One that is under way has begun since anybody asked, or it is repeated anyway.
            if self.rooms.get(name).is_some_and(|room| room.listing.is_none()) {
                self.list_room_soon(name, Urgency::Change);
            }
        }
        if self.round.listed.is_none() {
            self.round.first = unknown.into_iter().collect();
        }
        self.round.listed = Some(begun);
        self.round.listings = self.round.listings.saturating_add(1);
        if self.round.listings == CERTAIN {
            self.retire_again();
        }
    }

    pub(super) fn listed_room(
        &mut self,
        name: &Arc<str>,
        ticket: Ticket,
        result: Result<Answer, Trouble>,
        urgency: Urgency,
        begun: Instant,
    ) {
        let now = Instant::now();
        let Some(room) = self.rooms.get_mut(name) else { return };
        if room.listing.take_if(|awaited| *awaited == ticket).is_none() {
            return;
        }
        let again = room.again.take();
        let is_first = room.listed.is_none();
        match result {
            Ok(Answer::Participants(participants)) => self.take_listing(name, participants, urgency, begun),
            // LiveKit Cloud says so of a room that has ended, where the open-source server lists nobody.
            Err(trouble) if trouble.class() == Class::Gone => self.take_listing(name, Vec::new(), urgency, begun),
            Ok(_) => {}
            Err(trouble) => {
                tracing::debug!(server = %self.view.server, room = &**name, %trouble, "cannot list the room");
                let message = format!("the room cannot be listed: {trouble}").into();
                let failure = Failure::another(room.failure.as_deref(), message, trouble.class(), now);
                let due = failure.until;
                if room.failure.replace(Box::new(failure)).is_none() {
                    // Whoever counted on it must be asked for one by one.
                    self.look_at_all(name, urgency);
                }
                self.list_room_at(name, due);
                self.report.touch(name);
                return;
            }
        }
        if self.role.leads() {
            let due = self.next_listing(is_first);
            self.list_room_at(name, due);
        }
        if let Some(urgency) = again {
            self.list_room_soon(name, urgency);
        }
    }

    /// Whether what is found in a room now was there before the worker began, as far as anybody can tell.
    pub(super) fn learns(&self, name: &str) -> bool {
        self.rooms.get(name).is_some_and(|room| room.listed.is_none())
            && (self.round.listed.is_none() || self.round.first.contains(name))
    }

    fn take_listing(&mut self, name: &Arc<str>, participants: Vec<Participant>, urgency: Urgency, begun: Instant) {
        let learned = if self.learns(name) { self.old_keys.as_slice() } else { &[] };
        self.round.first.remove(name);
        let Some(room) = self.rooms.get_mut(name) else { return };
        let urgency = if room.listed.is_none() { Urgency::Change } else { urgency };
        let shown = room.list(participants, begun, Instant::now(), learned);
        // What the listing showed is new now and will not stay so; the last first, for each goes before all others.
        for identity in shown.into_iter().rev() {
            self.go_on_with(Key { room: Arc::clone(name), identity }, urgency);
        }
        self.stir(name, None);
        self.report.touch(name);
    }
}
