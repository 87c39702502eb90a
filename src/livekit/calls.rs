//! The calls as a trait, for whoever does not care how they reach a server.

use std::future::Future;

use livekit_protocol::{ParticipantInfo, Room, TrackInfo};

use super::{Client, Error, ParticipantUpdate};

/// The calls of [`Client`], which see for what they do. Another implementation is a simulated server in this process.
///
/// Every call ends by itself, in the time that its server is given.
#[allow(missing_docs, reason = "they are documented at Client")]
pub trait Calls: Send + Sync + 'static {
    fn list_rooms(&self, names: Vec<String>) -> impl Future<Output = Result<Vec<Room>, Error>> + Send;

    fn list_participants(&self, room: &str) -> impl Future<Output = Result<Vec<ParticipantInfo>, Error>> + Send;

    fn get_participant(
        &self,
        room: &str,
        identity: &str,
    ) -> impl Future<Output = Result<ParticipantInfo, Error>> + Send;

    fn update_participant(
        &self,
        room: &str,
        identity: &str,
        update: ParticipantUpdate,
    ) -> impl Future<Output = Result<ParticipantInfo, Error>> + Send;

    fn remove_participant(
        &self,
        room: &str,
        identity: &str,
        revoke_token_ts: Option<i64>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn mute_published_track(
        &self,
        room: &str,
        identity: &str,
        track_sid: &str,
        muted: bool,
    ) -> impl Future<Output = Result<Option<TrackInfo>, Error>> + Send;

    fn forward_participant(
        &self,
        room: &str,
        identity: &str,
        destination: &str,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn move_participant(
        &self,
        room: &str,
        identity: &str,
        destination: &str,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

impl Calls for Client {
    async fn list_rooms(&self, names: Vec<String>) -> Result<Vec<Room>, Error> {
        Self::list_rooms(self, names).await
    }

    async fn list_participants(&self, room: &str) -> Result<Vec<ParticipantInfo>, Error> {
        Self::list_participants(self, room).await
    }

    async fn get_participant(&self, room: &str, identity: &str) -> Result<ParticipantInfo, Error> {
        Self::get_participant(self, room, identity).await
    }

    async fn update_participant(
        &self,
        room: &str,
        identity: &str,
        update: ParticipantUpdate,
    ) -> Result<ParticipantInfo, Error> {
        Self::update_participant(self, room, identity, update).await
    }

    async fn remove_participant(&self, room: &str, identity: &str, revoke_token_ts: Option<i64>) -> Result<(), Error> {
        Self::remove_participant(self, room, identity, revoke_token_ts).await
    }

    async fn mute_published_track(
        &self,
        room: &str,
        identity: &str,
        track_sid: &str,
        muted: bool,
    ) -> Result<Option<TrackInfo>, Error> {
        Self::mute_published_track(self, room, identity, track_sid, muted).await
    }

    async fn forward_participant(&self, room: &str, identity: &str, destination: &str) -> Result<(), Error> {
        Self::forward_participant(self, room, identity, destination).await
    }

    async fn move_participant(&self, room: &str, identity: &str, destination: &str) -> Result<(), Error> {
        Self::move_participant(self, room, identity, destination).await
    }
}
