//! Two replicas. As a Service does, the relay leads each webhook to one of them: here to the one that follows, unless a
//! test says otherwise.

use std::{ops::Deref, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};
use usher_testkit::{Cluster, Info, Operator, OperatorOptions, Participant, TokenSpec, eventually};

use crate::stage::{A_WHILE, QUIET, SOON, Scene, Stage, condition, replica};

const SEATED: &str = "
- name: seated
  set:
    attributes: {seat: back}";

struct Pair {
    stage: Stage,
    follower: Operator,
}

impl Deref for Pair {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

fn is_quiet(info: &Info) -> bool {
    !info.permission.can_publish
}

fn is_seated(info: &Info) -> bool {
    info.attributes.get("seat").is_some_and(|seat| seat == "back")
}

async fn leads(operator: &Operator) -> bool {
    operator.metric("usher_leader").await == Some(1.0)
}

#[track_caller]
fn until_leads(operator: &Operator, within: Duration) -> impl Future<Output = ()> {
    eventually(within, "it leads", async || if leads(operator).await { Ok(()) } else { Err("it follows") })
}

impl Pair {
    /// The operator of the stage leads, another one follows and gets the webhooks.
    async fn with(scene: Scene) -> Self {
        let stage = Stage::with(Scene { replicated: true, ..scene }).await;
        until_leads(&stage.operator, SOON).await;
        let options = OperatorOptions::new(env!("CARGO_BIN_EXE_usher"), &stage.kubeconfig);
        let follower = Operator::start(replica(options.namespace(&stage.namespace), &stage.namespace)).await;
        assert!(!leads(&follower).await && leads(&stage.operator).await);
        stage.relay.set_target(&follower.http_url());
        Self { stage, follower }
    }

    async fn resyncing() -> Self {
        Self::with(Scene { resync_interval: Some("5s"), ..Scene::default() }).await
    }

    async fn guest(&self, identity: &str, wanted: fn(&Info) -> bool) -> Participant {
        let guest = self.join(&TokenSpec::new("hall-1", identity)).await;
        guest.wait_for(SOON, wanted).await;
        guest
    }

    /// A version of each of our objects: it changes with each write.
    async fn versions(&self) -> Vec<Value> {
        let mut versions = Vec::new();
        for (kind, name) in [("livekitserver", "main"), ("roompolicy", "house")] {
            versions.push(self.get(kind, name).await["metadata"]["resourceVersion"].clone());
        }
        versions
    }

    /// What our objects say: it changes, the times in it too, when they say something else for a moment.
    async fn conditions(&self) -> Vec<Value> {
        let mut conditions = Vec::new();
        for (kind, name) in [("livekitserver", "main"), ("roompolicy", "house")] {
            conditions.push(self.get(kind, name).await["status"]["conditions"].take());
        }
        conditions
    }

    /// Waits until the counts of a policy are written and none is to follow.
    async fn settle(&self, participants: u64) {
        self.wait_summary("house", participants, participants).await;
        sleep(Duration::from_secs(6)).await;
    }
}

#[tokio::test]
async fn a_killed_holder_delays_no_join_and_the_other_goes_on() {
    let pair = Pair::resyncing().await;
    pair.policy("house", "hall-", QUIET).await;
    let _anna = pair.guest("anna", is_quiet).await;
    pair.settle(1).await;
    let before = pair.conditions().await;

    pair.operator.kill().await;
    let bound = Instant::now() + Duration::from_secs(20);
    let mut guests = Vec::new();
    for number in 0..5 {
        guests.push(pair.guest(&format!("guest-{number}"), is_quiet).await);
    }
    let lease = pair.get("lease", "usher").await;
    assert_eq!(lease["spec"]["leaseTransitions"], 0, "the dead one still held it: {lease:#}");
    // Only a resync finds whom no webhook tells of.
    pair.relay.swallow();
    let lost = pair.join(&TokenSpec::new("hall-2", "lost")).await;
    lost.wait_for(bound.duration_since(Instant::now()), is_quiet).await;
    pair.relay.on();
    until_leads(&pair.follower, SOON).await;

    // Status goes on as well, and nothing was said of the change of the holder.
    pair.policy("other", "elsewhere-", SEATED).await;
    pair.wait_summary("house", 7, 7).await;
    assert_eq!(pair.conditions().await, before);
    let lease = pair.get("lease", "usher").await;
    assert_eq!(lease["spec"]["leaseTransitions"], 1, "{lease:#}");
}

#[tokio::test]
async fn sigterm_hands_over_within_three_seconds_and_status_tells_nothing_of_it() {
    let pair = Pair::resyncing().await;
    pair.policy("house", "hall-", QUIET).await;
    let anna = pair.guest("anna", is_quiet).await;
    pair.settle(1).await;
    let (before, status) = (pair.versions().await, pair.get("roompolicy", "house").await["status"].take());

    let terminate = pair.operator.terminate(Duration::from_secs(10));
    let (status_of_exit, ()) = tokio::join!(terminate, until_leads(&pair.follower, Duration::from_secs(3)));
    let ended = status_of_exit.expect("it ends in time");
    assert!(ended.success(), "{ended}\n{}", pair.operator.log());

    let resynced = pair.proxy.count("ListRooms");
    pair.proxy.wait_for("ListRooms", resynced + 2, Duration::from_secs(20)).await;
    assert_eq!(pair.versions().await, before, "{status:#}\n{:#}", pair.get("roompolicy", "house").await["status"]);
    assert!(is_quiet(&anna.info()));

    // The one that ended comes back and follows.
    pair.operator.start().await;
    sleep(A_WHILE).await;
    assert!(leads(&pair.follower).await && !leads(&pair.operator).await);
    let log = pair.operator.log();
    for line in ["leading: ", "the lease is given back", "\"following\""] {
        assert_eq!(log.matches(line).count(), 1, "{line} in {log}");
    }
}

#[tokio::test]
async fn a_holder_that_was_frozen_does_no_harm() {
    let pair = Pair::resyncing().await;
    pair.policy("house", "hall-", QUIET).await;
    let anna = pair.guest("anna", is_quiet).await;
    pair.settle(1).await;

    pair.operator.freeze();
    let thaw = Instant::now() + Duration::from_secs(30);
    until_leads(&pair.follower, Duration::from_secs(20)).await;
    pair.policy("house", "hall-", SEATED).await;
    anna.wait_for(SOON, is_seated).await;
    // What the first policy took is given back by a person. Whoever knows that policy alone would take it again.
    let given = json!({"permission": {"can_subscribe": true, "can_publish": true, "can_publish_data": true}});
    pair.livekit.update_participant("hall-1", "anna", given).await;
    anna.wait_for(SOON, |info| info.permission.can_publish).await;
    let bert = pair.guest("bert", is_seated).await;
    pair.wait_summary("house", 2, 2).await;
    sleep_until(thaw - Duration::from_secs(2)).await;
    // This webhook waits at the door of the frozen one.
    pair.relay.set_target(&pair.operator.http_url());
    let carl = pair.join(&TokenSpec::new("hall-1", "carl")).await;
    sleep_until(thaw).await;
    let seen = pair.get("roompolicy", "house").await;
    pair.operator.thaw();

    carl.wait_for(SOON, is_seated).await;
    for guest in [&anna, &bert, &carl] {
        guest.assert_unchanged_for(Duration::from_secs(4)).await;
        assert!(guest.permission().can_publish, "{}", guest.history());
    }
    let history = carl.history().to_string();
    assert!(leads(&pair.follower).await && !leads(&pair.operator).await, "{}", pair.operator.log());
    let now = pair.get("roompolicy", "house").await;
    assert_eq!(condition(&now, "Ready"), condition(&seen, "Ready"), "{now:#}");
    assert_eq!(now["status"]["observedGeneration"], 2);
    assert_eq!(pair.operator.log().matches("leading no more").count(), 1, "{}\n{history}", pair.operator.log());
    // It enforces what it is told, by the policy of today.
    pair.guest("dora", is_seated).await;
}

#[tokio::test]
async fn a_policy_reaches_those_whom_only_the_follower_heard_of() {
    let pair = Pair::with(Scene::default()).await;
    pair.policy("house", "hall-", SEATED).await;
    let anna = pair.guest("anna", is_seated).await;
    assert!(!is_quiet(&anna.info()));
    pair.policy("house", "hall-", QUIET).await;
    anna.wait_for(SOON, is_quiet).await;
    pair.wait_summary("house", 1, 1).await;
}

#[tokio::test]
async fn the_lease_is_in_the_namespace_of_the_kubeconfig_unless_told_otherwise() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("lease").await;
    let mut options = OperatorOptions::new(env!("CARGO_BIN_EXE_usher"), cluster.kubeconfig()).namespace(&namespace);
    options.leader_elect = true;
    let operator =
        Operator::start(options.args([&format!("--lease-name={namespace}")]).env("POD_NAME", "usher-0")).await;
    until_leads(&operator, SOON).await;
    let holder = ["get", "lease", &namespace, "-n", "default", "-o", "jsonpath={.spec.holderIdentity}"];
    let holder = cluster.kubectl(&holder, None).await.ok();
    assert!(holder.starts_with("usher-0_"), "{holder}");
    operator.restart().await;
    assert!(!leads(&operator).await, "whoever was killed may still be there, for all that anybody knows");
}

#[tokio::test]
async fn without_an_api_server_nobody_leads_and_joins_are_enforced_by_both() {
    let scene = Scene { resync_interval: Some("5s"), own_cluster: true, ..Scene::default() };
    let pair = Pair::with(scene).await;
    pair.policy("house", "hall-", QUIET).await;
    let _anna = pair.guest("anna", is_quiet).await;
    // Its connections stay open and say nothing, which is worse than none.
    pair.stage.cluster.api_server().freeze();
    eventually(Duration::from_secs(20), "nobody leads", async || {
        if leads(&pair.operator).await || leads(&pair.follower).await { Err("somebody leads") } else { Ok(()) }
    })
    .await;
    for (number, replica) in [&pair.operator, &pair.follower, &pair.operator, &pair.follower].iter().enumerate() {
        pair.relay.set_target(&replica.http_url());
        pair.guest(&format!("guest-{number}"), is_quiet).await;
    }
    pair.proxy.clear();
    sleep(Duration::from_secs(8)).await;
    assert_eq!(pair.proxy.count("ListRooms"), 0, "who does not lead does not resync");
    assert_eq!(pair.proxy.pings().len(), 0, "nor does it ask whether the server answers");

    pair.stage.cluster.api_server().thaw();
    eventually(Duration::from_secs(30), "one leads", async || {
        let leaders = (leads(&pair.operator).await, leads(&pair.follower).await);
        if leaders.0 != leaders.1 { Ok(()) } else { Err(format!("{leaders:?}")) }
    })
    .await;
    pair.policy("house", "hall-", SEATED).await;
    pair.guest("late", is_seated).await;
}

#[tokio::test]
async fn at_rest_two_replicas_write_nothing_but_the_lease() {
    let scene = Scene { resync_interval: Some("5s"), own_cluster: true, ..Scene::default() };
    let pair = Pair::with(scene).await;
    pair.policy("house", "hall-", QUIET).await;
    let _anna = pair.guest("anna", is_quiet).await;
    pair.settle(1).await;
    pair.proxy.clear();
    let from = pair.stage.cluster.audit_log().len();
    sleep(Duration::from_secs(35)).await;
    let requests = pair.stage.cluster.audit_log().split_off(from);
    let text = |request: &Value, pointer: &str| request.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let writes = requests.iter().filter(|request| {
        let verb = text(request, "/verb").unwrap_or_default();
        let namespace = text(request, "/objectRef/namespace").unwrap_or_default();
        namespace == pair.namespace && !["get", "list", "watch"].contains(&verb.as_str())
    });
    let resources: Vec<_> = writes.map(|request| text(request, "/objectRef/resource").unwrap_or_default()).collect();
    assert!(resources.iter().all(|resource| resource == "leases"), "{resources:?}");
    assert!((14..=19).contains(&resources.len()), "{} renewals", resources.len());
    let counts = pair.proxy.counts();
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["ListParticipants", "ListRooms"], "{counts:?}");
    assert!(counts["ListRooms"] <= 9, "one of them lists: {counts:?}");
}
