//! The RoomService: grants, limits, effects, errors, in LiveKit's order (pkg/service/roomservice.go).

mod call;
mod grant;
mod refusal;

use std::time::Duration;

use livekit_protocol as lk;

pub(super) use call::as_go_reads;
pub use call::{Answer, Call, Method};
pub use grant::{Caller, Claims, NotAdmitted};
pub use refusal::Refusal;

use super::{
    clock::Moment,
    model::{Change, Missing, Model, TransferError},
    options::{Edition, Options},
};
use crate::livekit::TwirpCode;

/// How long LiveKit looks for a server that holds a participant before it gives up: three times a second.
pub(super) const NO_RESPONSE: Duration = Duration::from_secs(3);

/// What a call comes to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// This, at once.
    Now(Result<Answer, Refusal>),
    /// `unavailable`, after [`NO_RESPONSE`].
    Nobody,
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::Now(Err(refusal))
    }
}

/// The error after [`NO_RESPONSE`].
pub(super) fn no_response(edition: Edition) -> Refusal {
    Refusal::wrapped(TwirpCode::Unavailable, "no response from servers", edition)
}

/// The error when the caller's own `X-Twirp-Timeout-Ms` ends first.
pub(super) fn canceled(edition: Edition) -> Refusal {
    Refusal::wrapped(TwirpCode::Canceled, "request canceled", edition)
}

/// Answers one call.
pub(super) fn answer(model: &mut Model, options: &Options, caller: &Caller, call: Call, now: Moment) -> Outcome {
    Service { model, options, caller, now }.answer(call).unwrap_or_else(Outcome::from)
}

struct Service<'a> {
    model: &'a mut Model,
    options: &'a Options,
    caller: &'a Caller,
    now: Moment,
}

impl Service<'_> {
    fn answer(&mut self, call: Call) -> Result<Outcome, Refusal> {
        match call {
            Call::CreateRoom(request) => self.create_room(&request),
            Call::ListRooms(request) => {
                self.caller.may_list()?;
                done(Answer::Rooms(lk::ListRoomsResponse { rooms: self.model.rooms(&request.names) }))
            }
            Call::DeleteRoom(request) => {
                self.caller.may_create()?;
                let deleted = self.model.delete_room(&request.room, self.now);
                self.found(deleted)?;
                done(Answer::Nothing)
            }
            Call::ListParticipants(request) => {
                self.caller.may_administer(&request.room)?;
                match self.model.list(&request.room) {
                    None if self.options.edition.cloud().is_some() => {
                        Err(Refusal::missing(Missing::Room, self.options.edition))
                    }
                    found => done(Answer::Participants(lk::ListParticipantsResponse {
                        participants: found.unwrap_or_default(),
                    })),
                }
            }
            Call::GetParticipant(request) => {
                self.caller.may_administer(&request.room)?;
                let participant = self.found(self.model.get(&request.room, &request.identity))?;
                done(Answer::Participant(Box::new(participant)))
            }
            Call::RemoveParticipant(request) => {
                self.caller.may_administer(&request.room)?;
                let removed = self.model.remove(&request.room, &request.identity, request.revoke_token_ts, self.now);
                self.found(removed)?;
                done(Answer::Nothing)
            }
            Call::MutePublishedTrack(request) => self.mute(&request),
            Call::UpdateParticipant(request) => self.update(request),
            Call::UpdateSubscriptions(request) => self.reach(&request.room, &request.identity),
            Call::SendData(request) => self.send_data(&request),
            Call::UpdateRoomMetadata(request) => {
                self.fits_metadata(&request.metadata)?;
                self.caller.may_administer(&request.room)?;
                let room = self.model.set_room_metadata(&request.room, &request.metadata);
                done(Answer::Room(Box::new(self.found(room)?)))
            }
            Call::ForwardParticipant(request) => {
                self.transfer(&request.room, &request.identity, &request.destination_room, Model::forward)
            }
            Call::MoveParticipant(request) => {
                self.transfer(&request.room, &request.identity, &request.destination_room, Model::move_to)
            }
            Call::PerformRpc(request) => self.perform_rpc(&request),
        }
    }

    fn create_room(&mut self, request: &lk::CreateRoomRequest) -> Result<Outcome, Refusal> {
        self.caller.may_create()?;
        let limit = self.options.limits.room_name;
        if exceeds(request.name.len(), limit) {
            let message = format!("room name length exceeds limits: max length {limit}");
            return Err(self.wrapped(TwirpCode::InvalidArgument, &message));
        }
        self.fits_metadata(&request.metadata)?;
        done(Answer::Room(Box::new(self.model.create_room(request, self.now))))
    }

    /// Limits come before grants here.
    fn update(&mut self, request: lk::UpdateParticipantRequest) -> Result<Outcome, Refusal> {
        let limits = &self.options.limits;
        if exceeds(request.name.len(), limits.name) {
            return Err(Refusal::argument("name length exceeds limits", &limits.name.to_string()));
        }
        self.fits_metadata(&request.metadata)?;
        let attributes = request.attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
        if exceeds(attributes, limits.attributes) {
            return Err(Refusal::argument("attribute size exceeds limits", &limits.attributes.to_string()));
        }
        self.caller.may_administer(&request.room)?;
        let change = Change {
            name: request.name,
            metadata: request.metadata,
            attributes: request.attributes.into_iter().collect(),
        };
        let (room, identity) = (&request.room, &request.identity);
        let updated = self.model.update(room, identity, &change, request.permission.as_ref(), self.now);
        done(Answer::Participant(Box::new(self.found(updated)?)))
    }

    fn mute(&mut self, request: &lk::MuteRoomTrackRequest) -> Result<Outcome, Refusal> {
        self.caller.may_administer(&request.room)?;
        if !self.model.has(&request.room, &request.identity) {
            return Ok(Outcome::Nobody);
        }
        if !request.muted && !self.options.remote_unmute {
            return Err(self.wrapped(TwirpCode::FailedPrecondition, "remote unmute not enabled"));
        }
        let muted = self.model.mute(&request.room, &request.identity, &request.track_sid, request.muted, self.now);
        done(Answer::Track(self.found(muted)?.map(Box::new)))
    }

    fn transfer(
        &mut self,
        room: &str,
        identity: &str,
        destination: &str,
        transfer: impl FnOnce(&mut Model, &str, &str, &str, Moment) -> Result<(), TransferError>,
    ) -> Result<Outcome, Refusal> {
        self.caller.may_transfer(room, destination)?;
        if room == destination {
            return Err(Refusal::argument("destination room cannot be the same as source room", ""));
        }
        if !self.model.has(room, identity) {
            return Ok(Outcome::Nobody);
        }
        if self.options.edition.cloud().is_none() {
            return Err(self.wrapped(TwirpCode::Unknown, "not implemented"));
        }
        transfer(self.model, room, identity, destination, self.now)
            .map_err(|error| Refusal::no_transfer(error, self.options.edition))?;
        done(Answer::Nothing)
    }

    fn send_data(&mut self, request: &lk::SendDataRequest) -> Result<Outcome, Refusal> {
        self.caller.may_administer(&request.room)?;
        if !matches!(request.nonce.len(), 0 | 16) {
            let length = request.nonce.len();
            let message = format!("nonce should be 16-bytes or not present, got: {length} bytes");
            return Err(Refusal::new(TwirpCode::InvalidArgument, message));
        }
        if self.model.has_room(&request.room) { done(Answer::Nothing) } else { Ok(Outcome::Nobody) }
    }

    /// Nobody here has methods: whoever asks waits as for somebody who is not there.
    fn perform_rpc(&mut self, request: &lk::PerformRpcRequest) -> Result<Outcome, Refusal> {
        self.caller.may_administer(&request.room)?;
        if request.destination_identity.is_empty() {
            return Err(self.wrapped(TwirpCode::InvalidArgument, "destination identity is required"));
        }
        Ok(Outcome::Nobody)
    }

    fn reach(&mut self, room: &str, identity: &str) -> Result<Outcome, Refusal> {
        self.caller.may_administer(room)?;
        if self.model.has(room, identity) { done(Answer::Nothing) } else { Ok(Outcome::Nobody) }
    }

    fn fits_metadata(&self, metadata: &str) -> Result<(), Refusal> {
        let limit = self.options.limits.metadata;
        if exceeds(metadata.len(), limit) {
            return Err(Refusal::argument("metadata size exceeds limits", &limit.to_string()));
        }
        Ok(())
    }

    fn found<T>(&self, result: Result<T, Missing>) -> Result<T, Refusal> {
        result.map_err(|missing| Refusal::missing(missing, self.options.edition))
    }

    fn wrapped(&self, code: TwirpCode, message: &str) -> Refusal {
        Refusal::wrapped(code, message, self.options.edition)
    }
}

fn done(answer: Answer) -> Result<Outcome, Refusal> {
    Ok(Outcome::Now(Ok(answer)))
}

fn exceeds(length: usize, limit: usize) -> bool {
    limit != 0 && length > limit
}
