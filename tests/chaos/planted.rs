//! The judge of the schedules, judged: each rule of safety is broken once, as an engine with a bug would do it.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use serde_json::json;
use usher::{
    api::Source,
    engine::{Limits, Rate, RoomService},
    policy::{Permission, Sources, Update},
    simulator::{Effect, Fault, Join},
};

use crate::{
    declared::{Bringing, Objects},
    stage::Stage,
    witness::Witness,
};

/// A server with ann and a troll in the hall, and somebody who calls it as an engine would.
struct Culprit {
    stage: Stage,
    calls: Witness,
}

impl Culprit {
    /// One that knows these rules, and has listed the hall.
    async fn under(rules: serde_json::Value) -> Self {
        let culprit = Self::before_objects(rules);
        culprit.know();
        culprit.list("hall").await;
        culprit
    }

    fn before_objects(rules: serde_json::Value) -> Self {
        let source = json!({"rooms": [{"exact": "hall"}]});
        let forward = json!({"serverRef": {"name": "main"}, "source": source, "destinationRooms": ["overflow"]});
        let objects = Objects { forwards: vec![Bringing::forward("f", &forward)], ..Objects::of_rules(rules) };
        let stage = Stage::new(0, |_| objects, false);
        for identity in ["ann", "troll"] {
            stage.simulator().join(Join::new("hall", identity)).unwrap();
        }
        let calls = Witness::new(Arc::clone(&stage.shared));
        Self { stage, calls }
    }

    fn know(&self) {
        self.stage.shared.ledger().show(Arc::new(self.stage.objects.clone()));
    }

    async fn list(&self, room: &str) {
        self.calls.participants(room).await.unwrap();
    }

    async fn permit(&self, identity: &str, permission: Permission) {
        let update = Update { permission: Some(permission), ..Update::default() };
        let _ = self.calls.update("hall", identity, &update).await;
    }

    fn is_innocent(&self) {
        assert_eq!(self.stage.shared.ledger().broken, None);
    }

    fn is_caught(&self, because: &str) {
        let broken = self.stage.shared.ledger().broken.clone();
        assert!(broken.as_ref().is_some_and(|broken| broken.contains(because)), "{broken:?} is not: {because}");
    }
}

fn no_troll() -> serde_json::Value {
    json!([{"name": "ban", "match": {"identities": [{"exact": "troll"}]}, "remove": {}}])
}

fn quiet() -> serde_json::Value {
    json!([{"name": "quiet", "set": {"permission": {"canPublish": false}}}])
}

fn listener() -> Permission {
    Permission { can_subscribe: true, can_publish_data: true, ..Permission::default() }
}

async fn wait(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_acts_before_it_knows_the_objects() {
    let culprit = Culprit::before_objects(quiet());
    let _ = culprit.calls.rooms().await;
    culprit.is_caught("before any object was known");
}

#[tokio::test(start_paused = true)]
async fn whoever_removes_somebody_whom_no_rule_removes() {
    let culprit = Culprit::under(no_troll()).await;
    let _ = culprit.calls.remove("hall", "ann", true).await;
    culprit.is_caught("a removal that no rule wants");
}

#[tokio::test(start_paused = true)]
async fn whoever_removes_twice_within_a_second() {
    let culprit = Culprit::under(no_troll()).await;
    culprit.calls.remove("hall", "troll", false).await.unwrap();
    culprit.is_innocent();
    culprit.stage.simulator().join(Join::new("hall", "troll")).unwrap();
    wait(900).await;
    culprit.list("hall").await;
    let _ = culprit.calls.remove("hall", "troll", false).await;
    culprit.is_caught("a second removal within a second");
}

#[tokio::test(start_paused = true)]
async fn whoever_acts_on_an_old_look() {
    let culprit = Culprit::under(quiet()).await;
    wait(1900).await;
    culprit.permit("ann", listener()).await;
    culprit.is_innocent();
    wait(2100).await;
    culprit.permit("troll", listener()).await;
    culprit.is_caught("a permission without a fresh look");
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_more_than_is_declared() {
    let culprit = Culprit::under(quiet()).await;
    culprit.permit("ann", Permission { can_subscribe: false, ..listener() }).await;
    culprit.is_caught("does not follow from any fresh look");
}

#[tokio::test(start_paused = true)]
async fn whoever_opens_more_than_is_declared() {
    let culprit =
        Culprit::under(json!([{"name": "one", "set": {"permission": {"canPublishSources": ["Camera"]}}}])).await;
    let sources = Sources::of(Source::Camera).with(Sources::of(Source::Microphone));
    culprit.permit("ann", Permission { can_publish: true, sources, ..listener() }).await;
    culprit.is_caught("does not follow from any fresh look");
}

#[tokio::test(start_paused = true)]
async fn whoever_changes_what_is_so_already() {
    let culprit = Culprit::under(json!([{"name": "seat", "set": {"attributes": {"seat": "front"}}}])).await;
    let update = Update { attributes: vec![("seat".into(), Some("front".into()))], ..Update::default() };
    culprit.calls.update("hall", "ann", &update).await.unwrap();
    culprit.is_innocent();
    wait(60_000).await;
    for _ in 0..30 {
        culprit.list("hall").await;
    }
    let _ = culprit.calls.update("hall", "ann", &update).await;
    culprit.is_caught("or it is so");
}

#[tokio::test(start_paused = true)]
async fn whoever_mutes_what_may_be_heard() {
    let culprit = Culprit::under(quiet()).await;
    let _ = culprit.calls.mute("hall", "ann", "TR_1", true).await;
    culprit.is_caught("no rule wants that");
}

#[tokio::test(start_paused = true)]
async fn whoever_ends_a_copy_because_a_listing_shows_nobody() {
    let culprit = Culprit::under(quiet()).await;
    culprit.calls.forward("hall", "ann", "overflow").await.unwrap();
    culprit.is_innocent();
    culprit.list("overflow").await;
    let _ = culprit.calls.remove("overflow", "ann", false).await;
    culprit.is_caught("the end of a copy that is wanted from hall");
}

#[tokio::test(start_paused = true)]
async fn whoever_brings_somebody_where_nothing_wants_them() {
    let culprit = Culprit::under(quiet()).await;
    let _ = culprit.calls.forward("hall", "ann", "lobby").await;
    culprit.is_caught("nothing that was told lately makes it wanted");
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_before_the_server_wants_it() {
    for status in [429, 503] {
        let culprit = Culprit::under(quiet()).await;
        let limited = Effect::Status { status, retry_after: Some(3) };
        culprit.stage.simulator().add_fault(Fault::always(limited).times(1));
        let _ = culprit.calls.rooms().await;
        culprit.is_innocent();
        wait(2900).await;
        let _ = culprit.calls.rooms().await;
        culprit.is_caught("before the server wants to be asked again");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_more_than_the_budget_allows() {
    let mut culprit = Culprit::before_objects(quiet());
    let number = |number| NonZeroU32::new(number).unwrap();
    let rate = Some(Rate { per_second: number(5), burst: number(10) });
    culprit.stage.objects.limits = Limits { rate, max_in_flight: 32 };
    culprit.know();
    for _ in 0..10 {
        culprit.calls.rooms().await.unwrap();
    }
    culprit.is_innocent();
    culprit.calls.rooms().await.unwrap();
    culprit.is_caught("over the budget");
}

#[tokio::test(start_paused = true)]
async fn whoever_works_on_a_suspended_server() {
    let mut culprit = Culprit::before_objects(quiet());
    culprit.stage.objects.suspended = true;
    culprit.know();
    let _ = culprit.calls.rooms().await;
    culprit.is_caught("sent to a suspended server");
}
