//! Messages by the name of their method: from JSON to protobuf, and answers from protobuf to JSON.

use livekit_protocol as lk;
use prost::Message;
use serde_json::Value;

macro_rules! methods {
    ($($method:literal: $request:ident -> $answer:ident,)*) => {
        pub const METHODS: &[&str] = &[$($method),*];

        pub fn encode(method: &str, message: Value) -> Vec<u8> {
            match method {
                $($method => serde_json::from_value::<lk::$request>(message).unwrap().encode_to_vec(),)*
                _ => panic!("no message for {method}"),
            }
        }

        pub fn decode(method: &str, body: &[u8]) -> Value {
            match method {
                $($method => serde_json::to_value(lk::$answer::decode(body).unwrap()).unwrap(),)*
                _ => panic!("no message for {method}"),
            }
        }
    };
}

methods! {
    "CreateRoom": CreateRoomRequest -> Room,
    "ListRooms": ListRoomsRequest -> ListRoomsResponse,
    "DeleteRoom": DeleteRoomRequest -> DeleteRoomResponse,
    "ListParticipants": ListParticipantsRequest -> ListParticipantsResponse,
    "GetParticipant": RoomParticipantIdentity -> ParticipantInfo,
    "RemoveParticipant": RoomParticipantIdentity -> RemoveParticipantResponse,
    "MutePublishedTrack": MuteRoomTrackRequest -> MuteRoomTrackResponse,
    "UpdateParticipant": UpdateParticipantRequest -> ParticipantInfo,
    "UpdateSubscriptions": UpdateSubscriptionsRequest -> UpdateSubscriptionsResponse,
    "SendData": SendDataRequest -> SendDataResponse,
    "UpdateRoomMetadata": UpdateRoomMetadataRequest -> Room,
    "ForwardParticipant": ForwardParticipantRequest -> ForwardParticipantResponse,
    "MoveParticipant": MoveParticipantRequest -> MoveParticipantResponse,
    "PerformRpc": PerformRpcRequest -> PerformRpcResponse,
}

/// The grants that a method needs.
pub fn grants(method: &str, message: &Value) -> Value {
    match method {
        "ListRooms" => serde_json::json!({"roomList": true}),
        "CreateRoom" | "DeleteRoom" => serde_json::json!({"roomCreate": true}),
        _ => {
            let mut grants = serde_json::json!({"roomAdmin": true, "room": message["room"]});
            if let Some(destination) = message.get("destination_room") {
                grants["destinationRoom"] = destination.clone();
            }
            grants
        }
    }
}
