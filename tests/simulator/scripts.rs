//! Participants that behave by themselves.

use std::time::Duration;

use livekit_protocol::{ParticipantInfo, ParticipantPermission, TrackSource, UpdateParticipantRequest};
use usher::{
    livekit::ParticipantUpdate,
    simulator::{Call, Caller, Change, Habits, Join, Performed, Role, Script, Simulator},
};

use crate::support::{cloud, options};

const SECOND: Duration = Duration::from_secs(1);

fn script(participants: usize, role: Role) -> Script {
    Script { rooms: vec!["a".into(), "b".into()], participants, joins_per_second: 10.0, stay: None, roles: vec![role] }
}

fn everybody(simulator: &Simulator) -> Vec<ParticipantInfo> {
    ["a", "b"].into_iter().flat_map(|room| simulator.participants(room)).collect()
}

async fn update(simulator: &Simulator, of: &ParticipantInfo, update: ParticipantUpdate) {
    let room = if simulator.participant("a", &of.identity).is_some() { "a" } else { "b" };
    let request = UpdateParticipantRequest {
        room: room.into(),
        identity: of.identity.clone(),
        permission: update.permission,
        ..Default::default()
    };
    let performed = simulator.perform(&Caller::Trusted, Call::UpdateParticipant(request), None).await;
    assert!(matches!(performed, Performed::Answered(Ok(_))), "{performed:?}");
}

#[tokio::test(start_paused = true)]
async fn they_come_at_their_rate_stay_and_go() {
    let simulator = Simulator::new(options());
    let script = Script { stay: Some(30 * SECOND..=30 * SECOND), ..script(100, Role::new("p-")) };
    let play = simulator.play(script, 1);
    tokio::time::sleep(5 * SECOND).await;
    let come = simulator.counts().1;
    assert!((40..=60).contains(&come), "{come} within 5 seconds at 10 a second");
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(simulator.counts(), (2, 100), "and no more");
    let before: Vec<_> = everybody(&simulator).into_iter().map(|participant| participant.identity).collect();
    tokio::time::sleep(60 * SECOND).await;
    assert!(simulator.counts().1 > 50);
    let stayed = everybody(&simulator).iter().filter(|participant| before.contains(&participant.identity)).count();
    assert_eq!(stayed, 0, "others have come");
    drop(play);
    let after = everybody(&simulator);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(everybody(&simulator), after);
}

#[tokio::test(start_paused = true)]
async fn thousands_a_second_come_though_the_clock_ticks_in_milliseconds() {
    let simulator = Simulator::new(options());
    let _play = simulator.play(Script { joins_per_second: 2000.0, ..script(20_000, Role::new("p-")) }, 1);
    tokio::time::sleep(5 * SECOND).await;
    let come = simulator.counts().1;
    assert!((9_900..=10_100).contains(&come), "{come} within 5 seconds at 2000 a second");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_is_the_same_play() {
    let mut told = Vec::new();
    for _ in 0..2 {
        let start = Some(std::time::UNIX_EPOCH + 1_000_000 * SECOND);
        let simulator = Simulator::new(usher::simulator::Options { start, ..options() });
        let mut events = simulator.listen(10_000);
        let habits = Habits { reconnects: 0.3, ..Habits::default() };
        let role = Role { looks: Some(SECOND..=9 * SECOND), habits, ..Role::new("p-") };
        let _play = simulator.play(Script { stay: Some(SECOND..=20 * SECOND), ..script(50, role) }, 5);
        tokio::time::sleep(60 * SECOND).await;
        let mut of_this = Vec::new();
        while let Ok(event) = events.try_recv() {
            of_this.push(event);
        }
        assert!(of_this.len() > 100, "{}", of_this.len());
        told.push(of_this);
    }
    assert_eq!(told[0], told[1]);
}

#[tokio::test(start_paused = true)]
async fn they_unmute_and_change_themselves() {
    let simulator = Simulator::new(options());
    let change = Change { attributes: [("hand".to_owned(), "up".to_owned())].into(), ..Change::default() };
    let role = Role {
        token: Join::new("", "").permission(|permission| permission.can_update_metadata = true),
        publishes: vec![TrackSource::Microphone],
        looks: Some(SECOND..=SECOND),
        habits: Habits { unmutes: true, changes: Some(change), ..Habits::default() },
        ..Role::new("p-")
    };
    let _play = simulator.play(script(1, role), 1);
    tokio::time::sleep(SECOND / 2).await;
    let it = everybody(&simulator).remove(0);
    assert_eq!((it.tracks.len(), it.attributes.len()), (1, 0));
    simulator.mute("b", &it.identity, &it.tracks[0].sid, true).unwrap();
    tokio::time::sleep(SECOND).await;
    let it = everybody(&simulator).remove(0);
    assert_eq!((it.tracks[0].muted, it.attributes["hand"].as_str()), (false, "up"));
}

#[tokio::test(start_paused = true)]
async fn who_reconnects_keeps_what_it_was_given_and_who_comes_back_does_not() {
    for (habits, kept) in [
        (Habits { reconnects: 1.0, ..Habits::default() }, true),
        (Habits { comes_back: true, ..Habits::default() }, false),
    ] {
        let simulator = Simulator::new(options());
        let role = Role { looks: Some(SECOND..=SECOND), habits, ..Role::new("p-") };
        let _play = simulator.play(script(1, role), 1);
        tokio::time::sleep(SECOND / 2).await;
        let before = everybody(&simulator).remove(0);
        let listener = ParticipantPermission { can_subscribe: true, ..Default::default() };
        update(&simulator, &before, ParticipantUpdate { permission: Some(listener.clone()), ..Default::default() })
            .await;
        if !kept {
            simulator.leave("b", &before.identity, livekit_protocol::DisconnectReason::ParticipantRemoved).unwrap();
            assert_eq!(everybody(&simulator), []);
        }
        tokio::time::sleep(SECOND).await;
        let after = everybody(&simulator).remove(0);
        assert_eq!(after.identity, before.identity);
        assert_ne!(after.sid, before.sid);
        assert_eq!(after.permission == Some(listener), kept);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_moved_stays_there() {
    let simulator = Simulator::new(cloud());
    let habits = Habits { comes_back: true, ..Habits::default() };
    let _play = simulator.play(script(1, Role { looks: Some(SECOND..=SECOND), habits, ..Role::new("p-") }), 1);
    tokio::time::sleep(SECOND / 2).await;
    let it = everybody(&simulator).remove(0);
    let request = livekit_protocol::MoveParticipantRequest {
        room: "b".into(),
        identity: it.identity.clone(),
        destination_room: "hall".into(),
    };
    let performed = simulator.perform(&Caller::Trusted, Call::MoveParticipant(request), None).await;
    assert!(matches!(performed, Performed::Answered(Ok(_))), "{performed:?}");
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(everybody(&simulator), []);
    assert_eq!(simulator.participants("hall").len(), 1);
}
