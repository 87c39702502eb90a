//! The rooms of a server as the engine asks for them.

use std::future::Future;

use super::convert;
use crate::{
    livekit::{Calls, Error, ParticipantUpdate, TwirpCode},
    policy::{Participant, Update},
};

/// Asked for to see whether a server answers: no room of that name need exist, and the answer is the shortest there is.
const ANY_ROOM: &str = "usher.dev: does the server answer?";

/// LiveKit's RoomService in the planner's terms. A trait, so that tests of the engine need no server.
///
/// Every call must end by itself: the engine waits for it without a timeout of its own.
pub trait RoomService: Send + Sync + 'static {
    /// Whether the server answers and takes our key, by the cheapest of questions.
    fn ping(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// The names of the rooms in session.
    fn rooms(&self) -> impl Future<Output = Result<Vec<String>, Error>> + Send;

    /// Everybody in a room. An empty answer may mean that there is no such room.
    fn participants(&self, room: &str) -> impl Future<Output = Result<Vec<Participant>, Error>> + Send;

    /// One participant.
    fn participant(&self, room: &str, identity: &str) -> impl Future<Output = Result<Participant, Error>> + Send;

    /// Changes a participant; the answer is the participant afterwards.
    fn update(
        &self,
        room: &str,
        identity: &str,
        update: &Update,
    ) -> impl Future<Output = Result<Participant, Error>> + Send;

    /// Disconnects a participant.
    fn remove(&self, room: &str, identity: &str, revoke_tokens: bool)
    -> impl Future<Output = Result<(), Error>> + Send;

    /// Mutes or unmutes a track; whether there still is such a track.
    fn mute(
        &self,
        room: &str,
        identity: &str,
        track: &str,
        muted: bool,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Forwards a participant to another room.
    fn forward(&self, room: &str, identity: &str, destination: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// Moves a participant to another room.
    fn move_to(&self, room: &str, identity: &str, destination: &str) -> impl Future<Output = Result<(), Error>> + Send;
}

/// LiveKit over the network, or a simulated one in this process.
impl<C: Calls> RoomService for C {
    async fn ping(&self) -> Result<(), Error> {
        self.list_rooms(vec![ANY_ROOM.to_owned()]).await.map(drop)
    }

    async fn rooms(&self) -> Result<Vec<String>, Error> {
        self.list_rooms(Vec::new()).await
    }

    async fn participants(&self, room: &str) -> Result<Vec<Participant>, Error> {
        let participants = self.list_participants(room).await?;
        Ok(participants.into_iter().filter_map(convert::participant).collect())
    }

    async fn participant(&self, room: &str, identity: &str) -> Result<Participant, Error> {
        convert::participant(self.get_participant(room, identity).await?).ok_or_else(has_left)
    }

    async fn update(&self, room: &str, identity: &str, update: &Update) -> Result<Participant, Error> {
        let update = ParticipantUpdate {
            permission: update.permission.as_ref().map(convert::permission),
            metadata: update.metadata.as_deref().map(Into::into),
            name: update.name.as_deref().map(Into::into),
            // LiveKit deletes the key of an empty value (rtc/participant.go, SetAttributes).
            attributes: (update.attributes.iter())
                .map(|(key, value)| (key.to_string(), value.as_deref().unwrap_or_default().to_owned()))
                .collect(),
        };
        convert::participant(self.update_participant(room, identity, update).await?).ok_or_else(has_left)
    }

    async fn remove(&self, room: &str, identity: &str, revoke_tokens: bool) -> Result<(), Error> {
        // A moment so early that no token is older: LiveKit Cloud takes an absent one for "now and a minute".
        let revoke_token_ts = (!revoke_tokens).then_some(1);
        self.remove_participant(room, identity, revoke_token_ts).await
    }

    async fn mute(&self, room: &str, identity: &str, track: &str, muted: bool) -> Result<bool, Error> {
        Ok(self.mute_published_track(room, identity, track, muted).await?.is_some())
    }

    async fn forward(&self, room: &str, identity: &str, destination: &str) -> Result<(), Error> {
        self.forward_participant(room, identity, destination).await
    }

    async fn move_to(&self, room: &str, identity: &str, destination: &str) -> Result<(), Error> {
        self.move_participant(room, identity, destination).await
    }
}

/// Somebody shown as disconnected is as good as not shown.
fn has_left() -> Error {
    let message = "the participant has left".to_owned();
    Error::Twirp { status: 404, code: TwirpCode::NotFound, message, retry_after: None, feature: None }
}
