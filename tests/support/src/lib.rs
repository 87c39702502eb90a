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
//! | the operator | [`Operator::start`]; as the chart has it: [`Cluster::install_chart`], [`Operator::start_container`] |
//! | what goes over the wire, and faults on it | [`RecordingProxy`], [`WebhookRelay`] |
//! | waiting | [`eventually`] |
//! | measuring | [`cpu`], [`resident`], [`figures`], [`PlainClient`], [`Section`] |
//! | logs | [`TestDir`] |
//!
//! ```no_run
//! use serde_json::json;
//! use std::time::Duration;
//! use usher_testkit::*;
//!
//! # let usher = "env!(\"CARGO_BIN_EXE_usher\")";
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let cluster = Cluster::shared().await;
//! let namespace = cluster.namespace("mute").await;
//! let webhooks = WebhookRelay::start();
//! let urls = vec![webhooks.url(&format!("/webhooks/{namespace}/main"))];
//! let livekit = LiveKit::start(LiveKitOptions { webhook_urls: urls, ..LiveKitOptions::default() }).await;
//! let api = RecordingProxy::start(livekit.url());
//! cluster.apply(&format!("…a server at {} and a policy, in {namespace}…", api.url())).await;
//! let operator = Operator::start(OperatorOptions::new(usher, cluster.kubeconfig()).namespace(&namespace)).await;
//! webhooks.set_target(&operator.http_url());
//!
//! let participants = Participants::start();
//! let alice = participants.join(&livekit, &TokenSpec::new("room", "alice").attribute("role", "listener")).await;
//! let at = alice.wait_for(Duration::from_secs(5), |info| !info.permission.can_publish).await;
//! println!("{:#} after it was connected", at.duration_since(alice.connected_at()));
//! assert_eq!(alice.try_publish("audio", "MICROPHONE", "voice").await, Err("NOT_ALLOWED".to_owned()));
//! assert_eq!(api.count("UpdateParticipant"), 1);
//!
//! // Somebody else grants it again, and no webhook tells.
//! api.fault_times(1, "UpdateParticipant", Fault::twirp(503, "unavailable", "try again"));
//! livekit.update_participant("room", "alice", json!({"permission": {"can_publish": true}})).await;
//! alice.wait_for(Duration::from_secs(30), |info| !info.permission.can_publish).await;
//! alice.wait_quiet(Duration::from_secs(1), Duration::from_secs(10)).await;
//! operator.restart().await;
//! alice.assert_unchanged_for(Duration::from_secs(2)).await;
//! # });
//! ```
//!
//! Run tests by `tests/support/netns`, which gives them a network namespace of their own and ends whatever they left.
//! The programs come from `make stack`; `USHER_STACK_BIN` names another directory to take them from.

// What goes wrong in here is a failed test. A panic with a message says so best.
#![allow(clippy::expect_used, clippy::panic)]

mod chart;
mod cluster;
mod dir;
pub mod figures;
mod livekit;
pub mod markdown;
mod net;
mod operator;
mod participants;
mod plain;
mod process;
mod proxy;
mod section;
mod service;
mod stack;
mod usage;
mod wait;

pub use chart::{Container, Release};
pub use cluster::{Cluster, ClusterOptions, CommandOutput};
pub use dir::{TestDir, repository, scratch};
pub use livekit::{ApiKey, ApiReply, LiveKit, LiveKitOptions, TokenSpec};
pub use net::{Reply, free_port, request};
pub use operator::{Operator, OperatorOptions, metric_in};
pub use participants::{Info, JoinError, Left, Participant, Participants, ParticipantsOptions, Permission, Track};
pub use plain::PlainClient;
pub use process::{Launch, Process};
pub use proxy::{Call, Fault, RecordingProxy, Webhook, WebhookRelay};
pub use section::Section;
pub use service::Service;
pub use stack::stack_binary;
pub use usage::{anonymous, connections_to, cpu, descriptors, most_resident, resident, threads};
pub use wait::eventually;
