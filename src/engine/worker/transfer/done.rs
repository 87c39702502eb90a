//! What comes back.

use std::sync::Arc;

use tokio::time::Instant;

use super::{DAY, Worker};
use crate::{
    api::Feature,
    engine::{
        act::{Answer, Step, Ticket, Trouble},
        queue::{Key, Urgency},
        record::Failure,
        service::RoomService,
        view::Done,
    },
    livekit::Class,
    policy::{Transfer, Transport, Way},
};

impl<S: RoomService> Worker<S> {
    /// Takes in the end of a step.
    pub(in crate::engine::worker) fn transferred(
        &mut self,
        key: &Key,
        ticket: Ticket,
        step: Step,
        result: Result<Answer, Trouble>,
        urgency: Urgency,
        begun: Instant,
    ) {
        self.report.touch(&key.room);
        if let Some(transport) = step.transport() {
            self.learn_ability(transport, ticket, &result);
        }
        if let Some(record) = self.record(key) {
            record.busy.take_if(|awaited| *awaited == ticket);
        }
        match step {
            Step::Check(to) => self.checked(key, &to, ticket, result, begun),
            Step::Forward(to, by) => self.forwarded(key, &to, &by, ticket, result),
            Step::Move(to, by) => self.moved(key, &to, &by, ticket, result),
            Step::Retire(by) => return self.retired(key, by, result),
        }
        self.go_on_with(key.clone(), urgency);
    }

    fn learn_ability(&mut self, transport: Transport, ticket: Ticket, result: &Result<Answer, Trouble>) {
        let ability = self.transfers.ability(transport);
        ability.probe.take_if(|awaited| *awaited == ticket);
        let before = ability.feature;
        match result {
            Ok(_) => ability.feature = Feature::Supported,
            Err(trouble) if matches!(trouble.class(), Class::Unsupported(_)) => {
                ability.feature = Feature::Unsupported;
                ability.not_before = Some(Instant::now() + DAY);
                if before != Feature::Unsupported {
                    tracing::warn!(server = %self.view.server, %trouble, "not asked again before tomorrow");
                }
            }
            // Nothing is learned of it; the next one may be asked for.
            Err(_) => {}
        }
        let after = ability.feature;
        if before == Feature::Supported && after == before {
            return;
        }
        self.report_soon();
        if after != Feature::Unsupported {
            self.look_at_exits();
        }
    }

    /// Looks at everybody who may be brought elsewhere: some may have waited for a probe.
    fn look_at_exits(&mut self) {
        for exit in self.transfers.exits.clone() {
            self.look_at_all(&exit, Urgency::Change);
        }
    }

    fn checked(&mut self, key: &Key, to: &Arc<str>, ticket: Ticket, result: Result<Answer, Trouble>, begun: Instant) {
        let now = Instant::now();
        let passage = self.transfers.passages.entry(key.at(to)).or_default();
        if passage.busy.take_if(|awaited| *awaited == ticket).is_none() {
            return;
        }
        match result {
            Ok(Answer::Participant(participant)) => {
                passage.clear = participant.forwarded.then_some(begun);
                passage.failure = None;
                let name = self.room_in_session(to);
                if let Some((name, room)) = name.and_then(|name| self.rooms.get_mut(&name).map(|room| (name, room))) {
                    room.observed(*participant, begun, now);
                    self.report.touch(&name);
                    self.look_at(Key { room: name, identity: Arc::clone(&key.identity) }, Urgency::Change);
                }
            }
            Ok(_) => {}
            Err(trouble) if trouble.class() == Class::Gone => passage.clear = Some(begun),
            Err(trouble) => passage.failure = Some(failed(passage.failure.as_ref(), &trouble, now)),
        }
    }

    fn forwarded(
        &mut self,
        key: &Key,
        to: &Arc<str>,
        by: &Arc<Transfer>,
        ticket: Ticket,
        result: Result<Answer, Trouble>,
    ) {
        let wall = self.clock.now();
        if result.is_ok() {
            tracing::info!(server = %self.view.server, room = &*key.room, identity = &*key.identity, %to, %by.id, "forwarded");
            self.tell(key, Done::Brought(by.id.clone(), Arc::clone(to)), None);
        }
        if self.arrived_at(key, to, ticket, result)
            && let Some(passage) = self.transfers.passages.get_mut(&key.at(to))
        {
            passage.corrections.add(wall, self.role.corrections());
        }
    }

    fn moved(&mut self, key: &Key, to: &Arc<str>, by: &Way, ticket: Ticket, result: Result<Answer, Trouble>) {
        if result.is_ok() {
            let id = &by.transfer.id;
            tracing::info!(server = %self.view.server, room = &*key.room, identity = &*key.identity, %to, by = %id, "moved");
            self.tell(key, Done::Brought(id.clone(), Arc::clone(to)), None);
            let wall = self.clock.now();
            if let Some(room) = self.rooms.get_mut(&key.room)
                && let Some(record) = room.records.remove(&key.identity)
            {
                self.transfers.journeys.moved(by, &record.participant, &key.room, wall);
                room.left(&key.identity, &record.participant.sid, Instant::now());
            }
        }
        self.arrived_at(key, to, ticket, result);
    }

    /// A destination in which somebody is. Who else is there is asked, where nobody has asked yet.
    fn room_in_session(&mut self, to: &Arc<str>) -> Option<Arc<str>> {
        let name = self.govern(to)?;
        let is_new = self.rooms.get(&name).is_some_and(|room| room.listed.is_none());
        if is_new && self.role.leads() {
            self.list_room_soon(&name, Urgency::Change);
        }
        Some(name)
    }

    /// Takes in whether somebody has come to a destination, of which no webhook need tell.
    fn arrived_at(&mut self, key: &Key, to: &Arc<str>, ticket: Ticket, result: Result<Answer, Trouble>) -> bool {
        let now = Instant::now();
        let passage = self.transfers.passages.entry(key.at(to)).or_default();
        passage.busy.take_if(|awaited| *awaited == ticket);
        passage.clear = None;
        match result {
            Ok(_) => {
                passage.failure = None;
                passage.made = Some(now);
                if let Some(name) = self.room_in_session(to) {
                    self.meet(&name, Arc::clone(&key.identity), String::new(), None, now);
                }
                true
            }
            Err(trouble) => {
                if !matches!(trouble.class(), Class::Unsupported(_)) {
                    tracing::debug!(server = %self.view.server, room = &*key.room, %to, %trouble, "cannot be brought there");
                    passage.failure = Some(failed(passage.failure.as_ref(), &trouble, now));
                }
                // It may have had its effect, or the participant may be gone.
                if let Some(record) = self.record(key) {
                    record.observed = None;
                }
                false
            }
        }
    }

    fn retired(&mut self, key: &Key, by: Arc<Transfer>, result: Result<Answer, Trouble>) {
        let now = Instant::now();
        match result {
            Err(trouble) if trouble.class() != Class::Gone => {
                let Some(retiring) = self.transfers.retiring.get_mut(key) else { return };
                let failure = failed(retiring.failure.as_ref(), &trouble, now);
                let until = failure.until;
                retiring.failure = Some(failure);
                self.retry_at(key, until);
            }
            result => {
                self.transfers.retiring.remove(key);
                if result.is_ok() {
                    tracing::info!(server = %self.view.server, room = &*key.room, identity = &*key.identity, by = %by.id, "copy removed");
                    self.tell(key, Done::Retired(by.id.clone()), None);
                }
                self.note_removal(key);
                let Some(room) = self.rooms.get_mut(&key.room) else { return };
                if let Some(record) = room.records.remove(&key.identity) {
                    room.left(&key.identity, &record.participant.sid, now);
                }
                self.stir(&key.room, Some(&key.identity));
            }
        }
    }
}

/// The failure of a step. Of somebody who is not there any more the next look tells; until then that heals as well.
fn failed(before: Option<&Failure>, trouble: &Trouble, now: Instant) -> Failure {
    Failure::another(before, trouble.to_string().into(), trouble.class(), now)
}
