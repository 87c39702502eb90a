//! Who may publish what, and when.

use jiff::{SignedDuration, Timestamp};
use usher_testkit::TokenSpec;

use super::{commands, follow, is_refused, may_publish, publishes};
use crate::stage::{A_WHILE, AGAIN, SOON, Stage};

#[tokio::test]
async fn webinar() {
    let stage = Stage::for_example("webinar").await;
    let host = stage.join(&TokenSpec::new("webinar-1", "host-anna").grant("canPublish", false)).await;
    let guest = stage.join(&TokenSpec::new("webinar-1", "bert")).await;
    may_publish(&guest, &["CAMERA"]).await;
    guest.wait_for(SOON, |info| info.attributes.get("seat").is_some_and(|seat| seat == "audience")).await;
    publishes(&guest, "CAMERA").await;
    is_refused(&guest, "MICROPHONE").await;
    host.wait_for(SOON, |info| info.permission.can_publish && info.permission.can_publish_sources.is_empty()).await;
    publishes(&host, "SCREEN_SHARE").await;
    stage.is_removed(&TokenSpec::new("webinar-1", "troll")).await;
    assert!(!host.info().attributes.contains_key("seat"), "{}", host.history());
}

#[tokio::test]
async fn raise_hand() {
    let stage = Stage::for_example("raise-hand").await;
    let guest = stage.join(&TokenSpec::new("talk-1", "bert")).await;
    may_publish(&guest, &[]).await;
    stage.application_sets("talk-1", "bert", "hand", "raised").await;
    stage.after_a_resync().await;
    is_refused(&guest, "MICROPHONE").await;
    stage.application_sets("talk-1", "bert", "invited", "true").await;
    may_publish(&guest, &["CAMERA", "MICROPHONE"]).await;
    let voice = publishes(&guest, "MICROPHONE").await;
    is_refused(&guest, "SCREEN_SHARE").await;
    // The hand goes down: an empty value removes an attribute.
    stage.application_sets("talk-1", "bert", "hand", "").await;
    guest.wait_unpublished(&voice, AGAIN).await;
    may_publish(&guest, &[]).await;

    // Who may write its own attributes cannot invite itself.
    let clever = stage.join(&TokenSpec::new("talk-1", "mallory").grant("canUpdateOwnMetadata", true)).await;
    may_publish(&clever, &[]).await;
    clever.set_attributes([("hand", "raised"), ("invited", "true")]).await.expect("it has the right");
    clever.wait_for(SOON, |info| info.attributes.len() == 2).await;
    stage.after_a_resync().await;
    tokio::time::sleep(A_WHILE).await;
    is_refused(&clever, "MICROPHONE").await;
}

#[tokio::test]
async fn classroom() {
    let stage = Stage::for_example("classroom").await;
    let teacher = stage.join(&TokenSpec::new("class-1a", "teacher-smith").grant("canPublish", false)).await;
    let (anna, bert) = (TokenSpec::new("class-1a", "pupil-anna"), TokenSpec::new("class-1a", "pupil-bert"));
    let (anna, bert) = (stage.join(&anna).await, stage.join(&bert).await);
    teacher.wait_for(SOON, |info| info.permission.can_publish).await;
    may_publish(&anna, &["CAMERA"]).await;
    may_publish(&bert, &["CAMERA"]).await;
    is_refused(&anna, "MICROPHONE").await;

    // One is called on.
    stage.application_sets("class-1a", "pupil-anna", "called-on", "true").await;
    may_publish(&anna, &["CAMERA", "MICROPHONE"]).await;
    is_refused(&bert, "MICROPHONE").await;

    // All are unlocked, and locked again.
    let switch = commands("classroom").remove(1);
    let [unlock, lock] = &switch.lines().collect::<Vec<_>>()[..] else { panic!("two commands: {switch}") };
    follow(&stage.cluster, &stage.namespace, unlock).await;
    may_publish(&bert, &["CAMERA", "MICROPHONE"]).await;
    let voice = publishes(&bert, "MICROPHONE").await;
    follow(&stage.cluster, &stage.namespace, lock).await;
    bert.wait_unpublished(&voice, SOON).await;
    may_publish(&bert, &["CAMERA"]).await;
    assert!(teacher.permission().can_publish && teacher.permission().can_publish_sources.is_empty());
}

#[tokio::test]
async fn screen_share_lock() {
    let stage = Stage::for_example("screen-share-lock").await;
    let guest = stage.join(&TokenSpec::new("meeting-1", "bert")).await;
    let viewer = stage.join(&TokenSpec::new("meeting-1", "viewer-carl").grant("canPublish", false)).await;
    may_publish(&guest, &["CAMERA", "MICROPHONE"]).await;
    publishes(&guest, "MICROPHONE").await;
    is_refused(&guest, "SCREEN_SHARE").await;
    stage.application_sets("meeting-1", "bert", "presenter", "true").await;
    may_publish(&guest, &["CAMERA", "MICROPHONE", "SCREEN_SHARE", "SCREEN_SHARE_AUDIO"]).await;
    let screen = publishes(&guest, "SCREEN_SHARE").await;
    stage.application_sets("meeting-1", "bert", "presenter", "").await;
    guest.wait_unpublished(&screen, AGAIN).await;
    assert_eq!(guest.info().tracks.len(), 1, "the microphone goes on: {}", guest.history());
    viewer.assert_unchanged_for(A_WHILE).await;
    assert!(!viewer.permission().can_publish);
}

#[tokio::test]
async fn quiet_hours() {
    let stage = Stage::for_example("quiet-hours").await;
    let member = stage.join(&TokenSpec::new("lounge-1", "member-anna")).await;
    let guest = stage.join(&TokenSpec::new("lounge-1", "guest-bert").grant("canPublish", false)).await;
    may_publish(&member, &["CAMERA", "MICROPHONE"]).await;
    let voice = publishes(&member, "MICROPHONE").await;

    // The README's command, with a window that begins now and is soon over.
    let window = &commands("quiet-hours")[1];
    let now = Timestamp::from_second(Timestamp::now().as_second()).expect("it is a moment");
    let until = now + SignedDuration::from_secs(15);
    let (from, to) = ("2026-03-01T22:00:00+01:00", "2026-03-02T06:00:00+01:00");
    assert!(window.contains(from) && window.contains(to), "{window}");
    let window = window.replace(from, &now.to_string()).replace(to, &until.to_string());
    follow(&stage.cluster, &stage.namespace, &window).await;
    member.wait_unpublished(&voice, SOON).await;
    may_publish(&member, &[]).await;
    may_publish(&member, &["CAMERA", "MICROPHONE"]).await;
    assert!(Timestamp::now() >= until);
    guest.assert_unchanged_for(A_WHILE).await;
    assert!(!guest.permission().can_publish, "the base gives nothing to others");
}

#[tokio::test]
async fn phone_callers() {
    let stage = Stage::for_example("phone-callers").await;
    let caller = stage.join(&TokenSpec::new("conference-1", "+15550100").kind("sip")).await;
    let guest = stage.join(&TokenSpec::new("conference-1", "bert")).await;
    caller.wait_for(SOON, |info| info.attributes.get("seat").is_some_and(|seat| seat == "phone")).await;
    let voice = publishes(&caller, "MICROPHONE").await;
    caller.wait_muted(&voice, true, SOON).await;
    let other = publishes(&guest, "MICROPHONE").await;
    // It unmutes itself, and stays so.
    caller.mute(&voice, false).await;
    caller.wait_for(SOON, |info| info.track(&voice).is_some_and(|track| !track.muted)).await;
    stage.after_a_resync().await;
    tokio::time::sleep(A_WHILE).await;
    assert!(caller.info().track(&voice).is_some_and(|track| !track.muted), "{}", caller.history());
    assert!(guest.info().track(&other).is_some_and(|track| !track.muted), "{}", guest.history());
}
