//! Muting and unmuting.

use serde_json::{Value, json};

use crate::case::{Case, JSON, PROTOBUF, Step};

fn mute(track: &str, muted: bool) -> Value {
    json!({"identity": "ann", "track_sid": track, "muted": muted})
}

pub fn cases() -> Vec<Case> {
    let microphone = "$track:ann:MICROPHONE";
    let ann = |name: &str| Case::new(name).with("ann").publishing("audio", "MICROPHONE").publishing("video", "CAMERA");
    let step = |track, muted| Step::new("MutePublishedTrack", JSON, mute(track, muted));
    let get = |case: Case| case.call("GetParticipant", json!({"identity": "ann"}));
    vec![
        get(ann("a mute").step(step(microphone, true))),
        get(ann("a mute, protobuf").step(Step::new("MutePublishedTrack", PROTOBUF, mute(microphone, true)))),
        get(ann("a mute, twice").step(step(microphone, true)).step(step(microphone, true))),
        get(ann("a mute of a track that is not there").step(step("TR_nothing", true))),
        get(ann("a mute of a track without a sid").step(step("", true))),
        get(ann("an unmute that is not allowed").step(step(microphone, true)).step(step(microphone, false))),
        ann("an unmute of what is not muted").step(step(microphone, false)),
        ann("an unmute of a track that is not there").step(step("TR_nothing", false)),
        get(ann("an unmute that is allowed")
            .allowing_unmute()
            .step(step(microphone, true))
            .step(step(microphone, false))),
        get(ann("an unmute of what is not muted, allowed").allowing_unmute().step(step(microphone, false))),
        get(ann("an unmute of a track that is not there, allowed").allowing_unmute().step(step("TR_nothing", false))),
        Case::new("a mute of who publishes nothing").with("ann").step(step("TR_nothing", true)),
        Case::new("a mute of somebody else").with("bob").step(step("TR_nothing", true)),
        Case::new("an unmute of somebody else").with("bob").step(step("TR_nothing", false)),
        ann("a mute and a permission without it").step(step(microphone, true)).step(Step::new(
            "UpdateParticipant",
            JSON,
            json!({"identity": "ann", "permission": {"can_publish": true, "can_publish_sources": ["CAMERA"]}}),
        )),
    ]
}
