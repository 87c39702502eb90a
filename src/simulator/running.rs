//! A simulated server that others reach.

use std::net::SocketAddr;

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::{Options, Simulator, http};

/// A server that answers over HTTP. It ends when this is dropped; [`Self::stop`] ends it in good order.
#[derive(Debug)]
pub struct Running {
    simulator: Simulator,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

impl Running {
    /// Starts one on a free port of the loopback address.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        Self::serve(Simulator::new(options), TcpListener::bind(("127.0.0.1", 0)).await?)
    }

    /// Lets a server answer on a listener. To be called within a Tokio runtime.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn serve(simulator: Simulator, listener: TcpListener) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, mut stopped) = watch::channel(false);
        let server = axum::serve(listener, http::router(simulator.clone()));
        let server = server.with_graceful_shutdown(async move {
            // An error is a sender that was dropped, which is the same.
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        let serve = tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::warn!(%error, "the simulated server ends");
            }
        });
        let timekeeper = simulator.clone();
        let time = tokio::spawn(async move { timekeeper.keep_time().await });
        Ok(Self { simulator, address, stop, tasks: [serve, time] })
    }

    /// The server itself.
    #[must_use]
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no more requests and waits until those under way are answered.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // An error is a panic in there, which has been told.
        let _ = (&mut self.tasks[0]).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
