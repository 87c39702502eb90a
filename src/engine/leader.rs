//! What this replica is among those of its installation, and who is told.

use tokio::{sync::watch, time::Instant};

use crate::policy::CORRECTIONS;

/// What a replica is among those of its installation. Each of them enforces what webhooks tell it; the rest is done by
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The only one: every webhook comes here.
    Alone,
    /// Resyncs, enforces changes of policies and reports, while webhooks go to others too.
    Holder,
    /// Enforces what webhooks tell it and is ready to become the holder.
    Follower,
}

impl Role {
    /// Whether it does what only one of the replicas does.
    #[must_use]
    pub const fn leads(self) -> bool {
        matches!(self, Self::Alone | Self::Holder)
    }

    /// How often it may put right without a pause what others undo. Each replica remembers its own corrections, and all
    /// of them together must not fight for longer than one would: the holder, who finds in listings what the others are
    /// not told, has all but one, and a follower that one.
    pub(super) const fn corrections(self) -> usize {
        match self {
            Self::Alone => CORRECTIONS,
            Self::Holder => CORRECTIONS - 1,
            Self::Follower => 1,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Term {
    Alone,
    Holder { until: Instant },
    Follower,
}

impl Term {
    fn role(self) -> Role {
        match self {
            Self::Alone => Role::Alone,
            Self::Holder { until } if Instant::now() < until => Role::Holder,
            Self::Holder { .. } | Self::Follower => Role::Follower,
        }
    }
}

/// Knows what this replica is.
///
/// A term as holder ends by itself: a process that was frozen finds that it leads no more before anybody could tell it.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<Term>);

/// Says what this replica is.
#[derive(Clone, Debug)]
pub struct LeadershipSender(watch::Sender<Term>);

impl Leadership {
    /// Where there is one replica.
    #[must_use]
    pub fn alone() -> Self {
        Self(watch::channel(Term::Alone).1)
    }

    /// Where one of several is elected. At first this one is not.
    #[must_use]
    pub fn elected() -> (LeadershipSender, Self) {
        let (sender, receiver) = watch::channel(Term::Follower);
        (LeadershipSender(sender), Self(receiver))
    }

    /// What this replica is now.
    #[must_use]
    pub fn role(&self) -> Role {
        self.0.borrow().role()
    }

    /// Waits for a turn; for ever, where nobody is left to make one. That a term has run out is nobody's call: ask
    /// [`Self::role`] before each thing that depends on it.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl LeadershipSender {
    /// This replica leads until a moment, and on if it is said again before. Whether that is a turn.
    pub fn hold_until(&self, until: Instant) -> bool {
        self.set(Term::Holder { until })
    }

    /// This replica follows. Whether that is a turn.
    pub fn follow(&self) -> bool {
        self.set(Term::Follower)
    }

    /// What this replica is now.
    #[must_use]
    pub fn role(&self) -> Role {
        self.0.borrow().role()
    }

    fn set(&self, next: Term) -> bool {
        self.0.send_if_modified(|term| {
            let turns = matches!(term, Term::Holder { .. }) != matches!(next, Term::Holder { .. });
            *term = next;
            turns
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_term_ends_by_itself_and_goes_on_when_said_again() {
        let (sender, leadership) = Leadership::elected();
        let term = Duration::from_secs(10);
        assert_eq!(leadership.role(), Role::Follower);
        assert!(sender.hold_until(Instant::now() + term));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(!sender.hold_until(Instant::now() + term));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(leadership.role(), Role::Holder);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(leadership.role(), Role::Follower);
        assert!(sender.follow() && !sender.follow());
    }

    #[tokio::test(start_paused = true)]
    async fn only_turns_are_told() {
        let (sender, mut leadership) = Leadership::elected();
        let mut turns = 0;
        for seconds in [10, 20, 30] {
            sender.hold_until(Instant::now() + Duration::from_secs(seconds));
            turns += usize::from(tokio::time::timeout(Duration::ZERO, leadership.changed()).await.is_ok());
        }
        assert_eq!(turns, 1);
        assert_eq!(Leadership::alone().role(), Role::Alone);
    }
}
