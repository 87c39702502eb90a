//! What a participant who is as declared costs while it is known.

use crate::support::{LiveKit, QUIET, Stage, speaker};

const PARTICIPANTS: i64 = 10_000;

#[test]
fn a_known_participant_with_a_track_takes_less_than_three_kibibytes() {
    let livekit = LiveKit::default();
    for number in 0..PARTICIPANTS {
        let mut somebody = speaker(&format!("participant-{number}"));
        somebody.permission.can_publish = false;
        somebody.name = format!("Participant {number}").into();
        somebody.attributes.insert("role".into(), "listener".into());
        livekit.add(&format!("hall-{}", number / 10), somebody);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let mut known = None;
    let taken = allocation_counter::measure(|| {
        known = Some(runtime.block_on(async {
            let mut stage = Stage::at(livekit, QUIET).await;
            stage.report(|report| report.participants == 10_000).await;
            stage
        }));
    });
    let each = taken.bytes_current / PARTICIPANTS;
    println!("{each} bytes each");
    assert!((200..3072).contains(&each), "{each} bytes each, with its part of the room");
}
