//! The simulated LiveKit, which may crash.

use std::{net::TcpListener, time::Duration};

use tokio::runtime::{Builder, Runtime};
use usher::{
    livekit::Credentials,
    simulator::{Cloud, Edition, Options, Running, Simulator},
};
use usher_testkit::free_port;

/// The secret of its key, `devkey`.
pub const SECRET: &str = "a-secret-of-more-than-32-characters-in-all";

/// One life after the other at the same address.
pub struct Server {
    options: Options,
    port: u16,
    /// None while it is down.
    life: Option<Life>,
}

/// Everything of a life is on a runtime of its own: with it, all connections are cut.
struct Life {
    running: Running,
    runtime: Runtime,
}

impl Server {
    /// Starts one that sends its webhooks to a URL.
    pub fn start(webhooks: String) -> Self {
        let options = Options {
            keys: vec![Credentials::new("devkey", SECRET)],
            edition: Edition::Cloud(Cloud::default()),
            departure_timeout: Duration::from_secs(1),
            webhook_urls: vec![webhooks],
            ..Options::default()
        };
        let mut server = Self { options, port: free_port(), life: None };
        server.rise();
        server
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Does something with it. What that starts belongs to this life.
    pub fn act<T>(&self, act: impl FnOnce(&Simulator) -> T) -> T {
        let life = self.life.as_ref().expect("it is up");
        let _runtime = life.runtime.enter();
        act(life.running.simulator())
    }

    /// Ends without a word and is there again after a while, without its memory.
    pub async fn crash(&mut self, down: Duration) {
        let life = self.life.take().expect("it is up");
        let end = move || {
            let Life { running, runtime } = life;
            drop(running);
            runtime.shutdown_timeout(Duration::from_secs(5));
        };
        tokio::task::spawn_blocking(end).await.expect("it ends");
        tokio::time::sleep(down).await;
        self.rise();
    }

    fn rise(&mut self) {
        self.options.seed += 1;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let running = {
            let _runtime = runtime.enter();
            let listener = TcpListener::bind(("127.0.0.1", self.port)).expect("the port is free");
            listener.set_nonblocking(true).expect("it can be so");
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            Running::serve(Simulator::new(self.options.clone()), listener).expect("it has an address")
        };
        self.life = Some(Life { running, runtime });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(Life { running, runtime }) = self.life.take() {
            drop(running);
            runtime.shutdown_background();
        }
    }
}
