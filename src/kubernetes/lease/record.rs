//! What stands in the Lease, and what follows from it: pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use tokio::time::Instant;

use super::LEASE_DURATION;

/// The Lease as it was last seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    lease: Lease,
    /// When it was first seen to say this.
    since: Instant,
}

impl Seen {
    pub fn new(lease: Lease, now: Instant) -> Self {
        Self { lease, since: now }
    }

    /// The same, seen again. Labels and other metadata say nothing of the holder.
    pub fn again(self, lease: Lease, now: Instant) -> Self {
        let since = if self.lease.spec == lease.spec { self.since } else { now };
        Self { lease, since }
    }

    /// Who holds it.
    pub fn holder(&self) -> Option<&str> {
        let holder = self.lease.spec.as_ref()?.holder_identity.as_deref();
        holder.filter(|holder| !holder.is_empty())
    }

    pub fn is_held_by(&self, identity: &str) -> bool {
        self.holder() == Some(identity)
    }

    /// Whether anybody may take it.
    pub fn is_free(&self, now: Instant) -> bool {
        self.runs_out().is_none_or(|at| at <= now)
    }

    /// When whoever holds it loses it, if it is not seen to change before.
    pub fn runs_out(&self) -> Option<Instant> {
        self.holder().map(|_| self.since + self.duration())
    }

    fn duration(&self) -> Duration {
        let seconds = self.lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        seconds.map_or(LEASE_DURATION, Duration::from_secs)
    }

    /// The Lease, taken or renewed.
    pub fn claimed(&self, identity: &str, at: Timestamp) -> Lease {
        let mut lease = self.lease.clone();
        let spec = lease.spec.get_or_insert_default();
        spec.renew_time = Some(MicroTime(at));
        spec.lease_duration_seconds = Some(seconds(LEASE_DURATION));
        if spec.holder_identity.as_deref() != Some(identity) {
            spec.holder_identity = Some(identity.to_owned());
            spec.acquire_time = Some(MicroTime(at));
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default().saturating_add(1));
        }
        lease
    }

    /// The Lease, given back.
    pub fn released(&self, at: Timestamp) -> Lease {
        let mut lease = self.lease.clone();
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.acquire_time = Some(MicroTime(at));
        spec.renew_time = Some(MicroTime(at));
        lease
    }
}

/// The first Lease of a name.
pub(super) fn first(name: &str, identity: &str, at: Timestamp) -> Lease {
    Lease {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        spec: Some(LeaseSpec {
            holder_identity: Some(identity.to_owned()),
            lease_duration_seconds: Some(seconds(LEASE_DURATION)),
            acquire_time: Some(MicroTime(at)),
            renew_time: Some(MicroTime(at)),
            lease_transitions: Some(0),
            ..LeaseSpec::default()
        }),
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
