//! Circles of moves.

use std::sync::Arc;

use jiff::Timestamp;
use usher::policy::{Journeys, Participant, Transfer, TransferMember, TransferSet, Way};

use crate::{
    support::{alice, alice_as, at},
    transfers::movement,
};

/// A move of all from one room to another, selecting on an attribute's presence or on nothing.
fn between(name: &str, from: &str, to: &str, more: &str) -> TransferMember {
    movement(name, &format!("source: {{rooms: [{{exact: {from}}}]{more}}}\ndestinationRoom: {to}"))
}

const BY_ROLE: &str = ", match: {attributes: [{key: role}]}";

/// The first move out of a room.
fn way(members: &[TransferMember], from: &str) -> Way {
    let set = TransferSet::new(members.to_vec(), vec![]);
    set.ways(from, &[]).expect("a way").moves[0].clone()
}

fn always(_: &Arc<Transfer>) -> bool {
    true
}

struct Walk {
    journeys: Journeys,
    members: Vec<TransferMember>,
    room: Arc<str>,
}

impl Walk {
    fn begin(room: &str, members: Vec<TransferMember>) -> Self {
        Self { journeys: Journeys::default(), members, room: room.into() }
    }

    /// Goes one move further at a moment; false where the move does not take the participant.
    fn go(&mut self, participant: &Participant, time: Timestamp) -> bool {
        let way = way(&self.members, &self.room);
        let goes = self.journeys.permit(&way, participant, time, always, Vec::new);
        if goes {
            self.journeys.moved(&way, participant, &self.room, time);
            self.room = Arc::clone(&way.transfer.destinations[0]);
        }
        goes
    }

    fn stopped(&self) -> Vec<(String, usize)> {
        let stops = self.journeys.stops();
        stops.map(|(_, stop)| (stop.stopped.id.name.name.to_string(), stop.with.len())).collect()
    }
}

#[test]
fn the_lower_of_two_stops_whichever_closes_the_circle() {
    for (names, end, moves) in [(["a", "b"], "y", 1), (["b", "a"], "x", 2)] {
        let mut walk = Walk::begin("x", vec![between(names[0], "x", "y", ""), between(names[1], "y", "x", "")]);
        let gone = (0..5).filter(|second| walk.go(&alice(), at(&format!("12:00:0{second}")))).count();
        assert_eq!((gone, &*walk.room), (moves, end));
        assert_eq!(walk.stopped(), [("b".to_owned(), 1)]);
    }
}

#[test]
fn a_longer_circle_stops_at_its_lowest() {
    let members = vec![between("a", "x", "y", ""), between("c", "y", "z", ""), between("b", "z", "x", "")];
    let mut walk = Walk::begin("x", members);
    let gone = (0..9).filter(|second| walk.go(&alice(), at(&format!("12:00:0{second}")))).count();
    // Once round, to the place that the lowest would lead away from.
    assert_eq!((gone, &*walk.room), (4, "y"));
    assert_eq!(walk.stopped(), [("c".to_owned(), 2)]);
}

#[test]
fn after_a_minute_it_is_another_journey() {
    let members = vec![between("a", "x", "y", ""), between("b", "y", "x", "")];
    let mut walk = Walk::begin("x", members);
    assert!(walk.go(&alice(), at("12:00:00")));
    assert!(walk.go(&alice(), at("12:01:01")));
    // Within a minute of that one, it is the same again.
    assert!(walk.go(&alice(), at("12:01:02")) && !walk.go(&alice(), at("12:01:03")));
}

#[test]
fn other_selected_fields_make_another_journey_and_others_do_not() {
    let members = || vec![between("a", "x", "y", BY_ROLE), between("b", "y", "x", "")];
    let mut walk = Walk::begin("x", members());
    assert!(walk.go(&alice_as("role", "host"), at("12:00:00")));
    assert!(walk.go(&alice(), at("12:00:01")), "the first would not take her again as she is");
    let mut walk = Walk::begin("x", members());
    assert!(walk.go(&alice_as("role", "host"), at("12:00:00")));
    let mut renamed = alice_as("role", "host");
    renamed.name = "Other".into();
    assert!(!walk.go(&renamed, at("12:00:01")));
}

#[test]
fn a_stop_ends_with_a_change_of_what_it_selects_on_or_of_a_move_of_the_circle() {
    let members = vec![between("a", "x", "y", ""), between("b", "y", "x", BY_ROLE)];
    let mut walk = Walk::begin("x", members.clone());
    let host = alice_as("role", "host");
    assert!(walk.go(&host, at("12:00:00")) && !walk.go(&host, at("12:00:01")));
    let back = way(&members, "y");
    let stop = |participant: &Participant, stands: fn(&Arc<Transfer>) -> bool| {
        walk.journeys.stop_of(&back.transfer, participant, stands).is_some()
    };
    assert!(stop(&host, always));
    assert!(!stop(&alice_as("role", "guest"), always));
    assert!(!stop(&host, |transfer| &*transfer.id.name.name != "a"));
}

#[test]
fn one_participant_stops_nobody_else() {
    let members = vec![between("a", "x", "y", ""), between("b", "y", "x", "")];
    let mut walk = Walk::begin("x", members);
    assert!(walk.go(&alice(), at("12:00:00")) && !walk.go(&alice(), at("12:00:01")));
    let mut bob = alice();
    bob.identity = "bob".into();
    assert!(walk.go(&bob, at("12:00:02")));
    assert_eq!(&*walk.room, "x");
}

/// Goes between two rooms, each of which tells a replica of its own of who comes; the moves that were made.
fn between_replicas(members: &[TransferMember], participant: &Participant) -> Vec<String> {
    let set = TransferSet::new(members.to_vec(), vec![]);
    let mut replicas = [Journeys::default(), Journeys::default()];
    let (rooms, mut moves) = ([Arc::from("x"), Arc::from("y")], Vec::new());
    for second in 0..30 {
        let here = moves.len() % 2;
        let (way, now) = (way(members, &rooms[here]), at(&format!("12:00:{second:02}")));
        let back = || set.journey(&rooms[1 - here], &rooms[here], participant, now);
        if !replicas[here].permit(&way, participant, now, always, back) {
            assert_eq!(replicas[here].stops().count(), 1);
            break;
        }
        replicas[here].moved(&way, participant, &rooms[here], now);
        moves.push(way.transfer.id.name.name.to_string());
    }
    moves
}

#[test]
fn a_circle_of_which_each_replica_knows_a_part_ends_as_well() {
    for (names, expected) in [(["a", "b"], ["a", "b", "a"].as_slice()), (["b", "a"], &["b", "a"])] {
        let members = [between(names[0], "x", "y", ""), between(names[1], "y", "x", "")];
        assert_eq!(between_replicas(&members, &alice()), expected);
    }
}

#[test]
fn who_comes_back_without_being_sent_is_taken_each_time() {
    let members = [between("a", "x", "y", ""), between("b", "y", "x", BY_ROLE)];
    let (set, way) = (TransferSet::new(members.to_vec(), vec![]), way(&members, "x"));
    let mut journeys = Journeys::default();
    for second in 0..10 {
        let now = at(&format!("12:00:0{second}"));
        assert!(journeys.permit(&way, &alice(), now, always, || set.journey("y", "x", &alice(), now)));
        journeys.moved(&way, &alice(), &"x".into(), now);
    }
}

#[test]
fn a_journey_follows_the_moves_that_take_somebody() {
    let members = vec![
        between("a", "x", "y", ""),
        between("b", "y", "x", BY_ROLE),
        between("c", "y", "z", ""),
        between("d", "z", "x", ""),
    ];
    let set = TransferSet::new(members, vec![]);
    let names = |participant: &Participant, from, to| {
        let journey = set.journey(from, to, participant, at("12:00:00"));
        journey.iter().map(|way| way.transfer.id.name.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&alice_as("role", "host"), "y", "x"), ["b"]);
    assert_eq!(names(&alice(), "y", "x"), ["c", "d"]);
    // Round and round, and never there.
    assert_eq!(names(&alice(), "x", "elsewhere"), [""; 0]);
}
