//! Between the operator and livekit-server's API.

use super::Call;
use super::engine::Engine;
use super::fault::{Fault, Rule};
use http::header::CONTENT_TYPE;
use std::collections::BTreeMap;
use std::panic::Location;
use std::time::Duration;

/// Stands in front of a livekit-server and records the requests to its API, such as `UpdateParticipant`.
///
/// It passes HTTP/1.1 without upgrades: participants join at the server itself.
#[derive(Debug)]
pub struct RecordingProxy {
    engine: Engine,
}

impl RecordingProxy {
    /// Starts one in front of a URL, such as `livekit.url()`.
    pub fn start(target: impl Into<String>) -> Self {
        Self { engine: Engine::start(Some(target.into())) }
    }

    /// Its own URL.
    pub fn url(&self) -> String {
        self.engine.url()
    }

    /// Stands in front of another URL from now on.
    pub fn set_target(&self, target: &str) {
        self.engine.set_target(target);
    }

    /// All requests so far, in the order of their arrival, but for [`Self::pings`].
    pub fn calls(&self) -> Vec<Call> {
        self.engine.calls().into_iter().filter(|call| !is_ping(call)).collect()
    }

    /// The requests by which the operator sees whether a server of which it hears nothing still answers. Apart, for they
    /// come whenever a test is silent for some seconds.
    pub fn pings(&self) -> Vec<Call> {
        self.engine.calls().into_iter().filter(is_ping).collect()
    }

    /// The requests of one method.
    pub fn calls_of(&self, method: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.method == method).collect()
    }

    /// How many requests of one method there were.
    pub fn count(&self, method: &str) -> usize {
        self.calls_of(method).len()
    }

    /// How many requests there were of each method: what a test compares as a whole.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in self.calls() {
            *counts.entry(call.method).or_insert(0) += 1;
        }
        counts
    }

    /// The requests that change something: all but `List…` and `Get…`.
    pub fn writes(&self) -> Vec<Call> {
        let reads = |call: &Call| call.method.starts_with("List") || call.method.starts_with("Get");
        self.calls().into_iter().filter(|call| !reads(call)).collect()
    }

    /// Forgets the requests so far.
    pub fn clear(&self) {
        self.engine.clear();
    }

    /// Waits until there have been at least `count` requests of a method, and returns them.
    #[track_caller]
    pub fn wait_for(&self, method: &str, count: usize, timeout: Duration) -> impl Future<Output = Vec<Call>> {
        let caller = Location::caller();
        let method = method.to_owned();
        async move {
            let look = |calls: &[Call]| {
                let of_it = calls.iter().filter(|call| call.method == method && !is_ping(call));
                let of_it: Vec<Call> = of_it.cloned().collect();
                (of_it.len() >= count).then_some(of_it)
            };
            match tokio::time::timeout(timeout, self.engine.wait(look)).await {
                Ok(calls) => calls,
                Err(_) => {
                    let counts = self.counts();
                    panic!("waited {timeout:?} for {count} calls of {method}, at {caller}. There were {counts:?}")
                }
            }
        }
    }

    /// Lets every request of a method suffer a fault from now on; `*` stands for any method. Earlier faults have
    /// precedence.
    pub fn fault(&self, method: &str, fault: Fault) {
        self.fault_when(None, named(method), fault);
    }

    /// Lets the next `times` requests of a method suffer a fault.
    pub fn fault_times(&self, times: usize, method: &str, fault: Fault) {
        self.fault_when(Some(times), named(method), fault);
    }

    /// Lets requests suffer a fault that `when` picks, at most `times` of them.
    pub fn fault_when(&self, times: Option<usize>, when: impl Fn(&Call) -> bool + Send + 'static, fault: Fault) {
        self.engine.add_rule(Rule { when: Box::new(when), times, fault });
    }

    /// Ends all faults. What hangs or waits already is not released.
    pub fn clear_faults(&self) {
        self.engine.clear_rules();
    }
}

/// Rooms of some name are asked for by nobody else: the message for all rooms is empty.
fn is_ping(call: &Call) -> bool {
    let is_protobuf = call.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/protobuf");
    call.method == "ListRooms" && is_protobuf && !call.body.is_empty()
}

fn named(method: &str) -> impl Fn(&Call) -> bool + Send + 'static {
    let method = method.to_owned();
    move |call| method == "*" || call.method == method
}
