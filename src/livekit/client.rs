//! The calls.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Uri;
use livekit_protocol::{
    ForwardParticipantResponse, ListParticipantsRequest, ListParticipantsResponse, ListRoomsRequest,
    MoveParticipantResponse, MuteRoomTrackResponse, ParticipantInfo, ParticipantPermission, RemoveParticipantResponse,
    TrackInfo,
};
use prost::Message;
use thiserror::Error as ThisError;

use super::observe::Watch;
use super::token::{Grant, Signer};
use super::transport::Transport;
use super::{Address, Calls, Credentials, Error, Feature, Method, Observer, request};

/// A listing of a room with thousands of participants, each with its half mebibyte of metadata, must fit; a server
/// that never stops sending must not.
const LARGEST_LISTING: usize = 64 * 1024 * 1024;
/// One participant: metadata 512 KiB, attributes 64 KiB and more by merging, tracks.
const LARGEST_SINGLE: usize = 8 * 1024 * 1024;

/// `ListRoomsResponse` (livekit_room.proto) without what is not read of it.
#[derive(Clone, PartialEq, Message)]
struct RoomNames {
    #[prost(message, repeated, tag = "1")]
    rooms: Vec<RoomName>,
}

/// `Room` (livekit_models.proto) without what is not read of it.
#[derive(Clone, PartialEq, Message)]
struct RoomName {
    #[prost(string, tag = "2")]
    name: String,
}

/// How to reach a LiveKit server.
#[derive(Clone)]
pub struct Config {
    /// Where it is.
    pub address: Address,
    /// What signs our tokens.
    pub credentials: Credentials,
    /// For a whole call: connecting, sending, waiting and reading. Default 5 s. LiveKit itself takes 3 s to find that
    /// nobody is there to mute.
    pub timeout: Duration,
    /// The CA of the server's certificate, in PEM. It replaces the public ones.
    pub ca: Option<Vec<u8>>,
    /// Who we say we are. Default `usher/` and the version.
    pub user_agent: String,
    /// Who counts the calls.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Config {
    /// The usual settings.
    pub fn new(address: Address, credentials: Credentials) -> Self {
        Self {
            address,
            credentials,
            timeout: Duration::from_secs(5),
            ca: None,
            user_agent: concat!("usher/", env!("CARGO_PKG_VERSION")).to_owned(),
            observer: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("address", &self.address)
            .field("credentials", &self.credentials)
            .field("timeout", &self.timeout)
            .field("ca", &self.ca.is_some())
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}

/// Why no client can be made of a [`Config`].
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum ConfigError {
    /// No API key.
    #[error("the API key is empty")]
    NoApiKey,
    /// No secret.
    #[error("the API secret is empty")]
    NoSecret,
    /// An address that no request can hold.
    #[error("the address fits into no request: {0}")]
    Address(String),
    /// No time.
    #[error("the timeout must be longer than zero")]
    Timeout,
    /// A user agent that no header can hold.
    #[error("the user agent has characters that a header cannot hold")]
    UserAgent,
    /// A CA bundle that cannot be read.
    #[error("the CA bundle {0}: it must hold certificates in PEM")]
    Ca(&'static str),
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up: {0}")]
    Http(String),
}

/// What to change of a participant; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParticipantUpdate {
    /// Replaces the whole permission: what is false here is revoked (auth/grants.go UpdateFromPermission).
    pub permission: Option<ParticipantPermission>,
    /// The new metadata. LiveKit takes an empty text for "leave it": it cannot be cleared.
    pub metadata: Option<String>,
    /// The new display name. Cannot be cleared either.
    pub name: Option<String>,
    /// Merged into the present ones; an empty value deletes its key.
    pub attributes: HashMap<String, String>,
}

/// A client of one LiveKit server. Clones share its connections.
///
/// Nothing is retried here (but what never left this machine): whoever calls knows whether a second try is still
/// wanted. Dropping a call's future ends the waiting, not what LiveKit has begun.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    address: Address,
    /// By method, in the order of [`Method::ALL`].
    uris: Vec<Uri>,
    transport: Transport,
    signer: Signer,
    observer: Option<Arc<dyn Observer>>,
}

/// What a call needs beside its message.
struct Call<'a> {
    method: Method,
    grant: Grant<'a>,
    limit: usize,
    feature: Option<Feature>,
}

impl<'a> Call<'a> {
    fn on(method: Method, room: &'a str) -> Self {
        Self { method, grant: Grant::Room(room), limit: LARGEST_SINGLE, feature: None }
    }
}

impl Client {
    /// A client; connects with the first call.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        if config.credentials.api_key.is_empty() {
            return Err(ConfigError::NoApiKey);
        }
        if config.credentials.secret.expose().is_empty() {
            return Err(ConfigError::NoSecret);
        }
        let transport = Transport::new(&config)?;
        let uri = |method| config.address.join(&format!("twirp/livekit.RoomService/{method}"));
        let uris = Method::ALL
            .into_iter()
            .map(uri)
            .collect::<Result<_, _>>()
            .map_err(|error| ConfigError::Address(error.to_string()))?;
        let signer = Signer::new(&config.credentials);
        let Config { address, observer, .. } = config;
        Ok(Self { inner: Arc::new(Inner { address, uris, transport, signer, observer }) })
    }

    /// Where its server is.
    pub fn address(&self) -> &Address {
        &self.inner.address
    }

    async fn call<A: Message + Default>(&self, call: Call<'_>, request: &impl Message) -> Result<A, Error> {
        let inner = &*self.inner;
        let mut watch = Watch::start(inner.observer.as_deref(), call.method);
        let result = async {
            let token = inner.signer.authorization(call.grant, SystemTime::now())?;
            let uri = inner.uris[call.method as usize].clone();
            let body = inner.transport.post(uri, token, request.encode_to_vec(), call.limit, call.feature).await?;
            A::decode(body).map_err(|_| Error::NotLiveKit("its protobuf cannot be read"))
        }
        .await;
        watch.ended(result.as_ref().map_or_else(Error::label, |_| "ok"));
        result
    }
}

impl Calls for Client {
    async fn list_rooms(&self, names: Vec<String>) -> Result<Vec<String>, Error> {
        let call = Call { method: Method::ListRooms, grant: Grant::Rooms, limit: LARGEST_LISTING, feature: None };
        let response: RoomNames = self.call(call, &ListRoomsRequest { names }).await?;
        Ok(response.rooms.into_iter().map(|room| room.name).collect())
    }

    async fn list_participants(&self, room: &str) -> Result<Vec<ParticipantInfo>, Error> {
        let call = Call { limit: LARGEST_LISTING, ..Call::on(Method::ListParticipants, room) };
        let request = ListParticipantsRequest { room: room.to_owned() };
        let response: ListParticipantsResponse = self.call(call, &request).await?;
        Ok(response.participants)
    }

    async fn get_participant(&self, room: &str, identity: &str) -> Result<ParticipantInfo, Error> {
        self.call(Call::on(Method::GetParticipant, room), &request::who(room, identity)).await
    }

    async fn update_participant(
        &self,
        room: &str,
        identity: &str,
        update: ParticipantUpdate,
    ) -> Result<ParticipantInfo, Error> {
        let request = request::update(room, identity, update);
        self.call(Call::on(Method::UpdateParticipant, room), &request).await
    }

    async fn remove_participant(&self, room: &str, identity: &str, revoke_token_ts: Option<i64>) -> Result<(), Error> {
        let request = request::remove(room, identity, revoke_token_ts);
        let _: RemoveParticipantResponse = self.call(Call::on(Method::RemoveParticipant, room), &request).await?;
        Ok(())
    }

    async fn mute_published_track(
        &self,
        room: &str,
        identity: &str,
        track_sid: &str,
        muted: bool,
    ) -> Result<Option<TrackInfo>, Error> {
        let feature = if muted { None } else { Some(Feature::RemoteUnmute) };
        let call = Call { feature, ..Call::on(Method::MutePublishedTrack, room) };
        let request = request::mute(room, identity, track_sid, muted);
        let response: MuteRoomTrackResponse = self.call(call, &request).await?;
        Ok(response.track)
    }

    async fn forward_participant(&self, room: &str, identity: &str, destination: &str) -> Result<(), Error> {
        let call = Call {
            grant: Grant::RoomTo { room, destination },
            feature: Some(Feature::Forward),
            ..Call::on(Method::ForwardParticipant, room)
        };
        let request = request::forward(room, identity, destination);
        let _: ForwardParticipantResponse = self.call(call, &request).await?;
        Ok(())
    }

    async fn move_participant(&self, room: &str, identity: &str, destination: &str) -> Result<(), Error> {
        let call = Call {
            grant: Grant::RoomTo { room, destination },
            feature: Some(Feature::Move),
            ..Call::on(Method::MoveParticipant, room)
        };
        let request = request::move_to(room, identity, destination);
        let _: MoveParticipantResponse = self.call(call, &request).await?;
        Ok(())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("address", &self.inner.address).field("signer", &self.inner.signer).finish()
    }
}
