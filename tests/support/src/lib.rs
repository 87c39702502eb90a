//! Starts the real stack for Usher's integration tests: Kubernetes' control plane, livekit-server, real WebRTC
//! participants, and the operator itself; and puts switches between them.
//!
//! Nothing here depends on the `usher` crate: the tests see the operator as its users do, as a program. Neither does
//! anything here belong to one test's async runtime: processes are watched by plain threads, proxies run on runtimes
//! of their own. So parts may be shared by tests that each have their own runtime, as `#[tokio::test]` gives them.
//!
//! | what | with |
//! |---|---|
//! | Kubernetes | [`Cluster::shared`], or [`Cluster::start`] for one that a test breaks |
//! | LiveKit | [`LiveKit::start`], [`TokenSpec`] |
//! | WebRTC participants | [`Participants::start`], [`Participant`] |
//! | the operator | [`Operator::start`] |
//! | what goes over the wire, and faults on it | [`RecordingProxy`], [`WebhookRelay`] |
//! | waiting | [`eventually`] |
//! | logs | [`TestDir`] |
//!
//! Run tests by `tests/support/netns`, which gives them a network namespace of their own and ends whatever they left.
//! The programs come from `make stack`; `USHER_STACK_BIN` names another directory to take them from.

// What goes wrong in here is a failed test. A panic with a message says so best.
#![allow(clippy::expect_used, clippy::panic)]

mod cluster;
mod dir;
mod livekit;
mod net;
mod operator;
mod participants;
mod process;
mod proxy;
mod service;
mod stack;
mod wait;

pub use cluster::{Cluster, ClusterOptions, KubectlOutput};
pub use dir::{TestDir, repository, scratch};
pub use livekit::{ApiKey, ApiReply, LiveKit, LiveKitOptions, TokenSpec};
pub use net::{Reply, free_port, request};
pub use operator::{Operator, OperatorOptions, metric_in};
pub use participants::{Info, JoinError, Left, Participant, Participants, ParticipantsOptions, Permission, Track};
pub use process::{Launch, Process};
pub use proxy::{Call, Fault, RecordingProxy, Webhook, WebhookRelay};
pub use service::Service;
pub use stack::stack_binary;
pub use wait::eventually;
