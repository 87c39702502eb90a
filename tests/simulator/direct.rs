//! Calls in this process beside the same over HTTP: they must hear the same.

use std::{fmt::Debug, time::Duration};

use livekit_protocol::{ParticipantPermission, TrackSource};
use tokio::time::Instant;
use usher::{
    engine::RoomService,
    livekit::{Calls, Error, ParticipantUpdate, TwirpCode},
    simulator::{Effect, Fault, Join, Options, Publication, Running, Simulator},
};

use crate::support::{client, cloud, options};

const TIMEOUT: Duration = Duration::from_secs(5);

/// What a caller hears of a server on which ann publishes and bob is.
async fn heard(calls: &impl Calls, track: &str) -> Vec<String> {
    fn said<T: Debug>(result: Result<T, Error>) -> String {
        format!("{result:?}")
    }
    let update = ParticipantUpdate {
        name: Some("Ann".to_owned()),
        permission: Some(ParticipantPermission { can_publish: true, ..Default::default() }),
        ..Default::default()
    };
    let long = ParticipantUpdate { name: Some("x".repeat(300)), ..Default::default() };
    vec![
        said(calls.list_rooms(vec![]).await),
        said(calls.list_rooms(vec!["nowhere".to_owned()]).await),
        said(calls.list_participants("room").await),
        said(calls.list_participants("nowhere").await),
        said(calls.get_participant("room", "ann").await),
        said(calls.get_participant("room", "zoe").await),
        said(calls.update_participant("room", "ann", update.clone()).await),
        said(calls.update_participant("room", "ann", long).await),
        said(calls.update_participant("room", "zoe", update).await),
        said(calls.mute_published_track("room", "ann", track, true).await),
        said(calls.mute_published_track("room", "ann", track, false).await),
        said(calls.mute_published_track("room", "ann", "TR_nothing", true).await),
        said(calls.mute_published_track("room", "zoe", track, true).await),
        said(calls.forward_participant("room", "ann", "hall").await),
        said(calls.forward_participant("room", "ann", "room").await),
        said(calls.move_participant("room", "bob", "hall").await),
        said(calls.move_participant("room", "ann", "hall").await),
        said(calls.remove_participant("room", "ann", None).await),
        said(calls.remove_participant("room", "ann", Some(1)).await),
    ]
}

#[tokio::test]
async fn direct_calls_hear_what_the_client_hears() {
    for options in [options(), cloud()] {
        let mut both = Vec::new();
        for direct in [true, false] {
            // The same seed and the same start, so that sids and times are the same.
            let start = Some(std::time::SystemTime::now());
            let server = Running::start(Options { delay_factor: 0.01, start, ..options.clone() }).await.unwrap();
            let simulator = server.simulator();
            for identity in ["ann", "bob"] {
                simulator.join(Join::new("room", identity)).unwrap();
            }
            let track = simulator.publish("room", "ann", &Publication::of(TrackSource::Microphone)).unwrap().unwrap();
            let heard = if direct {
                heard(&simulator.direct(TIMEOUT), &track).await
            } else {
                heard(&client(&server), &track).await
            };
            both.push(heard.iter().map(|said| without_times(said)).collect::<Vec<_>>());
        }
        assert_eq!(both[0], both[1]);
    }
}

/// A text without its long numbers.
fn without_times(text: &str) -> String {
    text.split_inclusive(|c: char| !c.is_ascii_digit())
        .map(|part| if part.trim_end_matches(|c: char| !c.is_ascii_digit()).len() >= 10 { "#" } else { part })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn faults_and_delays_are_heard() {
    let simulator = Simulator::new(options());
    let direct = simulator.direct(TIMEOUT);
    let started = Instant::now();
    let nobody = direct.mute_published_track("room", "ann", "TR_x", true).await.unwrap_err();
    assert_eq!((nobody.label(), nobody.status()), ("unavailable", Some(503)));
    assert_eq!(started.elapsed(), Duration::from_secs(3));

    let half = Simulator::new(Options { delay_factor: 0.5, ..options() });
    let started = Instant::now();
    half.direct(TIMEOUT).mute_published_track("room", "ann", "TR_x", true).await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_millis(1500), "delays are scaled");

    let hurried = simulator.direct(Duration::from_secs(1));
    let canceled = hurried.mute_published_track("room", "ann", "TR_x", true).await.unwrap_err();
    assert!(matches!(canceled, Error::Twirp { code: TwirpCode::Canceled, status: 408, .. }), "{canceled:?}");
    for (effect, error) in [
        (
            Effect::Status { status: 429, retry_after: Some(3) },
            Error::Status { status: 429, retry_after: Some(Duration::from_secs(3)) },
        ),
        (Effect::Cut { acted_upon: true }, Error::Cut(None)),
        (Effect::Hangs, Error::Timeout(TIMEOUT)),
    ] {
        simulator.add_fault(Fault::always(effect).times(1));
        assert_eq!(direct.list_rooms(vec![]).await, Err(error));
    }
    assert_eq!(direct.list_rooms(vec![]).await, Ok(vec![]));
}

#[tokio::test]
async fn the_engine_can_use_it() {
    let simulator = Simulator::new(options());
    simulator.join(Join::new("room", "ann").attribute("role", "host")).unwrap();
    let direct = simulator.direct(TIMEOUT);
    assert_eq!(RoomService::rooms(&direct).await, Ok(vec!["room".to_owned()]));
    let seen = RoomService::participants(&direct, "room").await.unwrap();
    assert_eq!((seen.len(), &*seen[0].identity), (1, "ann"));
    RoomService::remove(&direct, "room", "ann", true).await.unwrap();
    assert_eq!(simulator.participants("room"), []);
}
