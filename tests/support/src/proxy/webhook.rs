//! Between livekit-server's webhooks and the operator.

use super::Call;
use super::engine::Engine;
use super::fault::{Fault, Rule};
use crate::net::{Reply, request};
use http::Method;
use serde_json::Value;
use std::panic::Location;
use std::time::Duration;

/// A webhook that came by.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// `participant_joined`, `track_published`, …
    pub event: String,
    /// The name of the room.
    pub room: String,
    /// Who it is about; empty when about nobody.
    pub identity: String,
    /// The whole of it, with names in camel case and without defaults.
    pub json: Value,
    /// The request.
    pub call: Call,
}

impl Webhook {
    fn of(call: &Call) -> Self {
        let json: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            event: text("/event"),
            room: text("/room/name"),
            identity: text("/participant/identity"),
            call: call.clone(),
            json,
        }
    }
}

/// Stands between a livekit-server and the operator, and can keep webhooks back, delay, double or alter them.
///
/// The server must know its URL before it starts, and the operator may start later than both: give it its target then
/// by [`Self::set_target`]. Until then no webhook gets an answer, as when the operator does not run.
#[derive(Debug)]
pub struct WebhookRelay {
    engine: Engine,
}

impl WebhookRelay {
    /// Starts one without a target.
    pub fn start() -> Self {
        Self { engine: Engine::start(None) }
    }

    /// Its own URL with a path, for [`crate::LiveKitOptions::webhook_urls`]. The path is kept on the way.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.engine.url())
    }

    /// Where webhooks go on to: a URL without a path, such as `operator.http_url()`.
    pub fn set_target(&self, target: &str) {
        self.engine.set_target(target);
    }

    /// Lets webhooks through, unchanged, from now on.
    pub fn on(&self) {
        self.engine.clear_rules();
    }

    /// Closes connections without an answer from now on. The server tries again for a while, so a webhook may still
    /// arrive when this ends soon.
    pub fn off(&self) {
        self.only("*", Fault::Refuse);
    }

    /// Takes webhooks, says 200 and sends nothing on from now on: they are lost for good.
    pub fn swallow(&self) {
        self.only("*", Fault::reply(200, ""));
    }

    /// Lets all webhooks of an event (`*`: of any) suffer a fault from now on, and ends other faults.
    pub fn only(&self, event: &str, fault: Fault) {
        self.on();
        self.fault_when(None, event, fault);
    }

    /// Lets the next `times` webhooks of an event suffer a fault.
    pub fn fault_times(&self, times: usize, event: &str, fault: Fault) {
        self.fault_when(Some(times), event, fault);
    }

    fn fault_when(&self, times: Option<usize>, event: &str, fault: Fault) {
        let event = event.to_owned();
        let when = move |call: &Call| event == "*" || Webhook::of(call).event == event;
        self.engine.add_rule(Rule { when: Box::new(when), times, fault });
    }

    /// All webhooks so far, in the order of their arrival, also those that were not let through.
    pub fn webhooks(&self) -> Vec<Webhook> {
        self.engine.calls().iter().map(Webhook::of).collect()
    }

    /// Forgets the webhooks so far.
    pub fn clear(&self) {
        self.engine.clear();
    }

    /// Waits until a webhook has come that is wanted, and returns the first.
    #[track_caller]
    pub fn wait_for(&self, timeout: Duration, wanted: impl Fn(&Webhook) -> bool) -> impl Future<Output = Webhook> {
        let caller = Location::caller();
        async move {
            let look = |calls: &[Call]| calls.iter().map(Webhook::of).find(|webhook| wanted(webhook));
            match tokio::time::timeout(timeout, self.engine.wait(look)).await {
                Ok(webhook) => webhook,
                Err(_) => {
                    let seen: Vec<String> =
                        self.webhooks().into_iter().map(|w| format!("{} {} {}", w.event, w.room, w.identity)).collect();
                    panic!("waited {timeout:?} for a webhook, at {caller}. There were {seen:#?}")
                }
            }
        }
    }

    /// Sends a webhook to the target again, as it came.
    pub async fn resend(&self, webhook: &Webhook) -> Reply {
        let Webhook { call, .. } = webhook;
        let target = self.engine.target().expect("the relay has a target");
        let mut headers = call.headers.clone();
        headers.remove(http::header::CONTENT_LENGTH);
        let url = format!("{target}{}", call.path);
        let reply = request(Method::POST, &url, headers, call.body.clone()).await;
        reply.unwrap_or_else(|error| panic!("{url}: {error}"))
    }
}
