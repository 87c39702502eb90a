//! Servers and clients of them.

use usher::{
    livekit::{Client, Config, Credentials},
    simulator::{Cloud, Edition, Options, Running},
};

pub fn key() -> Credentials {
    Credentials::new("devkey", "a-secret-for-tests-of-at-least-32-bytes")
}

pub fn options() -> Options {
    Options { keys: vec![key()], ..Options::default() }
}

pub fn cloud() -> Options {
    Options { edition: Edition::Cloud(Cloud::default()), ..options() }
}

pub fn client(server: &Running) -> Client {
    Client::new(Config::new(server.url().parse().unwrap(), key())).unwrap()
}
