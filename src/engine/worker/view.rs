//! Another view: other policies, other limits, another server behind the same name.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Round, Worker};
use crate::{
    api::Feature,
    engine::{leader::Role, pulse::Pulse, queue::Urgency, service::RoomService, view::ServerView},
    policy::{Line, Standing},
};

impl<S: RoomService> Worker<S> {
    /// Takes another view: what has changed is looked at, and nothing else.
    pub(super) fn take(&mut self, view: Arc<ServerView<S>>) {
        let before = std::mem::replace(&mut self.view, view);
        self.budget.set(self.view.limits);
        if !Arc::ptr_eq(&before.service, &self.view.service) {
            self.take_service(&before);
        }
        let other_policies = !Arc::ptr_eq(&before.policies, &self.view.policies);
        let other_transfers = !Arc::ptr_eq(&before.transfers, &self.view.transfers);
        if other_policies {
            self.report.arrived(&self.view, Instant::now());
        }
        if other_transfers {
            self.take_transfers(&before.transfers);
        }
        if other_policies || other_transfers {
            self.take_lines();
            if other_policies && self.role == Role::Follower {
                self.learn_settled();
            }
            self.list_rooms_soon(Urgency::Change);
        }
        if before.resync_interval != self.view.resync_interval {
            self.spread_listings();
        }
        let is_asked = before.resync_request != self.view.resync_request;
        if is_asked {
            self.resync_asked = Some((Instant::now(), self.view.resync_request));
        }
        if is_asked || before.suspended != self.view.suspended {
            self.list_rooms_soon(Urgency::Change);
            self.list_all_soon(Urgency::Change);
        }
        self.report_soon();
    }

    /// Begins anew with another service. What is known of participants is kept until it is contradicted; what was
    /// asked of the old service is waited for no more.
    fn take_service(&mut self, before: &ServerView<S>) {
        self.first_ticket = self.next_ticket;
        self.pulse = Pulse::default();
        self.remote_unmute = Feature::Unknown;
        self.transfers.forget_abilities();
        self.old_keys = before.policies.once_keys().into_iter().collect();
        self.ping_later();
        self.round = Round::new(Instant::now());
        for room in self.rooms.values_mut() {
            room.unlist();
            for record in room.records.values_mut() {
                record.busy = None;
                record.observed = None;
                record.forgive();
            }
            // The listing shows them.
            room.strangers.clear();
        }
        self.list_rooms_soon(Urgency::Change);
        self.list_all_soon(Urgency::Change);
    }

    /// Finds out what holds in each room now, and looks at everybody where that is something else.
    pub(super) fn take_lines(&mut self) {
        let names: Vec<_> = self.rooms.keys().cloned().collect();
        for name in names {
            self.guarded(&name, |worker| worker.take_line(&name));
        }
    }

    fn take_line(&mut self, name: &Arc<str>) {
        let Some((line, ways)) = self.what_holds_in(name) else { return self.forget_room(name) };
        let other_ways = self.set_ways(name, ways);
        let Some(room) = self.rooms.get_mut(name) else { return };
        if same_line(&room.line, &line) {
            if other_ways {
                self.look_at_present(name);
            }
            return;
        }
        room.line = Arc::new(line);
        // What the server refused before may be another wish now, and deserves another try at once.
        room.records.values_mut().for_each(|record| record.forgive());
        self.report.touch(name);
        self.watch_line(name);
        self.look_at_present(name);
    }
}

/// Whether the same policies speak in the same order.
fn same_line(a: &Line, b: &Line) -> bool {
    let same = |a: &[Standing], b: &[Standing]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(&a.policy, &b.policy) && a.place == b.place)
    };
    same(&a.enforced, &b.enforced)
        && a.unknown_from == b.unknown_from
        && a.audited.len() == b.audited.len()
        && a.audited.iter().zip(&b.audited).all(|(a, b)| a.subject == b.subject && same(&a.members, &b.members))
}
