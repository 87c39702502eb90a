//! The floor of the benchmark: the least that a webhook's receiver can do. It answers, reads two names, and sends one
//! request with a token that was signed before. It verifies nothing and knows one rule, so nobody should run it.

#![allow(clippy::expect_used, reason = "a program for the benchmark, which ends where it cannot go on")]

use std::{convert::Infallible, rc::Rc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use livekit_protocol::{ParticipantPermission, UpdateParticipantRequest};
use serde::Deserialize;
use tokio::{
    net::TcpListener,
    task::{LocalSet, spawn_local},
};
use usher_testkit::{ApiKey, PlainClient};

#[derive(Deserialize)]
struct Webhook<'a> {
    event: &'a str,
    room: Option<Room<'a>>,
    participant: Option<Participant<'a>>,
}

#[derive(Deserialize)]
struct Room<'a> {
    name: &'a str,
}

#[derive(Deserialize)]
struct Participant<'a> {
    identity: &'a str,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let value = |name| std::env::var(name).expect("LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET and PORT are set");
    let key = ApiKey::new(&value("LIVEKIT_API_KEY"), &value("LIVEKIT_API_SECRET"));
    let client = Rc::new(PlainClient::new(&value("LIVEKIT_URL"), key));
    let port = value("PORT").parse::<u16>().expect("a port");
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    LocalSet::new()
        .run_until(async {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let client = Rc::clone(&client);
                let service = service_fn(move |request| answer(Rc::clone(&client), request));
                spawn_local(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        })
        .await;
}

async fn answer(client: Rc<PlainClient>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if let Ok(Webhook { event: "participant_joined", room: Some(room), participant: Some(participant) }) =
        serde_json::from_slice(&body)
    {
        let message = UpdateParticipantRequest {
            room: room.name.to_owned(),
            identity: participant.identity.to_owned(),
            permission: Some(ParticipantPermission {
                can_subscribe: true,
                can_publish_data: true,
                ..Default::default()
            }),
            ..Default::default()
        };
        spawn_local(async move {
            let call = client.call("UpdateParticipant", &message.room, &message);
            if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(5), call).await {
                eprintln!("{error}");
            }
        });
    }
    Ok(Response::new(Full::default()))
}
