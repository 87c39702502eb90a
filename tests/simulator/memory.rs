//! That a hundred thousand participants fit.

use livekit_protocol::TrackSource;
use usher::simulator::{Join, Publication, Simulator};

use crate::support::options;

const PARTICIPANTS: i64 = 10_000;

#[test]
fn a_participant_who_publishes_takes_less_than_a_kibibyte() {
    let simulator = Simulator::new(options());
    let taken = allocation_counter::measure(|| {
        for number in 0..PARTICIPANTS {
            let (room, identity) = (format!("room-{}", number / 10), format!("participant-{number}"));
            simulator.join(Join::new(&room, &identity).attribute("role", "listener")).unwrap();
            simulator.publish(&room, &identity, &Publication::of(TrackSource::Microphone)).unwrap().unwrap();
        }
    });
    assert_eq!(simulator.counts(), (1000, 10_000));
    let each = taken.bytes_current / PARTICIPANTS;
    println!("{each} bytes each");
    assert!((100..1024).contains(&each), "{each} bytes each, with its part of the room");
}
