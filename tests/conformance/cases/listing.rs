//! What is seen of participants.

use serde_json::{Value, json};

use crate::case::Case;

/// The claims of a token with these grants.
fn grants(video: Value) -> Value {
    json!({"video": video})
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // What a token says, and what is made of it.
    for (name, claims) in [
        ("nothing", json!({})),
        (
            "everything",
            json!({"name": "Ann ü", "metadata": "{\"a\": \"<b>\"}", "attributes": {"role": "host", "": "empty"}}),
        ),
        ("may not publish", grants(json!({"canPublish": false}))),
        ("may publish data alone", grants(json!({"canPublish": false, "canPublishData": true}))),
        ("may publish no data", grants(json!({"canPublishData": false}))),
        ("may not subscribe", grants(json!({"canSubscribe": false}))),
        ("may publish sources", grants(json!({"canPublishSources": ["camera", "screen_share_audio"]}))),
        ("may publish no sources", grants(json!({"canPublishSources": []}))),
        ("may publish unknown sources", grants(json!({"canPublishSources": ["nonsense"]}))),
        ("may publish sources and not publish", grants(json!({"canPublish": false, "canPublishSources": ["camera"]}))),
        ("may change itself", grants(json!({"canUpdateOwnMetadata": true}))),
        ("may see metrics", grants(json!({"canSubscribeMetrics": true}))),
        ("may manage sessions", grants(json!({"canManageAgentSession": true}))),
        ("hidden", grants(json!({"hidden": true}))),
        ("recorder", grants(json!({"recorder": true, "hidden": true}))),
        ("a flagged agent", grants(json!({"agent": true}))),
        ("agent", json!({"kind": "agent"})),
        ("egress", json!({"kind": "egress"})),
        ("ingress", json!({"kind": "ingress"})),
        ("sip", json!({"kind": "sip"})),
        ("connector", json!({"kind": "connector"})),
        ("of unknown kind", json!({"kind": "nonsense"})),
        ("with details", json!({"kind": "connector", "kindDetails": ["connector_whatsapp", "nonsense"]})),
    ] {
        let get = json!({"identity": "ann"});
        cases.push(Case::new(format!("a participant: {name}")).with_claims("ann", claims).call("GetParticipant", get));
    }
    let claims = json!({"name": "Ann", "metadata": "m", "attributes": {"role": "host"}});
    let ann = |name: &str| Case::new(name).with_claims("ann", claims.clone());
    cases.extend([
        ann("a participant, protobuf").call_protobuf("GetParticipant", json!({"identity": "ann"})),
        ann("a participant who publishes")
            .publishing("audio", "MICROPHONE")
            .publishing("video", "CAMERA")
            .call("GetParticipant", json!({"identity": "ann"})),
        ann("a participant who publishes, protobuf")
            .publishing("audio", "SCREEN_SHARE_AUDIO")
            .call_protobuf("GetParticipant", json!({"identity": "ann"})),
        ann("somebody else").call("GetParticipant", json!({"identity": "Ann"})),
        ann("nobody").call("GetParticipant", json!({})),
        ann("somebody in another room").call("GetParticipant", json!({"room": "$other", "identity": "ann"})),
        ann("everybody").with("bob").call("ListParticipants", json!({})),
        ann("everybody, protobuf").with("bob").call_protobuf("ListParticipants", json!({})),
        ann("everybody, hidden ones too")
            .with_claims("bob", grants(json!({"hidden": true})))
            .with_claims("cid", json!({"kind": "agent"}))
            .call("ListParticipants", json!({})),
        ann("who comes again is one").with("ann").call("ListParticipants", json!({})),
        Case::new("a room without a name").call("ListParticipants", json!({"room": ""})),
    ]);
    cases
}
