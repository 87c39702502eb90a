//! The LiveKit client: against answers scripted byte by byte, against the real server, and beside the official SDK.

// What goes wrong in a test ends it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

mod answers;
mod forgeries;
mod oracle;
mod real;
mod requests;
mod scripted;
mod server;
mod tls;
mod webhooks;
