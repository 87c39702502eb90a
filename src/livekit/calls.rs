//! The calls, for whoever does not care how they reach a server.

use std::future::Future;

use livekit_protocol::{ParticipantInfo, TrackInfo};

use super::{Error, ParticipantUpdate};

/// The calls of the RoomService. Implemented by [`Client`](super::Client), over the network, and by a simulated server in
/// this process.
///
/// Every call ends by itself, in the time that its server is given.
pub trait Calls: Send + Sync + 'static {
    /// The names of the rooms in session among these; of none given, of all rooms. Nothing else is read of a room: a
    /// message of a kilobyte each would be thrown away.
    fn list_rooms(&self, names: Vec<String>) -> impl Future<Output = Result<Vec<String>, Error>> + Send;

    /// Everybody in a room, hidden ones, agents and recorders included. The open-source server answers for a room that
    /// it does not know with an empty list, LiveKit Cloud with an error of class Gone.
    fn list_participants(&self, room: &str) -> impl Future<Output = Result<Vec<ParticipantInfo>, Error>> + Send;

    /// One participant.
    fn get_participant(
        &self,
        room: &str,
        identity: &str,
    ) -> impl Future<Output = Result<ParticipantInfo, Error>> + Send;

    /// Changes a participant; the answer is the participant after the change.
    fn update_participant(
        &self,
        room: &str,
        identity: &str,
        update: ParticipantUpdate,
    ) -> impl Future<Output = Result<ParticipantInfo, Error>> + Send;

    /// Disconnects a participant.
    ///
    /// `revoke_token_ts`, in seconds of Unix time: LiveKit Cloud refuses from then on tokens of this participant whose
    /// `nbf` is earlier (livekit_room.proto, RoomParticipantIdentity). None leaves it to the server, which takes now
    /// and a minute; `Some(1)` revokes none. The open-source server knows no revocation.
    fn remove_participant(
        &self,
        room: &str,
        identity: &str,
        revoke_token_ts: Option<i64>,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Mutes or unmutes a track. None when the participant has no such track any more: LiveKit then answers with
    /// success and nothing.
    fn mute_published_track(
        &self,
        room: &str,
        identity: &str,
        track_sid: &str,
        muted: bool,
    ) -> impl Future<Output = Result<Option<TrackInfo>, Error>> + Send;

    /// Shows a participant in another room as well, until it leaves or the copy there is removed.
    fn forward_participant(
        &self,
        room: &str,
        identity: &str,
        destination: &str,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Takes a participant into another room. After a timeout it may have arrived: look there first.
    fn move_participant(
        &self,
        room: &str,
        identity: &str,
        destination: &str,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}
