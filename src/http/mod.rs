//! What others reach over HTTP: webhooks on one address, health and metrics on another, so that only the first needs
//! to be exposed.

mod admin;
mod seen;
mod serve;
mod webhooks;

pub use admin::{Readiness, admin};
pub use serve::{Guests, listen, serve};
pub use webhooks::webhooks;
