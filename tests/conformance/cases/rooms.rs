//! Rooms themselves.

use serde_json::json;

use crate::case::Case;

pub fn cases() -> Vec<Case> {
    let case = Case::new;
    let list = json!({"names": ["$room", "$other", "$room"]});
    vec![
        case("a room is made").call(
            "CreateRoom",
            json!({"metadata": "m", "empty_timeout": 7, "departure_timeout": 9, "max_participants": 3}),
        ),
        case("a room is made, protobuf").call_protobuf("CreateRoom", json!({"metadata": "m"})),
        case("a room is made twice")
            .call("CreateRoom", json!({"metadata": "m"}))
            .call("CreateRoom", json!({"metadata": "other", "empty_timeout": 7}))
            .call("ListRooms", list.clone()),
        case("a room's name is too long").call("CreateRoom", json!({"name": "x".repeat(257)})),
        case("a room's metadata is too long").call("CreateRoom", json!({"metadata": "x".repeat(512 * 1024 + 1)})),
        case("a room that was made is listed").call("CreateRoom", json!({})).call("ListRooms", list.clone()),
        case("a room that was made has nobody").call("CreateRoom", json!({})).call("ListParticipants", json!({})),
        case("rooms are listed by name").with("ann").call("ListRooms", list.clone()),
        case("rooms are listed by name, protobuf").with("ann").call_protobuf("ListRooms", list),
        case("rooms of other names").with("ann").call("ListRooms", json!({"names": ["$other"]})),
        case("all rooms").with("ann").call("ListRooms", json!({})),
        case("a room is deleted").with("ann").call("DeleteRoom", json!({})).call("ListRooms", json!({})),
        case("a room is deleted twice").with("ann").call("DeleteRoom", json!({})).call("DeleteRoom", json!({})),
        case("a room's metadata is changed and cleared")
            .with("ann")
            .call("UpdateRoomMetadata", json!({"metadata": "m"}))
            .call("UpdateRoomMetadata", json!({"metadata": ""})),
        case("a room's metadata is changed to too long a text")
            .with("ann")
            .call("UpdateRoomMetadata", json!({"metadata": "x".repeat(512 * 1024 + 1)})),
        case("data are sent").with("ann").call("SendData", json!({"data": "YWJj"})),
        case("data are sent to nobody").with("ann").call("SendData", json!({"destination_identities": ["zoe"]})),
        case("data with a nonce of another length").with("ann").call("SendData", json!({"nonce": "YWJj"})),
        case("subscriptions of somebody").with("ann").call("UpdateSubscriptions", json!({"identity": "ann"})),
        case("subscriptions to what is not there")
            .with("ann")
            .call("UpdateSubscriptions", json!({"identity": "ann", "track_sids": ["TR_x"], "subscribe": true})),
        case("subscriptions of nobody").with("ann").call("UpdateSubscriptions", json!({"identity": "zoe"})),
        case("a method is called of nobody").call("PerformRpc", json!({})),
    ]
}
