//! What others reach over HTTP: webhooks on one address, health and metrics on another, so that only the first needs
//! to be exposed.

mod admin;
mod webhooks;

use std::net::SocketAddr;

use axum::Router;
use tokio::{net::TcpListener, sync::watch};

pub use admin::{Readiness, admin};
pub use webhooks::webhooks;

use crate::engine::stopped;

/// Serves until it is stopped, and then until the requests under way are answered.
///
/// # Errors
/// The listener fails.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) -> std::io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(async move { stopped(&mut stop).await }).await
}

/// Listens on an address.
///
/// # Errors
/// The address is in use or not ours; the text names it and the flag to change.
pub async fn listen(address: SocketAddr, flag: &str) -> std::io::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| std::io::Error::new(error.kind(), format!("cannot listen on {address} ({flag}): {error}")))
}
