//! The floor of the benchmark: the least that a webhook's receiver can do. It answers, reads two names, and sends one
//! request with a token that was signed before. It verifies nothing and knows one rule, so nobody should run it.

#![allow(clippy::expect_used, reason = "a program for the benchmark, which ends where it cannot go on")]

use std::{cell::RefCell, collections::HashMap, convert::Infallible, rc::Rc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use livekit_protocol::{ParticipantPermission, UpdateParticipantRequest};
use prost::Message;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{LocalSet, spawn_local},
};
use usher_testkit::ApiKey;

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

struct Floor {
    /// Host and port of LiveKit.
    livekit: String,
    key: ApiKey,
    tokens: RefCell<HashMap<String, String>>,
    idle: RefCell<Vec<SendRequest<Full<Bytes>>>>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let value = |name| std::env::var(name).expect("LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET and PORT are set");
    let floor = Rc::new(Floor {
        livekit: value("LIVEKIT_URL").trim_start_matches("http://").to_owned(),
        key: ApiKey::new(&value("LIVEKIT_API_KEY"), &value("LIVEKIT_API_SECRET")),
        tokens: RefCell::default(),
        idle: RefCell::default(),
    });
    let port = value("PORT").parse::<u16>().expect("a port");
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    LocalSet::new()
        .run_until(async {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let floor = Rc::clone(&floor);
                let service = service_fn(move |request| Rc::clone(&floor).answer(request));
                spawn_local(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        })
        .await;
}

impl Floor {
    async fn answer(self: Rc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
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
            let token = self.token(room.name);
            spawn_local(async move {
                let sent = tokio::time::timeout(Duration::from_secs(5), self.send(&token, &message)).await;
                if let Ok(Err(error)) = sent {
                    eprintln!("{error}");
                }
            });
        }
        Ok(Response::new(Full::default()))
    }

    fn token(&self, room: &str) -> String {
        let sign = || {
            let claims = json!({"video": {"roomAdmin": true, "room": room}});
            self.key.sign(claims.as_object().cloned().unwrap_or_default(), Duration::from_secs(3600))
        };
        self.tokens.borrow_mut().entry(room.to_owned()).or_insert_with(sign).clone()
    }

    async fn send(&self, token: &str, message: &UpdateParticipantRequest) -> Result<(), hyper::Error> {
        let mut sender = self.connection().await?;
        let request = Request::builder()
            .method(Method::POST)
            .uri("/twirp/livekit.RoomService/UpdateParticipant")
            .header(header::HOST, &self.livekit)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/protobuf")
            .body(Full::from(message.encode_to_vec()))
            .expect("a good request");
        sender.send_request(request).await?.into_body().collect().await?;
        self.idle.borrow_mut().push(sender);
        Ok(())
    }

    /// One that is open and has nothing to do, else a new one.
    async fn connection(&self) -> Result<SendRequest<Full<Bytes>>, hyper::Error> {
        loop {
            let idle = self.idle.borrow_mut().pop();
            match idle {
                Some(mut sender) => {
                    if sender.ready().await.is_ok() {
                        return Ok(sender);
                    }
                }
                None => {
                    let stream = loop {
                        // LiveKit may just be starting anew.
                        match TcpStream::connect(&self.livekit).await {
                            Ok(stream) => break stream,
                            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                        }
                    };
                    let _ = stream.set_nodelay(true);
                    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
                    spawn_local(connection);
                    return Ok(sender);
                }
            }
        }
    }
}
