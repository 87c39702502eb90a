//! Proxies between the parts: what went over the wire, and faults on it.

mod engine;
mod fault;
mod recording;
mod webhook;

pub use self::engine::Call;
pub use self::fault::Fault;
pub use self::recording::RecordingProxy;
pub use self::webhook::{Webhook, WebhookRelay};
