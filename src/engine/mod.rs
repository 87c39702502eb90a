//! The runtime: one worker per server; rooms, queue, budget; observe, plan, act, report.
//!
//! What goes in is a [`Catalog`], replaced whole, and verified webhooks ([`Event`]) by way of [`Routes`]; what comes
//! out are requests to a [`RoomService`] and [`Reports`]. Knows [`crate::policy`] and, for the errors of requests and
//! the messages of webhooks, [`crate::livekit`]; knows nothing of Kubernetes.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "what goes wrong in a test ends it"))]

mod act;
mod budget;
mod clock;
mod convert;
mod event;
mod leader;
mod meter;
mod pulse;
mod queue;
mod record;
mod room;
mod service;
mod supervisor;
mod timers;
mod view;
mod worker;

pub use clock::Clock;
pub use event::{Event, What};
pub use leader::{Leadership, LeadershipSender, Role};
pub use queue::Urgency;
pub use service::RoomService;
pub use supervisor::{Engine, Overloaded, Route, Routes};
pub use view::{
    Audience, Catalog, Deed, Done, Health, Limits, PolicyReport, Rate, Reports, Server, ServerReport, ServerView,
    TransferReport,
};

/// Waits until somebody says stop, or nobody is left who could.
pub(crate) async fn stopped(stop: &mut tokio::sync::watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
