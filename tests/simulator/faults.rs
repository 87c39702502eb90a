//! What goes wrong on demand, as our own client sees it.

use std::time::Duration;

use livekit_protocol::RoomParticipantIdentity;
use tokio::time::Instant;
use usher::{
    livekit::{Calls, Class, Client, Config, TwirpCode},
    simulator::{Answer, Call, Caller, Effect, Fault, Join, Method, Performed, Refusal, Running, Simulator},
};

use crate::support::{client, key, options};

const LONG: Duration = Duration::from_millis(300);

async fn server() -> (Running, Client) {
    let server = Running::start(options()).await.unwrap();
    for identity in ["ann", "bob"] {
        server.simulator().join(Join::new("room", identity)).unwrap();
    }
    let client = client(&server);
    (server, client)
}

#[tokio::test]
async fn statuses_and_errors() {
    let (server, client) = server().await;
    let limited = Effect::Status { status: 429, retry_after: Some(7) };
    server.simulator().add_fault(Fault::always(limited).on(Method::GetParticipant).times(1));
    let error = client.get_participant("room", "ann").await.unwrap_err();
    let after = Some(Duration::from_secs(7));
    assert_eq!((error.class(), error.status()), (Class::Transient { retry_after: after }, Some(429)));
    client.get_participant("room", "ann").await.unwrap();

    let internal = Effect::Refused(Refusal::new(TwirpCode::Internal, "out of order"));
    server.simulator().add_fault(Fault::always(internal).in_room("room"));
    let error = client.remove_participant("room", "ann", None).await.unwrap_err();
    assert_eq!((error.label(), error.status()), ("internal", Some(500)));
    assert_eq!(client.list_rooms(vec![]).await.unwrap().len(), 1, "which is about no room");
    server.simulator().heal();
    assert_eq!(client.list_participants("room").await.unwrap().len(), 2, "it was not acted upon");
}

#[tokio::test]
async fn a_cut_connection_may_have_had_its_effect() {
    let (server, client) = server().await;
    for (acted_upon, identity) in [(true, "ann"), (false, "bob")] {
        server.simulator().add_fault(Fault::always(Effect::Cut { acted_upon }).on(Method::RemoveParticipant).times(1));
        let error = client.remove_participant("room", identity, None).await.unwrap_err();
        assert_eq!(error.label(), "cut", "{error}");
        assert_eq!(server.simulator().participant("room", identity).is_none(), acted_upon);
    }
}

#[tokio::test(start_paused = true)]
async fn latency_comes_before_or_after_the_effect() {
    let simulator = Simulator::new(options());
    for (effect, gone_at_once) in [(Effect::Latency(LONG..=LONG), false), (Effect::SlowAnswer(LONG..=LONG), true)] {
        simulator.join(Join::new("room", "ann")).unwrap();
        simulator.add_fault(Fault::always(effect).times(1));
        let request = RoomParticipantIdentity { room: "room".into(), identity: "ann".into(), ..Default::default() };
        let started = Instant::now();
        let call = simulator.perform(&Caller::Trusted, Call::RemoveParticipant(request), None);
        let look = async {
            tokio::time::sleep(LONG / 3).await;
            simulator.participant("room", "ann").is_none()
        };
        let (performed, gone) = tokio::join!(call, look);
        assert_eq!((performed, gone), (Performed::Answered(Ok(Answer::Nothing)), gone_at_once));
        assert_eq!(started.elapsed(), LONG);
    }
}

#[tokio::test]
async fn a_call_may_hang() {
    let (server, _) = server().await;
    let mut config = Config::new(server.url().parse().unwrap(), key());
    config.timeout = LONG;
    server.simulator().add_fault(Fault::always(Effect::Hangs));
    assert_eq!(Client::new(config).unwrap().list_rooms(vec![]).await.unwrap_err().label(), "timeout");
}

#[tokio::test]
async fn a_listing_may_be_stale() {
    let (server, client) = server().await;
    server.simulator().add_fault(Fault::always(Effect::StaleListing));
    assert_eq!(client.list_participants("room").await.unwrap().len(), 2);
    client.remove_participant("room", "ann", None).await.unwrap();
    assert_eq!(client.list_participants("room").await.unwrap().len(), 2);
    assert_eq!(client.get_participant("room", "ann").await.unwrap_err().class(), Class::Gone);
    server.simulator().heal();
    assert_eq!(client.list_participants("room").await.unwrap().len(), 1);
    // The rooms are listed as they were as well.
    server.simulator().add_fault(Fault::always(Effect::StaleListing).on(Method::ListRooms));
    assert_eq!(client.list_rooms(vec![]).await.unwrap().len(), 1);
    server.simulator().join(Join::new("other", "cid")).unwrap();
    assert_eq!(client.list_rooms(vec![]).await.unwrap().len(), 1);
    server.simulator().heal();
    assert_eq!(client.list_rooms(vec![]).await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn chance_befalls_some_and_the_same_under_the_same_seed() {
    let runs: Vec<Vec<bool>> = (0..2)
        .map(|_| {
            let simulator = Simulator::new(options());
            simulator.add_fault(Fault::always(Effect::Cut { acted_upon: false }).with_chance(0.3));
            let call = || Call::ListRooms(Default::default());
            let cut = async || simulator.perform(&Caller::Trusted, call(), None).await == Performed::Cut;
            futures::executor::block_on(async {
                let mut run = Vec::new();
                for _ in 0..1000 {
                    run.push(cut().await);
                }
                run
            })
        })
        .collect();
    let cut = runs[0].iter().filter(|cut| **cut).count();
    assert!((250..350).contains(&cut), "{cut} of 1000");
    assert_eq!(runs[0], runs[1]);
}
