//! Present and future participants get what is declared, and keep what is not.

use usher_testkit::{Info, TokenSpec, eventually};

use crate::stage::{A_WHILE, SOON, Stage};

const AUDIENCE: &str = "
- name: hosts
  match:
    identities: [{prefix: host-}]
  set:
    permission: {canPublish: true, canPublishData: true}
- name: audience
  except:
  - identities: [{prefix: host-}]
  set:
    permission: {canPublishSources: [Camera]}
    attributes: {seat: audience}";

fn is_audience(info: &Info) -> bool {
    info.permission.can_publish_sources == ["CAMERA"]
        && info.attributes.get("seat").is_some_and(|seat| seat == "audience")
}

#[tokio::test]
async fn who_is_there_and_who_joins_later_get_what_is_declared() {
    let stage = Stage::set().await;
    let early = stage.join(&TokenSpec::new("hall-1", "early")).await;
    early.assert_unchanged_for(A_WHILE).await;
    stage.policy("hall", "hall-", AUDIENCE).await;
    early.wait_for(SOON, is_audience).await;

    let late = stage.join(&TokenSpec::new("hall-1", "late")).await;
    late.wait_for(SOON, is_audience).await;
    let elsewhere = stage.join(&TokenSpec::new("lobby", "somebody")).await;
    elsewhere.assert_unchanged_for(A_WHILE).await;
    stage.wait_summary("hall", 2, 2).await;
}

#[tokio::test]
async fn what_no_rule_names_stays_as_it_was() {
    let stage = Stage::set().await;
    stage.policy("hall", "hall-", AUDIENCE).await;
    let spec = TokenSpec::new("hall-1", "guest")
        .name("Guest")
        .metadata("from the token")
        .attribute("language", "en")
        .grant("canSubscribe", false)
        .grant("canPublishData", false)
        .grant("canUpdateOwnMetadata", true)
        .grant("canSubscribeMetrics", true);
    let guest = stage.join(&spec).await;
    guest.wait_for(SOON, is_audience).await;
    let info = guest.info();
    assert!(!info.permission.can_subscribe && !info.permission.can_publish_data, "{info:?}");
    assert!(info.permission.can_update_metadata && info.permission.can_subscribe_metrics, "{info:?}");
    assert_eq!((info.name.as_str(), info.metadata.as_str()), ("Guest", "from the token"));
    assert_eq!(info.attributes.get("language").map(String::as_str), Some("en"));
}

#[tokio::test]
async fn rules_choose_by_identity_kind_and_attribute() {
    let stage = Stage::set().await;
    stage
        .policy(
            "rules",
            "hall-",
            "
- name: speakers
  match:
    attributes: [{key: role, values: [{exact: speaker}]}]
  set: {attributes: {badge: speaker}}
- name: phones
  match: {kinds: [Sip]}
  set: {attributes: {badge: phone}}
- name: vips
  match:
    identities: [{glob: 'vip-[0-9]'}, {regex: 'ceo|cto'}]
  set: {attributes: {badge: vip}}",
        )
        .await;
    let badge =
        |wanted: &'static str| move |info: &Info| info.attributes.get("badge").is_some_and(|badge| badge == wanted);
    let speaker = stage.join(&TokenSpec::new("hall-1", "anna").attribute("role", "speaker")).await;
    let phone = stage.join(&TokenSpec::new("hall-1", "caller").kind("sip")).await;
    let vip = stage.join(&TokenSpec::new("hall-1", "vip-1")).await;
    let ceo = stage.join(&TokenSpec::new("hall-1", "ceo")).await;
    let nobody = stage.join(&TokenSpec::new("hall-1", "vip-10")).await;
    speaker.wait_for(SOON, badge("speaker")).await;
    phone.wait_for(SOON, badge("phone")).await;
    vip.wait_for(SOON, badge("vip")).await;
    ceo.wait_for(SOON, badge("vip")).await;
    nobody.assert_unchanged_for(A_WHILE).await;
}

#[tokio::test]
async fn agents_phones_and_hidden_participants_are_not_touched_unless_named() {
    let stage = Stage::set().await;
    stage.policy("hall", "hall-", AUDIENCE).await;
    stage
        .policy(
            "nobody",
            "hall-",
            "
- name: everybody
  match:
    identities: [{prefix: unwanted-}]
  remove: {}",
        )
        .await;
    let agent = stage.join(&TokenSpec::new("hall-1", "unwanted-agent").kind("agent")).await;
    let phone = stage.join(&TokenSpec::new("hall-1", "unwanted-phone").kind("sip")).await;
    let hidden = stage.join(&TokenSpec::new("hall-1", "unwanted-hidden").grant("hidden", true)).await;
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    guest.wait_for(SOON, is_audience).await;
    for untouched in [&agent, &phone, &hidden] {
        untouched.assert_unchanged_for(A_WHILE / 2).await;
        assert!(untouched.info().permission.can_publish_sources.is_empty(), "{}", untouched.history());
    }
    // Also not by a resync that sees them all.
    stage.proxy.clear();
    stage.kubectl(&["annotate", "roompolicy", "hall", "usher.dev/reconcile-requested-at=now"]).await;
    stage.proxy.wait_for("ListParticipants", 1, SOON).await;
    hidden.assert_unchanged_for(A_WHILE).await;
    assert_eq!(stage.livekit.participants("hall-1").await.len(), 4);
}

#[tokio::test]
async fn a_hidden_participant_that_is_named_stays_hidden() {
    let stage = Stage::set().await;
    stage
        .policy(
            "watchers",
            "hall-",
            "
- name: watchers
  match: {include: [Hidden]}
  set:
    permission: {canPublishData: false}",
        )
        .await;
    let spec = TokenSpec::new("hall-1", "watcher").grant("hidden", true).grant("canPublishData", true);
    let watcher = stage.join(&spec).await;
    watcher.wait_for(SOON, |info| !info.permission.can_publish_data).await;
    let seen = stage.livekit.participant("hall-1", "watcher").await.expect("it is there");
    assert_eq!(seen["permission"]["hidden"], true, "{seen}");
    assert_eq!(seen["permission"]["can_subscribe"], true, "{seen}");
}

#[tokio::test]
async fn an_edited_policy_reaches_who_is_there() {
    let stage = Stage::set().await;
    stage.policy("hall", "hall-", AUDIENCE).await;
    let guest = stage.join(&TokenSpec::new("hall-1", "guest")).await;
    guest.wait_for(SOON, is_audience).await;
    stage
        .policy(
            "hall",
            "hall-",
            &AUDIENCE.replace("[Camera]", "[Camera, Microphone]").replace("seat: audience", "seat: front"),
        )
        .await;
    guest
        .wait_for(SOON, |info| {
            info.permission.can_publish_sources.len() == 2
                && info.attributes.get("seat").is_some_and(|seat| seat == "front")
        })
        .await;
    let generation = stage.get("roompolicy", "hall").await["metadata"]["generation"].clone();
    eventually(SOON, "observedGeneration", async || {
        let policy = stage.get("roompolicy", "hall").await;
        if policy["status"]["observedGeneration"] == generation { Ok(()) } else { Err(policy["status"].to_string()) }
    })
    .await;
}
