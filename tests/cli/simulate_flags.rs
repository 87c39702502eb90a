//! What each flag of `usher simulate` does, as who calls the server or receives its webhooks sees it.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use livekit_protocol::{ParticipantInfo, participant_info::KindDetail};
use usher::livekit::{Calls, Class, Client, Feature, ParticipantUpdate};
use usher_testkit::{Webhook, WebhookRelay, eventually};

use crate::{
    program::{Program, SOON},
    simulate::client,
};

/// The server with these flags, and a client of it.
async fn simulate(flags: &[&str]) -> (Program, Client) {
    let args = ["simulate", "--listen", "127.0.0.1:0", "-o", "json"];
    let program = Program::usher(args.iter().chain(flags));
    let client = client(&program, "secret").await;
    (program, client)
}

/// Everybody in a room, when so many are there.
async fn people(client: &Client, room: &str, count: usize) -> Vec<ParticipantInfo> {
    eventually(SOON, room, async || match client.list_participants(room).await {
        Ok(people) if people.len() == count => Ok(people),
        other => Err(format!("{other:?}")),
    })
    .await
}

/// The same server with its webhooks.
async fn told(flags: &[&str]) -> (Program, Client, WebhookRelay) {
    let relay = WebhookRelay::start();
    relay.swallow();
    let url = relay.url("/");
    let all: Vec<_> =
        ["--rooms=1", "--joins-per-second=0", "--webhook-url", &url].iter().chain(flags).copied().collect();
    let (program, client) = simulate(&all).await;
    (program, client, relay)
}

/// The identities that webhooks tell to have joined, each with how often.
fn joined(relay: &WebhookRelay) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for Webhook { identity, .. } in relay.webhooks().into_iter().filter(|webhook| webhook.event == "participant_joined")
    {
        *counts.entry(identity).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn latency_makes_every_answer_late() {
    let (_program, client) = simulate(&["--latency", "300ms-400ms"]).await;
    for _ in 0..3 {
        let begun = Instant::now();
        client.list_rooms(Vec::new()).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn errors_have_the_status_and_nothing_is_done() {
    let (_program, client) = simulate(&["--errors", "1", "--error-status", "429"]).await;
    let error = client.list_rooms(Vec::new()).await.unwrap_err();
    assert_eq!((error.status(), error.class()), (Some(429), Class::Transient { retry_after: None }));

    let flags = ["--errors=0.5", "--participants=1", "--rooms=1", "--joins-per-second=0"];
    let (_program, client) = simulate(&flags).await;
    let (mut good, mut bad) = (0, 0);
    for number in 0..60 {
        let update = ParticipantUpdate { metadata: Some(number.to_string()), ..ParticipantUpdate::default() };
        match client.update_participant("room-1", "guest-1", update).await {
            Ok(info) => {
                assert_eq!(info.metadata, number.to_string());
                good += 1;
            }
            Err(error) => {
                assert_eq!(error.status(), Some(503), "the usual one: {error}");
                let info = eventually(SOON, "an answer", async || client.get_participant("room-1", "guest-1").await);
                assert_ne!(info.await.metadata, number.to_string(), "it was not acted upon");
                bad += 1;
            }
        }
    }
    assert!(good > 5 && bad > 5, "{good} {bad}");
}

#[tokio::test]
async fn lost_webhooks_do_not_come() {
    let (program, client, relay) = told(&["--participants=40", "--lost-webhooks=1"]).await;
    people(&client, "room-1", 40).await;
    let ended = program.terminate().await;
    assert!(ended.stdout.lines().last().unwrap().contains("\"webhooksSent\":0"), "{}", ended.stdout);
    assert!(relay.webhooks().is_empty());

    let (_program, _client, relay) = told(&["--participants=200", "--stay=1s", "--lost-webhooks=0.5"]).await;
    let some = async || {
        let left = relay.webhooks().iter().filter(|webhook| webhook.event == "participant_left").count();
        if left >= 50 { Ok(joined(&relay).len()) } else { Err(left) }
    };
    let some = eventually(SOON, "some have left", some).await;
    assert!((20..=180).contains(&some), "{some} of 200");
}

#[tokio::test]
async fn doubled_webhooks_come_twice() {
    let (_program, _client, relay) = told(&["--participants=10", "--doubled-webhooks=1"]).await;
    eventually(SOON, "each twice", async || {
        let joined = joined(&relay);
        if joined.len() == 10 && joined.values().all(|count| *count == 2) { Ok(()) } else { Err(format!("{joined:?}")) }
    })
    .await;
    let ids: HashSet<_> = relay.webhooks().iter().map(|webhook| webhook.json["id"].to_string()).collect();
    assert_eq!(ids.len() * 2, relay.webhooks().len(), "the same one");
}

#[tokio::test]
async fn late_webhooks_come_a_second_or_two_late() {
    let begun = Instant::now();
    let (_program, client, relay) = told(&["--participants=1", "--late-webhooks=1"]).await;
    people(&client, "room-1", 1).await;
    eventually(SOON, "it is told", async || {
        let joined = joined(&relay);
        if joined.len() == 1 { Ok(()) } else { Err(format!("{joined:?}")) }
    })
    .await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_cloud_forwards_and_the_open_source_server_does_not() {
    let flags = ["--participants=1", "--rooms=1", "--joins-per-second=0"];
    let (_program, client) = simulate(&flags).await;
    people(&client, "room-1", 1).await;
    let refused = client.forward_participant("room-1", "guest-1", "overflow").await.unwrap_err();
    assert_eq!(refused.class(), Class::Unsupported(Feature::Forward));

    let (program, client) = simulate(&[&flags[..], &["--cloud"]].concat()).await;
    let listening = program.wait_for(0, "it listens", |line| line["type"] == "listening").await;
    assert_eq!(listening["cloud"], true);
    people(&client, "room-1", 1).await;
    client.forward_participant("room-1", "guest-1", "overflow").await.unwrap();
    let copy = people(&client, "overflow", 1).await;
    assert_eq!(copy[0].kind_details, [i32::from(KindDetail::Forwarded)]);
}

#[tokio::test]
async fn tracks_are_unmuted_where_that_is_allowed() {
    let flags = ["--participants=1", "--rooms=1", "--joins-per-second=0", "--publishes=Microphone,Camera"];
    for (flag, allowed) in [(&[][..], false), (&["--remote-unmute"], true)] {
        let (_program, client) = simulate(&[&flags[..], flag].concat()).await;
        let tracks = people(&client, "room-1", 1).await.remove(0).tracks;
        assert_eq!(tracks.len(), 2);
        let mute = async |muted| client.mute_published_track("room-1", "guest-1", &tracks[0].sid, muted).await;
        assert!(mute(true).await.unwrap().unwrap().muted);
        match mute(false).await {
            Ok(track) => assert!(allowed && !track.unwrap().muted),
            Err(error) => assert!(!allowed && error.class() == Class::Unsupported(Feature::RemoteUnmute), "{error}"),
        }
    }
}

#[tokio::test]
async fn participants_stay_as_long_as_they_are_told_to() {
    let (_program, client) =
        simulate(&["--participants=2", "--rooms=1", "--joins-per-second=0", "--stay=500ms-1s"]).await;
    let mut seen = HashSet::new();
    eventually(SOON, "others come", async || {
        let people = client.list_participants("room-1").await.map_err(|error| error.to_string())?;
        assert!(people.len() <= 2);
        seen.extend(people.into_iter().map(|info| info.identity));
        if seen.len() >= 4 { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
}

#[tokio::test]
async fn they_come_one_after_the_other() {
    let (_program, client) = simulate(&["--participants=1000", "--rooms=1", "--joins-per-second=1"]).await;
    let first = eventually(SOON, "somebody", async || match client.list_participants("room-1").await {
        Ok(people) if !people.is_empty() => Ok(people.len()),
        other => Err(format!("{other:?}")),
    });
    assert!(first.await < 100);
}

#[tokio::test]
async fn the_same_seed_makes_the_same_sessions() {
    let sids = async |seed: &str| {
        let flags = ["--participants=5", "--rooms=2", "--joins-per-second=0", "--seed", seed];
        let (_program, client) = simulate(&flags).await;
        let rooms = [people(&client, "room-1", 2).await, people(&client, "room-2", 3).await];
        rooms.into_iter().flatten().map(|info| info.sid).collect::<Vec<_>>()
    };
    let first = sids("1").await;
    assert_eq!(sids("1").await, first);
    assert_ne!(sids("2").await, first);
}

#[tokio::test]
async fn another_key_is_another_key() {
    let args = ["simulate", "--listen", "127.0.0.1:0", "-o", "json", "--api-key", "mine", "--api-secret", "a-secret"];
    let program = Program::usher(args);
    let good = client(&program, "a-secret").await;
    good.list_rooms(Vec::new()).await.unwrap();
    let bad = client(&program, "secret").await;
    assert_eq!(bad.list_rooms(Vec::new()).await.unwrap_err().class(), Class::Unauthorized);
}
