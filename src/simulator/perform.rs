//! Calls of the RoomService, with what goes wrong on the way.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use super::{
    Method, Moment, Simulator,
    faults::{Effect, Plight},
    service::{self, Answer, Call, Caller, Outcome, Refusal},
};

/// What came of a call, faults included.
#[derive(Clone, Debug, PartialEq)]
pub enum Performed {
    /// The service's answer.
    Answered(Result<Answer, Refusal>),
    /// A bare status, as by a proxy.
    Status {
        /// The status.
        status: u16,
        /// The header Retry-After, in seconds.
        retry_after: Option<u32>,
    },
    /// No answer: the connection was cut.
    Cut,
}

/// A call that was performed, without what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// When it was answered, or was to be.
    pub at: Instant,
    /// Its method.
    pub method: Method,
    /// The room it is about.
    pub room: Option<String>,
    /// The participant it is about.
    pub identity: Option<String>,
    /// Whether it was done as asked, and answered.
    pub done: bool,
    /// How long the participant had been there by then, if it was.
    pub since_join: Option<Duration>,
}

/// Who is told of calls.
#[derive(Debug, Default)]
pub(super) struct Audience(Mutex<Vec<mpsc::Sender<Served>>>);

impl Audience {
    fn listeners(&self) -> MutexGuard<'_, Vec<mpsc::Sender<Served>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, served: &Served) {
        self.listeners()
            .retain(|listener| !matches!(listener.try_send(served.clone()), Err(mpsc::error::TrySendError::Closed(_))));
    }
}

impl Simulator {
    /// The calls from now on, of which as many wait as `depth` says; further ones are not told.
    #[must_use]
    pub fn calls(&self, depth: usize) -> mpsc::Receiver<Served> {
        let (sender, receiver) = mpsc::channel(depth.max(1));
        self.shared.audience.listeners().push(sender);
        receiver
    }

    /// Performs a call of the RoomService. `timeout` is what the caller's `X-Twirp-Timeout-Ms` says.
    pub async fn perform(&self, caller: &Caller, call: Call, timeout: Option<Duration>) -> Performed {
        let Plight { before, after, effect } = {
            let mut faults = self.faults();
            let (faults, chance) = &mut *faults;
            faults.plight(&call, chance)
        };
        pause(before).await;
        let noted = self.note(&call);
        let listing = match &call {
            Call::ListRooms(_) => Some(None),
            Call::ListParticipants(request) => Some(Some(request.room.clone())),
            _ => None,
        };
        let performed = match (effect, listing) {
            (Some(Effect::Refused(refusal)), _) => Performed::Answered(Err(refusal)),
            (Some(Effect::Status { status, retry_after }), _) => Performed::Status { status, retry_after },
            (Some(Effect::Hangs), _) => std::future::pending().await,
            (Some(Effect::Cut { acted_upon }), _) => {
                if acted_upon {
                    self.answer(caller, call, timeout).await.ok();
                }
                Performed::Cut
            }
            (Some(Effect::StaleListing), Some(of)) => {
                let answer = self.answer(caller, call, timeout).await;
                Performed::Answered(answer.map(|answer| self.faults().0.remember(of, answer)))
            }
            _ => Performed::Answered(self.answer(caller, call, timeout).await),
        };
        if let Some((served, joined)) = noted {
            let done = matches!(performed, Performed::Answered(Ok(_)));
            let since_join = joined.map(|joined| self.now().since(joined));
            self.shared.audience.tell(&Served { at: Instant::now(), done, since_join, ..served });
        }
        pause(after).await;
        performed
    }

    /// What is to be told of a call, if anybody listens, and when the participant had joined.
    fn note(&self, call: &Call) -> Option<(Served, Option<Moment>)> {
        if self.shared.audience.listeners().is_empty() {
            return None;
        }
        let (room, identity) = (call.room(), call.identity());
        let joined = room.zip(identity).and_then(|(room, identity)| self.act(|model, _| model.joined(room, identity)));
        let served = Served {
            at: Instant::now(),
            method: call.method(),
            room: room.map(ToOwned::to_owned),
            identity: identity.map(ToOwned::to_owned),
            done: false,
            since_join: None,
        };
        Some((served, joined))
    }

    async fn answer(&self, caller: &Caller, call: Call, timeout: Option<Duration>) -> Result<Answer, Refusal> {
        let options = self.options();
        match self.act(|model, now| service::answer(model, options, caller, call, now)) {
            Outcome::Now(answer) => answer,
            Outcome::Nobody => {
                let wait = service::NO_RESPONSE.mul_f64(options.delay_factor.max(0.0));
                let canceled = timeout.is_some_and(|timeout| timeout < wait);
                pause(timeout.map_or(wait, |timeout| timeout.min(wait))).await;
                let refusal = if canceled { service::canceled } else { service::no_response };
                Err(refusal(options.edition))
            }
        }
    }
}

async fn pause(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}
