//! The plainest client of the RoomService there is: tokens that are signed once for each room, requests as they are.
//! What benchmarks hold other clients against.

use std::{cell::RefCell, collections::HashMap, time::Duration};

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use prost::Message;
use serde_json::json;
use tokio::{net::TcpStream, task::spawn_local};

use crate::ApiKey;

/// A client for one thread: it is used within a [`tokio::task::LocalSet`].
#[derive(Debug)]
pub struct PlainClient {
    /// Host and port of LiveKit.
    livekit: String,
    key: ApiKey,
    tokens: RefCell<HashMap<String, String>>,
    idle: RefCell<Vec<SendRequest<Full<Bytes>>>>,
}

impl PlainClient {
    /// A client of the server at a `http` URL.
    pub fn new(url: &str, key: ApiKey) -> Self {
        let livekit = url.trim_start_matches("http://").to_owned();
        Self { livekit, key, tokens: RefCell::default(), idle: RefCell::default() }
    }

    /// Calls a method on a room; the body of the answer, whatever its status is.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    ///
    /// # Panics
    ///
    /// When the URL or the method is none.
    pub async fn call(&self, method: &str, room: &str, message: &impl Message) -> Result<Bytes, hyper::Error> {
        let token = self.token(room);
        let mut sender = self.connection().await?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/twirp/livekit.RoomService/{method}"))
            .header(header::HOST, &self.livekit)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/protobuf")
            .body(Full::from(message.encode_to_vec()))
            .expect("a good request");
        let answer = sender.send_request(request).await?.into_body().collect().await?;
        self.idle.borrow_mut().push(sender);
        Ok(answer.to_bytes())
    }

    fn token(&self, room: &str) -> String {
        let sign = || {
            let claims = json!({"video": {"roomAdmin": true, "roomList": true, "room": room}});
            self.key.sign(claims.as_object().cloned().unwrap_or_default(), Duration::from_secs(3600))
        };
        self.tokens.borrow_mut().entry(room.to_owned()).or_insert_with(sign).clone()
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
