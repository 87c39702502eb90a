//! Where events go: to webhooks and to listeners in this process, with the faults on the way.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use livekit_protocol::WebhookEvent;
use tokio::sync::mpsc;

use super::{
    faults::{WebhookFaults, within},
    webhooks::Deliveries,
};

/// The most events that are late at once; what is more is lost.
const MOST_LATE: usize = 100_000;

#[derive(Debug)]
pub(super) struct Outlet {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    deliveries: Option<Deliveries>,
    state: Mutex<State>,
    late: AtomicUsize,
}

#[derive(Debug)]
struct State {
    listeners: Vec<mpsc::Sender<Arc<WebhookEvent>>>,
    faults: WebhookFaults,
    /// Goes after the next one.
    held: Option<Arc<WebhookEvent>>,
    chance: fastrand::Rng,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn emit(&self, state: &mut State, event: &Arc<WebhookEvent>) {
        if let Some(deliveries) = &self.deliveries {
            deliveries.send(event);
        }
        // A listener that is full loses the event, as a full queue of webhooks does.
        state.listeners.retain(|listener| {
            !matches!(listener.try_send(Arc::clone(event)), Err(mpsc::error::TrySendError::Closed(_)))
        });
    }
}

impl Outlet {
    pub(super) fn new(deliveries: Option<Deliveries>, seed: u64) -> Self {
        let chance = fastrand::Rng::with_seed(seed);
        let state = State { listeners: Vec::new(), faults: WebhookFaults::default(), held: None, chance };
        Self { shared: Arc::new(Shared { deliveries, state: Mutex::new(state), late: AtomicUsize::new(0) }) }
    }

    pub(super) fn deliveries(&self) -> Option<&Deliveries> {
        self.shared.deliveries.as_ref()
    }

    pub(super) fn listen(&self, depth: usize) -> mpsc::Receiver<Arc<WebhookEvent>> {
        let (sender, receiver) = mpsc::channel(depth.max(1));
        self.shared.state().listeners.push(sender);
        receiver
    }

    pub(super) fn set_faults(&self, faults: WebhookFaults) {
        let mut state = self.shared.state();
        state.faults = faults;
        if let Some(held) = state.held.take() {
            self.shared.emit(&mut state, &held);
        }
    }

    pub(super) fn send(&self, event: WebhookEvent) {
        let event = Arc::new(event);
        let mut state = self.shared.state();
        let WebhookFaults { lost, doubled, late, delay, swapped } = state.faults.clone();
        let [lost, doubled, late, swapped] =
            [lost, doubled, late, swapped].map(|chance| chance > 0.0 && state.chance.f64() < chance);
        if lost {
            return;
        }
        if late {
            let delay = within(&delay, &mut state.chance);
            self.send_later(event, delay);
            return;
        }
        if swapped && state.held.is_none() {
            state.held = Some(event);
            return;
        }
        self.shared.emit(&mut state, &event);
        if doubled {
            self.shared.emit(&mut state, &event);
        }
        if let Some(held) = state.held.take() {
            self.shared.emit(&mut state, &held);
        }
    }

    fn send_later(&self, event: Arc<WebhookEvent>, delay: std::time::Duration) {
        if self.shared.late.fetch_add(1, Ordering::Relaxed) >= MOST_LATE {
            self.shared.late.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        // Those who still wait do not keep what they would go out by.
        let shared = Arc::downgrade(&self.shared);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let Some(shared) = shared.upgrade() else { return };
            shared.late.fetch_sub(1, Ordering::Relaxed);
            shared.emit(&mut shared.state(), &event);
        });
    }
}
