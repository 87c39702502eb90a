use crate::{
    manifest::{Place::*, list},
    refused::{check, refused},
};

#[tokio::test]
async fn permission() {
    check(vec![
        refused(Rule, "set: {}", "spec.rules[0].set", "give at least one of permission, metadata"),
        refused(
            Set,
            "permission: {}",
            "spec.rules[0].set.permission",
            "give at least one permission, like canPublish: false",
        ),
        refused(
            Set,
            "permission: {canPublish: false, canPublishSources: [Camera]}",
            "spec.rules[0].set.permission.canPublishSources",
            "remove canPublishSources, or make canPublish true",
        ),
        refused(Set, "permission: {canPublishSources: []}", "permission.canPublishSources", "at least 1 items"),
        refused(
            Set,
            "permission: {canPublishSources: [camera]}",
            "permission.canPublishSources[0]",
            "\"Camera\", \"Microphone\", \"ScreenShare\", \"ScreenShareAudio\"",
        ),
        refused(
            Set,
            "permission: {canPublishSources: [Camera, Camera]}",
            "permission.canPublishSources[1]",
            "Duplicate value",
        ),
        refused(Set, "permission: {canPublish: 'true'}", "permission.canPublish", "must be of type boolean"),
        refused(Set, "permission: {hidden: true}", "spec.rules[0].set.permission.hidden", "unknown field"),
        refused(Set, "permission: {canPublishVideo: true}", "permission.canPublishVideo", "unknown field"),
    ])
    .await;
}

#[tokio::test]
async fn texts() {
    check(vec![
        refused(Set, "name: ''", "spec.rules[0].set.name", "at least 1 chars long"),
        refused(Set, format!("name: {}", "n".repeat(257)), "spec.rules[0].set.name", "more than 256"),
        refused(Set, format!("name: {}", "é".repeat(129)), "spec.rules[0].set.name", "at most 256 bytes in UTF-8"),
        refused(Set, "metadata: ''", "spec.rules[0].set.metadata", "at least 1 chars long"),
        refused(Set, "metadata: 7", "spec.rules[0].set.metadata", "must be of type string"),
        refused(Set, format!("metadata: {}", "m".repeat(32769)), "spec.rules[0].set.metadata", "more than 32768"),
        refused(
            Set,
            format!("metadata: {}", "é".repeat(16385)),
            "spec.rules[0].set.metadata",
            "at most 32768 bytes in UTF-8",
        ),
    ])
    .await;
}

#[tokio::test]
async fn attributes() {
    let at = "spec.rules[0].set.attributes";
    let remove = "spec.rules[0].set.removeAttributes";
    let own = "LiveKit's own: choose another key";
    check(vec![
        refused(Set, "attributes: {}", at, "at least 1 properties"),
        refused(Set, "attributes: {seat: ''}", "spec.rules[0].set.attributes.seat", "at least 1 chars long"),
        refused(Set, "attributes: {seat: 7}", "spec.rules[0].set.attributes.seat", "must be of type string"),
        refused(Set, "attributes: {'': a}", at, "a key of attributes has 1 to 256 characters"),
        refused(Set, format!("attributes: {{{}: a}}", "k".repeat(257)), at, "1 to 256 characters"),
        refused(Set, format!("attributes: {{a: {}}}", "v".repeat(257)), "set.attributes.a", "more than 256"),
        refused(Set, format!("attributes: {{a: {}}}", "é".repeat(129)), "set.attributes", "at most 256 bytes in UTF-8"),
        refused(
            Set,
            format!("attributes: {}", list(33, |n| format!("k{n}: v")).replace('[', "{").replace(']', "}")),
            at,
            "must have at most 32 items",
        ),
        refused(Set, "attributes: {lk.agent.state: a}", at, own),
        refused(Set, "attributes: {sip.phoneNumber: a}", at, own),
        refused(Set, "attributes: {ingress.x: a}", at, own),
        refused(Set, "removeAttributes: []", remove, "at least 1 items"),
        refused(Set, "removeAttributes: ['']", "set.removeAttributes[0]", "at least 1 chars long"),
        refused(Set, "removeAttributes: [a, b, a]", "set.removeAttributes[2]", "Duplicate value"),
        refused(Set, "removeAttributes: [sip.trunkID]", remove, "removeAttributes may not name them"),
        refused(Set, "removeAttributes: [seat, lk.x]", remove, "removeAttributes may not name them"),
        refused(
            Set,
            "{attributes: {seat: a, role: b}, removeAttributes: [raised, role]}",
            remove,
            "leave it in one of the two",
        ),
        refused(
            Set,
            format!("removeAttributes: {}", list(33, |n| format!("k{n}"))),
            remove,
            "must have at most 32 items",
        ),
    ])
    .await;
}

#[tokio::test]
async fn mute() {
    let at = "spec.rules[0].mute";
    check(vec![
        refused(Rule, "mute: {muted: false, repeat: Always}", at, "muted: false allows only repeat: OncePerTrack"),
        refused(Rule, "mute: {repeat: Once}", "spec.rules[0].mute.repeat", "\"Always\", \"OncePerTrack\""),
        refused(Rule, "mute: {sources: []}", "spec.rules[0].mute.sources", "at least 1 items"),
        refused(Rule, "mute: {sources: [Audio]}", "spec.rules[0].mute.sources[0]", "\"Camera\", \"Microphone\""),
        refused(Rule, "mute: {sources: [Camera, Camera]}", "spec.rules[0].mute.sources[1]", "Duplicate value"),
        refused(Rule, "mute: true", at, "must be of type object"),
    ])
    .await;
}
