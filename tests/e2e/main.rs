//! The main job on the real stack: objects in a real Kubernetes API, participants of a real livekit-server, the
//! operator as the program that its users run. Each test has a namespace, a LiveKit server and an operator of its own.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

mod broken;
mod cloud;
mod examples;
mod fields;
mod forwarding;
mod gitops;
mod joining;
mod killed;
mod kubectl;
mod lifecycle;
mod listings;
mod moments;
mod muting;
mod outages;
mod publishing;
mod ready;
mod receiver;
mod removal;
mod repair;
mod replicas;
mod resync;
mod sequences;
mod stage;
mod trust;
mod webhooks;
mod who_wins;
