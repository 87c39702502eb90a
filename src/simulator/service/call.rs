//! The calls of the RoomService and their answers, as messages.

use bytes::Bytes;
use livekit_protocol as lk;
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::{Deserializer, Value};

macro_rules! calls {
    ($($method:ident($request:ty),)*) => {
        /// A call.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "the names are LiveKit's")]
        pub enum Call {
            $($method($request),)*
        }

        /// The methods of the RoomService (livekit_room.proto).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the names are LiveKit's")]
        pub enum Method {
            $($method,)*
        }

        impl Method {
            /// The method of this name.
            #[must_use]
            pub fn of_name(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($method) => Some(Self::$method),)*
                    _ => None,
                }
            }

            /// A call of it from protobuf; none when it is none.
            pub(in crate::simulator) fn read_protobuf(self, body: &[u8]) -> Option<Call> {
                match self {
                    $(Self::$method => <$request>::decode(body).ok().map(Call::$method),)*
                }
            }

            /// A call of it from JSON; none when it is none. What follows the JSON is not looked at.
            pub(in crate::simulator) fn read_json(self, body: &[u8]) -> Option<Call> {
                match self {
                    $(Self::$method => first(body).map(Call::$method),)*
                }
            }
        }

        impl Call {
            /// Its method.
            #[must_use]
            pub fn method(&self) -> Method {
                match self {
                    $(Self::$method(_) => Method::$method,)*
                }
            }
        }
    };
}

calls! {
    CreateRoom(Box<lk::CreateRoomRequest>),
    ListRooms(lk::ListRoomsRequest),
    DeleteRoom(lk::DeleteRoomRequest),
    ListParticipants(lk::ListParticipantsRequest),
    GetParticipant(lk::RoomParticipantIdentity),
    RemoveParticipant(lk::RoomParticipantIdentity),
    MutePublishedTrack(lk::MuteRoomTrackRequest),
    UpdateParticipant(lk::UpdateParticipantRequest),
    UpdateSubscriptions(lk::UpdateSubscriptionsRequest),
    SendData(lk::SendDataRequest),
    UpdateRoomMetadata(lk::UpdateRoomMetadataRequest),
    ForwardParticipant(lk::ForwardParticipantRequest),
    MoveParticipant(lk::MoveParticipantRequest),
    PerformRpc(lk::PerformRpcRequest),
}

fn first<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    match Deserializer::from_slice(body).into_iter().next()? {
        Ok(message) => return Some(message),
        // Which a plain value would not show.
        Err(error) if error.to_string().starts_with("duplicate field") => return None,
        Err(_) => {}
    }
    let value = Deserializer::from_slice(body).into_iter().next()?.ok()?;
    serde_json::from_value(as_go_reads(value)).ok()
}

/// JSON as the Go server reads it where the Rust libraries refuse: a null is what is left out, a source to publish by
/// an unknown name is left out, one by an unknown number is the unknown source.
pub(in crate::simulator) fn as_go_reads(value: Value) -> Value {
    let source = |value: Value| match value {
        Value::String(name) => lk::TrackSource::from_str_name(&name).map(|_| Value::String(name)),
        Value::Number(number) => {
            let known = number.as_i64().and_then(|number| i32::try_from(number).ok()).map(lk::TrackSource::try_from);
            Some(if matches!(known, Some(Ok(_))) { Value::Number(number) } else { Value::from(0) })
        }
        value => Some(value),
    };
    match value {
        Value::Object(fields) => (fields.into_iter())
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| match value {
                Value::Array(sources) if matches!(key.as_str(), "can_publish_sources" | "canPublishSources") => {
                    (key, sources.into_iter().filter_map(source).collect())
                }
                value => (key, as_go_reads(value)),
            })
            .collect(),
        value => value,
    }
}

impl Call {
    /// The room it is about; none of a listing of rooms.
    #[must_use]
    pub fn room(&self) -> Option<&str> {
        Some(match self {
            Self::ListRooms(_) => return None,
            Self::CreateRoom(call) => &call.name,
            Self::DeleteRoom(call) => &call.room,
            Self::ListParticipants(call) => &call.room,
            Self::GetParticipant(call) | Self::RemoveParticipant(call) => &call.room,
            Self::MutePublishedTrack(call) => &call.room,
            Self::UpdateParticipant(call) => &call.room,
            Self::UpdateSubscriptions(call) => &call.room,
            Self::SendData(call) => &call.room,
            Self::UpdateRoomMetadata(call) => &call.room,
            Self::ForwardParticipant(call) => &call.room,
            Self::MoveParticipant(call) => &call.room,
            Self::PerformRpc(call) => &call.room,
        })
    }

    /// Whom it is about, if it is about one participant.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        Some(match self {
            Self::GetParticipant(call) | Self::RemoveParticipant(call) => &call.identity,
            Self::MutePublishedTrack(call) => &call.identity,
            Self::UpdateParticipant(call) => &call.identity,
            Self::UpdateSubscriptions(call) => &call.identity,
            Self::ForwardParticipant(call) => &call.identity,
            Self::MoveParticipant(call) => &call.identity,
            _ => return None,
        })
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Answer {
    Nothing,
    Room(Box<lk::Room>),
    Rooms(lk::ListRoomsResponse),
    Participant(Box<lk::ParticipantInfo>),
    Participants(lk::ListParticipantsResponse),
    Track(Option<Box<lk::TrackInfo>>),
}

impl Answer {
    pub(in crate::simulator) fn to_protobuf(&self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::Room(room) => room.encode_to_vec().into(),
            Self::Rooms(rooms) => rooms.encode_to_vec().into(),
            Self::Participant(participant) => participant.encode_to_vec().into(),
            Self::Participants(participants) => participants.encode_to_vec().into(),
            Self::Track(track) => lk::MuteRoomTrackResponse { track: track.as_deref().cloned() }.encode_to_vec().into(),
        }
    }
}
