//! One candidate.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use super::{
    CALL_WITHIN, Candidacy, JITTER, RELEASE_WITHIN, RENEW_DEADLINE, RETRY_PERIOD,
    record::{Seen, first},
    store::{Failure, Store},
};
use crate::{
    engine::{LeadershipSender, stopped},
    metrics::Metrics,
};

/// See [`super::elect`].
pub(super) struct Elector<S> {
    candidacy: Candidacy,
    store: S,
    leadership: LeadershipSender,
    /// Told when the lease has changed.
    changed: Arc<Notify>,
    metrics: Arc<Metrics>,
    seen: Option<Seen>,
    /// Until when this candidate leads if it does not renew.
    holds_until: Option<Instant>,
    /// Whom it follows, as far as that has been told.
    follows: Option<String>,
    /// The last try failed, and that has been told.
    fails: bool,
}

impl<S: Store> Elector<S> {
    pub fn new(
        candidacy: &Candidacy,
        store: S,
        leadership: LeadershipSender,
        changed: Arc<Notify>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            candidacy: candidacy.clone(),
            store,
            leadership,
            changed,
            metrics,
            seen: None,
            holds_until: None,
            follows: None,
            fails: false,
        }
    }

    /// Takes part until it is stopped, and gives the lease back then.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        // Who begins anew after a panic knows nothing of having led.
        self.leadership.follow();
        tokio::select! {
            () = stopped(&mut stop) => {}
            () = self.campaign() => {}
        }
        self.resign().await;
    }

    /// Tries for ever.
    async fn campaign(&mut self) {
        loop {
            let begun = Instant::now();
            self.lapse(begun);
            // A success that came later would be worth nothing.
            let until = self.holds_until.unwrap_or(begun + RENEW_DEADLINE);
            match timeout_at(until, self.attempt()).await.unwrap_or(Err(Failure::Timeout)) {
                Ok(true) => self.hold(begun),
                Ok(false) => self.follow(),
                Err(failure) => self.note(&failure),
            }
            match self.holds_until {
                Some(until) => sleep(RETRY_PERIOD.min(until.saturating_duration_since(Instant::now()))).await,
                None => {
                    let pause = Instant::now() + RETRY_PERIOD.mul_f64(1.0 + JITTER * fastrand::f64());
                    // One that has run out already could not be taken a moment ago.
                    let runs_out = self.seen.as_ref().and_then(Seen::runs_out).filter(|at| *at > Instant::now());
                    let changed = Arc::clone(&self.changed);
                    tokio::select! {
                        () = sleep_until(runs_out.map_or(pause, |at| at.min(pause))) => {}
                        () = changed.notified() => {}
                    }
                }
            }
        }
    }

    /// Tries to take or renew the lease; whether we have it.
    async fn attempt(&mut self) -> Result<bool, Failure> {
        let us = &self.candidacy.identity;
        if self.holds_until.is_some()
            && let Some(seen) = self.seen.as_ref().filter(|seen| seen.is_held_by(us))
        {
            // Nobody else writes it while it is ours: mostly one request is enough.
            match self.put(seen.claimed(us, Timestamp::now())).await {
                Err(Failure::Outdated) => {}
                result => return result.map(|()| true),
            }
        }
        self.look().await?;
        let (us, at) = (&self.candidacy.identity, Timestamp::now());
        let claim = match &self.seen {
            None => first(&self.candidacy.name, us, at),
            Some(seen) if seen.is_held_by(us) || seen.is_free(Instant::now()) => seen.claimed(us, at),
            Some(_) => return Ok(false),
        };
        self.put(claim).await.map(|()| true)
    }

    async fn look(&mut self) -> Result<(), Failure> {
        let found = timeout(CALL_WITHIN, self.store.get()).await.unwrap_or(Err(Failure::Timeout))?;
        let now = Instant::now();
        self.seen = found.map(|lease| match self.seen.take() {
            Some(seen) => seen.again(lease, now),
            None => Seen::new(lease, now),
        });
        Ok(())
    }

    async fn put(&mut self, lease: Lease) -> Result<(), Failure> {
        let written = timeout(CALL_WITHIN, self.store.put(lease)).await.unwrap_or(Err(Failure::Timeout))?;
        self.seen = Some(Seen::new(written, Instant::now()));
        Ok(())
    }

    /// Leads on from the beginning of a try that went well.
    fn hold(&mut self, begun: Instant) {
        let until = begun + RENEW_DEADLINE;
        self.holds_until = Some(until);
        self.follows = None;
        self.recovered();
        self.metrics.leader.set(1);
        if self.leadership.hold_until(until) {
            let Candidacy { namespace, name, identity } = &self.candidacy;
            tracing::info!(lease = %format_args!("{namespace}/{name}"), identity, "leading: this replica resyncs and writes status");
        }
    }

    /// Follows whom the lease names.
    fn follow(&mut self) {
        self.holds_until = None;
        self.metrics.leader.set(0);
        let leader = self.seen.as_ref().and_then(Seen::holder).map(ToOwned::to_owned);
        if self.leadership.follow() {
            tracing::warn!(leader, "another replica has taken the lease; following");
        } else if leader.is_some() && leader != self.follows {
            tracing::info!(leader, "following");
        }
        if self.seen.is_some() {
            self.recovered();
        }
        self.follows = leader;
    }

    /// Leads no more where the lease was not renewed in time.
    fn lapse(&mut self, now: Instant) {
        if self.holds_until.take_if(|until| *until <= now).is_some() {
            self.metrics.leader.set(0);
            self.leadership.follow();
            tracing::warn!("the lease was not renewed for {RENEW_DEADLINE:?}; leading no more");
        }
    }

    fn note(&mut self, failure: &Failure) {
        // That is how elections end.
        if matches!(failure, Failure::Outdated) {
            return;
        }
        if std::mem::replace(&mut self.fails, true) {
            tracing::debug!(error = %failure, "the lease still cannot be used");
        } else {
            let Candidacy { namespace, name, .. } = &self.candidacy;
            tracing::warn!(lease = %format_args!("{namespace}/{name}"), error = %failure, "the lease cannot be used; trying again");
        }
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.fails) {
            tracing::info!("the lease can be used again");
        }
    }

    /// Leads no more, and gives the lease back. It is read anew, for a try may have been cut off in the middle.
    async fn resign(&mut self) {
        self.holds_until = None;
        self.metrics.leader.set(0);
        self.leadership.follow();
        match timeout(RELEASE_WITHIN, self.release()).await.unwrap_or(Err(Failure::Timeout)) {
            Ok(true) => tracing::info!("the lease is given back"),
            Ok(false) => {}
            Err(failure) => tracing::warn!(error = %failure, "the lease could not be given back; it runs out"),
        }
    }

    async fn release(&mut self) -> Result<bool, Failure> {
        loop {
            self.look().await?;
            let Some(seen) = self.seen.as_ref().filter(|seen| seen.is_held_by(&self.candidacy.identity)) else {
                return Ok(false);
            };
            match self.put(seen.released(Timestamp::now())).await {
                Err(Failure::Outdated) => {}
                result => return result.map(|()| true),
            }
        }
    }
}
