//! The floor: the least that can be done. For who is there already, a loop that lists every room once and sends one
//! change for each participant, without looking at anything; for joins, a receiver that verifies nothing.

use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use livekit_protocol::{
    ListParticipantsRequest, ListParticipantsResponse, ListRoomsRequest, ListRoomsResponse, ParticipantPermission,
    UpdateParticipantRequest,
};
use prost::Message;
use usher_testkit::{Launch, PlainClient, Service, TestDir};

use super::{
    contender::keys,
    extent::Extent,
    log::{Calls, LAST_WORDS},
    results::{Phase, Usage},
    server::Server,
};

/// Requests at the same time, as many as Usher's default.
pub const AT_ONCE: usize = 32;

/// The receiver of webhooks.
pub fn receiver(url: &str, port: u16) -> Service {
    let dir = TestDir::current();
    let own = std::env::current_exe().expect("this program has a path");
    let launch = keys(Launch::new(own.with_file_name("floor"), dir.log("floor")))
        .env("LIVEKIT_URL", url)
        .env("PORT", port.to_string());
    Service::program("floor", launch, Some(format!("http://127.0.0.1:{port}/")), dir)
}

/// Changes everybody, first with a listing of all rooms, then without. This program itself does it.
pub async fn sweep(server: &mut Server, extent: Extent) -> (Phase, Phase) {
    let client = server.client();
    let begun = Timestamp::now();
    let (from, before) = (server.log.calls.len(), usage(server));
    let everybody = list(&client).await;
    update(&client, &everybody, true).await;
    let swept = usage(server);
    let cold = phase(server, "cold", from, begun, [before, swept], extent).await;
    let begun = Timestamp::now();
    let (from, before) = (server.log.calls.len(), usage(server));
    update(&client, &everybody, false).await;
    let changed = usage(server);
    let change = phase(server, "change", from, begun, [before, changed], extent).await;
    (cold, change)
}

async fn phase(
    server: &mut Server,
    name: &str,
    from: usize,
    begun: Timestamp,
    usage: [Usage; 2],
    extent: Extent,
) -> Phase {
    tokio::time::sleep(LAST_WORDS).await;
    server.log.look();
    Phase::of(name, Calls(&server.log.calls[from..]), begun, ("", extent.participants), usage)
}

/// Everybody, by room and identity.
pub async fn list(client: &PlainClient) -> Vec<(String, livekit_protocol::ParticipantInfo)> {
    let rooms = client.call("ListRooms", "", &ListRoomsRequest::default()).await.expect("the server answers");
    let rooms = ListRoomsResponse::decode(rooms).expect("rooms").rooms;
    let listings = stream::iter(rooms).map(|room| async move {
        let request = ListParticipantsRequest { room: room.name.clone() };
        let answer = client.call("ListParticipants", &room.name, &request).await.expect("the server answers");
        let listed = ListParticipantsResponse::decode(answer).expect("participants").participants;
        stream::iter(listed).map(move |info| (room.name.clone(), info))
    });
    listings.buffer_unordered(AT_ONCE).flatten().collect().await
}

async fn update(client: &PlainClient, everybody: &[(String, livekit_protocol::ParticipantInfo)], subscribe: bool) {
    stream::iter(everybody)
        .for_each_concurrent(AT_ONCE, |(room, info)| async move {
            let permission = ParticipantPermission { can_subscribe: subscribe, ..Default::default() };
            let request = UpdateParticipantRequest {
                room: room.clone(),
                identity: info.identity.clone(),
                permission: Some(permission),
                ..Default::default()
            };
            let call = client.call("UpdateParticipant", room, &request);
            let _ = tokio::time::timeout(Duration::from_secs(5), call).await.expect("it answers in time");
        })
        .await;
}

/// What this program has used.
fn usage(server: &Server) -> Usage {
    Usage::of(i32::try_from(std::process::id()).expect("a process id"), server)
}
