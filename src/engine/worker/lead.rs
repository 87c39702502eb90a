//! What the worker of a replica does that shares the server with other replicas.
//!
//! Each webhook comes to one of the replicas, so each of them knows of joins that no other one knows of. It follows:
//! - Every replica enforces what webhooks tell it, repeats what failed, probes a server that does not answer, and acts
//!   when the age of a session matters for those it knows.
//! - A *follower* begins nothing else, but for a question now and then that keeps a connection. It lists no rooms, and a
//!   room only where a webhook left a question open that the API does not answer for one participant. It takes other
//!   policies for what it hears next; whoever is there is the holder's business. It reports nothing, and forgets whom it
//!   has not heard of for so long that the holder has seen them since in a listing of its own.
//! - The *holder* resyncs and reports. Where other policies hold in a room, or a rule begins or ends, it lists the room
//!   rather than look at whom it knows of, for they may not be all.
//! - Who *becomes* the holder keeps what it knows and lists everything at once, as after a start: it reports when it has,
//!   so that no status tells of the change. OncePerTrack effects only learn then, except for tracks that a webhook has
//!   just told of.
//!
//! A replica that was frozen, whatever it is then, does not know what was declared meanwhile, and its requests would
//! undo it. Its watches need a moment to catch up; for so long it sends nothing.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Round, Worker, report::Ledger, wake::Timer};
use crate::engine::{
    leader::Role,
    queue::{Urgency, Work},
    service::RoomService,
};

/// The loop of a worker comes round at least every two seconds. Where it takes so long, the process was not run.
const FROZEN: Duration = Duration::from_secs(4);
/// How long the watches may need to catch up then.
const CATCH_UP: Duration = Duration::from_secs(2);
/// How long a follower keeps what it has heard, at least: longer than LiveKit repeats its webhooks.
const KEEP: Duration = Duration::from_secs(60);
/// Between two looks of a follower for what may be forgotten.
const SWEEP: Duration = Duration::from_secs(30);

impl<S: RoomService> Worker<S> {
    /// Takes note of what time it is and of who leads, before anything is done.
    pub(super) fn look_up(&mut self) {
        let now = Instant::now();
        let gap = now.saturating_duration_since(self.last_look);
        self.last_look = now;
        if gap > FROZEN {
            tracing::warn!(server = %self.view.server, ?gap, "was not run for a while; waiting for what was declared meanwhile");
            self.rest_until = Some(now + CATCH_UP);
        }
        self.rest_until.take_if(|until| *until <= now);
        let role = self.leadership.role();
        if role != self.role {
            self.role = role;
            self.turn(now);
        }
    }

    /// Becomes the holder, or a follower.
    fn turn(&mut self, now: Instant) {
        // What was asked for in the other role is waited for no more, and no timer of it counts.
        self.queue.retain(|work| !matches!(work, Work::ListRooms | Work::ListRoom(_) | Work::Ping));
        self.round = Round::new(now);
        for room in self.rooms.values_mut() {
            room.unlist();
            room.due = now;
        }
        self.report = Ledger::new(&self.view, now);
        self.transfers.turn(now);
        self.ping_later();
        if !self.role.leads() {
            let server = &self.view.server;
            self.reports.send_modify(|reports| drop(reports.remove(server)));
            self.metrics.forget_resync(server);
            return self.sweep_later();
        }
        self.old_keys = self.view.policies.once_keys().into_iter().collect();
        self.learn_settled();
        self.resync_asked = Some((now, self.view.resync_request));
        self.list_rooms_soon(Urgency::Change);
        self.list_all_soon(Urgency::Change);
        self.report_soon();
    }

    /// Notes that OncePerTrack effects have had their turn for every track but those of participants on whom something
    /// is under way: another replica saw to that, or nobody will.
    pub(super) fn learn_settled(&mut self) {
        let keys: Vec<_> = self.view.policies.once_keys().into_iter().collect();
        for record in self.rooms.values_mut().flat_map(|room| room.records.values_mut()) {
            if record.noticed.is_none() && record.busy.is_none() {
                record.learn(&keys, &[]);
            }
        }
    }

    /// Looks at everybody in a room, where something else is declared from now on.
    pub(super) fn look_at_present(&mut self, name: &Arc<str>) {
        match self.role {
            Role::Alone => {
                if let Some(room) = self.rooms.get_mut(name) {
                    room.looks.expect(room.records.len());
                }
                self.look_at_all(name, Urgency::Change);
            }
            Role::Holder => {
                if let Some(room) = self.rooms.get_mut(name) {
                    room.listed = None;
                }
                self.list_room_soon(name, Urgency::Change);
            }
            Role::Follower => {}
        }
    }

    /// Forgets whom no webhook has told of for long.
    pub(super) fn sweep(&mut self) {
        let now = Instant::now();
        let keep = KEEP.max(self.view.resync_interval.mul_f64(1.2));
        let is_old = |at: Instant| now.saturating_duration_since(at) > keep;
        for room in self.rooms.values_mut() {
            room.records.retain(|_, record| record.busy.is_some() || record.retry.is_some() || !is_old(record.changed));
        }
        let is_empty = |room: &super::Room| room.records.is_empty() && room.strangers.is_empty();
        let idle = self.rooms.values().filter(|room| is_empty(room) && is_old(room.since));
        for name in idle.map(|room| room.name.clone()).collect::<Vec<_>>() {
            self.forget_room(&name);
        }
        self.sweep_transfers();
        self.sweep_later();
    }

    pub(super) fn sweep_later(&mut self) {
        self.sweep_at = Instant::now() + SWEEP;
        self.set_timer(self.sweep_at, Timer::Sweep);
    }
}
