//! The operator dies at any moment.

use std::time::Duration;

use tokio::{task::JoinSet, time::sleep};
use usher_testkit::TokenSpec;

use crate::stage::{AGAIN, Scene, Stage};

const DEATHS: u64 = 20;
const JOINS: u64 = 100;
const ROOMS: u64 = 10;
const RULES: &str = "
- name: banned
  match:
    identities: [{prefix: troll-}]
  remove: {}
- name: quiet
  set:
    permission: {canPublish: false}
    attributes: {seat: back}";

/// Every tenth is to be removed, the others are to be quiet. Wherever the operator dies, between webhook and answer,
/// between two requests or in a listing, the next one finishes the work.
#[tokio::test]
async fn killed_at_random_moments_during_a_hundred_joins() {
    let stage = Stage::with(Scene { resync_interval: Some("5s"), ..Scene::default() }).await;
    stage.policy("house", "hall-", RULES).await;
    let mut joins = JoinSet::new();
    for number in 0..JOINS {
        let hint = if number % 10 == 0 { "troll" } else { "guest" };
        let spec = TokenSpec::new(&format!("hall-{}", number % ROOMS), &format!("{hint}-{number}"));
        let (participants, url, token) =
            (stage.participants.clone(), stage.livekit.ws_url(), stage.livekit.token(&spec));
        joins.spawn(async move {
            sleep(Duration::from_millis(number * 150)).await;
            participants.try_join(&url, &token, &spec.identity).await.map(|participant| (spec.identity, participant))
        });
    }
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..DEATHS {
        sleep(Duration::from_millis(random.u64(50..900))).await;
        stage.operator.kill().await;
        stage.operator.start_without_waiting();
    }
    stage.operator.ready().await;
    let mut stayed = Vec::new();
    let mut removed = 0;
    while let Some(result) = joins.join_next().await {
        // Whoever is removed while still joining cannot join.
        let Ok((identity, participant)) = result.unwrap() else { continue };
        if identity.starts_with("troll") {
            participant.wait_removed(AGAIN).await;
            removed += 1;
        } else {
            participant
                .wait_for(AGAIN, |info| {
                    !info.permission.can_publish
                        && info.permission.can_publish_data
                        && info.attributes.get("seat").is_some_and(|seat| seat == "back")
                })
                .await;
            stayed.push(participant);
        }
    }
    assert_eq!(stayed.len(), 90);
    println!("{removed} were removed after they had joined");
    stage.wait_summary("house", 90, 90).await;
}
