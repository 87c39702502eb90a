//! The RoomService called in this process, without HTTP and tokens: for what runs in paused time, and thousands of
//! times.

use std::time::Duration;

use livekit_protocol as lk;

use super::{Answer, Call, Caller, Performed, Simulator};
use crate::livekit::{Calls, Error, Feature, ParticipantUpdate, request};

/// A caller in this process. It hears the errors that [`Client`](crate::livekit::Client) would have of the same server;
/// faults, delays and timeouts are the same as over HTTP.
#[derive(Clone, Debug)]
pub struct Direct {
    simulator: Simulator,
    timeout: Duration,
}

impl Simulator {
    /// Calls it from this process. `timeout` is for each call.
    #[must_use]
    pub fn direct(&self, timeout: Duration) -> Direct {
        Direct { simulator: self.clone(), timeout }
    }
}

impl Direct {
    async fn call(&self, call: Call, feature: Option<Feature>) -> Result<Answer, Error> {
        // As the client does, the server is given a little less time than there is.
        let server_timeout = Some(self.timeout * 9 / 10);
        let performed = self.simulator.perform(&Caller::Trusted, call, server_timeout);
        match tokio::time::timeout(self.timeout, performed).await {
            Err(_) => Err(Error::Timeout(self.timeout)),
            Ok(Performed::Cut) => Err(Error::Cut(None)),
            Ok(Performed::Status { status, retry_after }) => {
                let retry_after = retry_after.map(|seconds| Duration::from_secs(seconds.into()));
                Err(Error::Status { status, retry_after })
            }
            Ok(Performed::Answered(Ok(answer))) => Ok(answer),
            Ok(Performed::Answered(Err(refusal))) => Err(Error::Twirp {
                status: refusal.status(),
                code: refusal.code,
                message: refusal.message.trim().trim_start_matches("twirp error unknown: ").to_owned(),
                retry_after: None,
                feature,
            }),
        }
    }
}

/// An answer to another method cannot be.
const OTHER: Error = Error::NotLiveKit("the answer to another method");

impl Calls for Direct {
    async fn list_rooms(&self, names: Vec<String>) -> Result<Vec<String>, Error> {
        match self.call(Call::ListRooms(lk::ListRoomsRequest { names }), None).await? {
            Answer::Rooms(answer) => Ok(answer.rooms.into_iter().map(|room| room.name).collect()),
            _ => Err(OTHER),
        }
    }

    async fn list_participants(&self, room: &str) -> Result<Vec<lk::ParticipantInfo>, Error> {
        let request = lk::ListParticipantsRequest { room: room.to_owned() };
        match self.call(Call::ListParticipants(request), None).await? {
            Answer::Participants(answer) => Ok(answer.participants),
            _ => Err(OTHER),
        }
    }

    async fn get_participant(&self, room: &str, identity: &str) -> Result<lk::ParticipantInfo, Error> {
        match self.call(Call::GetParticipant(request::who(room, identity)), None).await? {
            Answer::Participant(participant) => Ok(*participant),
            _ => Err(OTHER),
        }
    }

    async fn update_participant(
        &self,
        room: &str,
        identity: &str,
        update: ParticipantUpdate,
    ) -> Result<lk::ParticipantInfo, Error> {
        let request = request::update(room, identity, update);
        match self.call(Call::UpdateParticipant(request), None).await? {
            Answer::Participant(participant) => Ok(*participant),
            _ => Err(OTHER),
        }
    }

    async fn remove_participant(&self, room: &str, identity: &str, revoke_token_ts: Option<i64>) -> Result<(), Error> {
        let request = request::remove(room, identity, revoke_token_ts);
        self.call(Call::RemoveParticipant(request), None).await.map(drop)
    }

    async fn mute_published_track(
        &self,
        room: &str,
        identity: &str,
        track_sid: &str,
        muted: bool,
    ) -> Result<Option<lk::TrackInfo>, Error> {
        let request = request::mute(room, identity, track_sid, muted);
        let feature = (!muted).then_some(Feature::RemoteUnmute);
        match self.call(Call::MutePublishedTrack(request), feature).await? {
            Answer::Track(track) => Ok(track.map(|track| *track)),
            _ => Err(OTHER),
        }
    }

    async fn forward_participant(&self, room: &str, identity: &str, destination: &str) -> Result<(), Error> {
        let request = request::forward(room, identity, destination);
        self.call(Call::ForwardParticipant(request), Some(Feature::Forward)).await.map(drop)
    }

    async fn move_participant(&self, room: &str, identity: &str, destination: &str) -> Result<(), Error> {
        let request = request::move_to(room, identity, destination);
        self.call(Call::MoveParticipant(request), Some(Feature::Move)).await.map(drop)
    }
}
