//! The chart on a real API server: what it renders is taken there, what it permits is what the operator needs and no
//! more, and nothing is lost or hangs when it is upgraded, uninstalled and installed again. Also what a tenant reaches, and
//! what the image of the chart promises.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

mod audit;
mod documented;
mod files;
mod image;
mod kubelet;
mod lifecycle;
mod monitoring;
mod rights;
mod stage;
mod tenancy;
mod values;

use std::time::Duration;

/// How long anything may take that takes a second when nothing else runs.
const SOON: Duration = Duration::from_secs(45);
