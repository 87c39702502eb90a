//! What the operator does when nothing happens, and when the server comes back.

use std::time::Duration;

use futures::{StreamExt, stream};
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::json;
use usher::api::RoomPolicy;
use usher_testkit::{TokenSpec, eventually};

use crate::stage::{AGAIN, SOON, Scene, Stage};

const QUIET: &str = "
- name: quiet
  set:
    permission: {canPublish: false}
    attributes: {seat: back}";

#[tokio::test]
async fn at_rest_ten_resyncs_write_nothing_and_only_list() {
    let stage = Stage::with(Scene { resync_interval: Some("5s"), ..Default::default() }).await;
    stage.policy("quiet", "hall-", QUIET).await;
    stage.policy("empty", "nowhere-", QUIET).await;
    let mut guests = Vec::new();
    for (room, identity) in [("hall-1", "anna"), ("hall-1", "bert"), ("hall-2", "carl")] {
        let guest = stage.join(&TokenSpec::new(room, identity)).await;
        guest.wait_for(SOON, |info| !info.permission.can_publish).await;
        guests.push(guest);
    }
    // Counts come at most every 30 s.
    stage.wait_summary("quiet", 3, 3).await;
    wait_numbers(&stage, [2, 3, 2]).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let state = async || {
        let mut objects = Vec::new();
        for (kind, name) in [("roompolicy", "quiet"), ("roompolicy", "empty"), ("livekitserver", "main")] {
            let object = stage.get(kind, name).await;
            objects.push((object["metadata"]["resourceVersion"].clone(), object["status"].clone()));
        }
        (objects, stage.operator.metric("usher_status_writes_total").await)
    };
    let before = state().await;
    stage.proxy.clear();
    stage.proxy.wait_for("ListRooms", 10, Duration::from_secs(70)).await;
    let counts = stage.proxy.counts();
    assert!(counts["ListParticipants"] >= 16, "{counts:?}");
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["ListParticipants", "ListRooms"], "{counts:?}");
    assert_eq!(state().await, before, "{}", stage.operator.log());
    assert_eq!(guests.len(), 3);
}

/// Waits for the server's rooms, participants and policies.
async fn wait_numbers(stage: &Stage, numbers: [usize; 3]) {
    eventually(AGAIN, "the server's numbers", async || {
        let status = stage.get("livekitserver", "main").await["status"].take();
        let told = ["rooms", "participants", "policies"].map(|name| status[name].as_u64());
        if told == numbers.map(|number| Some(number as u64)) { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
}

fn is_ready(policy: &RoomPolicy) -> bool {
    let conditions = policy.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
}

/// Some that match, and very many that match nobody.
#[tokio::test]
async fn at_rest_a_thousand_policies_are_written_no_more() {
    const POLICIES: usize = 1000;
    let stage = Stage::with(Scene { resync_interval: Some("5s"), ..Default::default() }).await;
    let policies: Api<RoomPolicy> = Api::namespaced(stage.cluster.client().await, &stage.namespace);
    stream::iter(0..POLICIES)
        .for_each_concurrent(16, |number| {
            let policies = &policies;
            async move {
                let object = serde_json::from_value(json!({
                    "metadata": {"name": format!("p{number:04}")},
                    "spec": {
                        "serverRef": {"name": "main"},
                        "rooms": [{"prefix": format!("hall-{number:04}")}],
                        "rules": [{"name": "quiet", "set": {"permission": {"canPublish": false}}}],
                    },
                }));
                policies.create(&Default::default(), &object.unwrap()).await.unwrap();
            }
        })
        .await;
    let mut guests = Vec::new();
    for number in 0..3 {
        let guest = stage.join(&TokenSpec::new(&format!("hall-{number:04}"), "anna")).await;
        guest.wait_for(AGAIN, |info| !info.permission.can_publish).await;
        guests.push(guest);
    }
    // kubectl wait takes a tenth of a second for each.
    eventually(AGAIN, "all are Ready", async || {
        let all = policies.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let unready = all.items.iter().find(|one| !is_ready(one));
        unready.map_or(Ok(()), |one| Err(format!("{one:?}")))
    })
    .await;
    for number in 0..3 {
        stage.wait_summary(&format!("p{number:04}"), 1, 1).await;
    }
    wait_numbers(&stage, [3, 3, POLICIES]).await;

    let state = async || {
        let all = policies.list(&ListParams::default()).await.unwrap();
        let versions: Vec<_> = all.items.iter().map(|one| (one.name_any(), one.resource_version())).collect();
        assert_eq!(versions.len(), POLICIES);
        let server = stage.get("livekitserver", "main").await["metadata"]["resourceVersion"].clone();
        (versions, server, stage.operator.metric("usher_status_writes_total").await)
    };
    let before = state().await;
    stage.proxy.clear();
    stage.proxy.wait_for("ListRooms", 7, Duration::from_secs(70)).await;
    assert_eq!(state().await, before, "{}", stage.operator.log());
}

#[tokio::test]
async fn after_a_restart_of_livekit_everybody_who_returns_is_enforced_again() {
    let stage = Stage::with(Scene { resync_interval: Some("5s"), ..Default::default() }).await;
    stage.policy("quiet", "hall-", QUIET).await;
    let mut guests = Vec::new();
    for identity in ["anna", "bert", "carl"] {
        let guest = stage.join(&TokenSpec::new("hall-1", identity)).await;
        guest.wait_for(SOON, |info| !info.permission.can_publish).await;
        guests.push(guest);
    }
    stage.livekit.restart().await;
    for (number, guest) in guests.iter().enumerate() {
        // The second comes back with the token that says what was enforced, the others with their own.
        if number == 1 { guest.reconnect_refreshed().await } else { guest.reconnect_first().await }
    }
    for guest in &guests {
        guest.wait_for(AGAIN, |info| !info.permission.can_publish && info.attributes.contains_key("seat")).await;
    }
    stage.wait("roompolicy", "quiet", "Ready").await;
}

#[tokio::test]
async fn a_budget_that_is_too_short_for_the_interval_is_told_by_status_and_metric() {
    let stage = Stage::with(Scene { resync_interval: Some("5s"), ..Default::default() }).await;
    stage.policy("quiet", "hall-", QUIET).await;
    let mut guests = Vec::new();
    for number in 0..11 {
        guests.push(stage.join(&TokenSpec::new(&format!("hall-{number}"), "guest")).await);
    }
    let limited = async |limits: &str| {
        let patch = format!("{{\"spec\":{{\"requests\":{limits}}}}}");
        stage.kubectl(&["patch", "livekitserver", "main", "--type=merge", "-p", &patch]).await;
    };
    let told = async |what: &str, listed_every: f64| {
        eventually(AGAIN, what, async || {
            let server = stage.get("livekitserver", "main").await;
            let ready = server["status"]["conditions"].as_array().and_then(|all| all.first()).cloned();
            let (status, message) = ready.map(|ready| (ready["status"].clone(), ready["message"].clone())).unzip();
            let metric = stage.operator.metric("usher_resync_interval_seconds").await;
            let is_told = message.as_ref().and_then(|text| text.as_str()).is_some_and(|text| text.ends_with(what));
            if status == Some("True".into()) && is_told && metric == Some(listed_every) {
                Ok(())
            } else {
                Err(format!("{message:?}, {metric:?}"))
            }
        })
        .await;
    };
    told("The server answers.", 5.0).await;
    // Half of it is for listings: two a second, of the rooms and of each of eleven.
    limited("{\"perSecond\": 4, \"burst\": 4}").await;
    told("each is listed every 10 s at the latest and not as often as resyncInterval says.", 6.0).await;
    limited("null").await;
    told("The server answers.", 5.0).await;
    assert_eq!(guests.len(), 11);
}
