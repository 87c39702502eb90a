//! The LiveKit client: tokens, Twirp calls, classed errors, webhook verification.
//!
//! This room knows neither Kubernetes nor policies. It speaks in the types of `livekit-protocol`, so that what a
//! listing, an update and a webhook say about a participant is one type, and adds what the callers must not get
//! wrong: a token for exactly one room, bounded time and size, one class for every error, and no text from a stranger
//! in a message.
//!
//! Enumerations arrive as numbers and a newer server may send numbers that we do not know. The getters that prost
//! generates (`participant.kind()`) then answer with the first variant, which for a kind is `Standard`, the one kind
//! that policies touch by default. Use `Kind::try_from(participant.kind)` instead.

// What goes wrong in a test ends it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod address;
mod calls;
mod client;
mod credentials;
mod error;
pub(crate) mod hs256;
mod observe;
pub(crate) mod pool;
pub(crate) mod request;
mod retry_after;
mod tls;
mod token;
mod transport;
mod twirp;
pub mod webhook;

pub use address::{Address, AddressError};
pub use calls::Calls;
pub use client::{Client, Config, ConfigError, ParticipantUpdate};
pub use credentials::{Credentials, Secret};
pub use error::{Class, Error, Feature};
pub use observe::{Method, Observation, Observer};
pub use tls::TlsProblem;
pub use token::TokenError;
pub use twirp::TwirpCode;
