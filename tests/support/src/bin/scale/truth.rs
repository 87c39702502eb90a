//! Whether everybody is as declared.

use livekit_protocol::{ParticipantInfo, TrackSource};

use super::{extent::Extent, floor::list, server::Server};

/// How many are not as the policies say, or are missing.
pub async fn undeclared(server: &Server, extent: Extent) -> usize {
    let everybody = list(&server.client()).await;
    let missing = (extent.participants + extent.joins()).saturating_sub(everybody.len());
    missing + everybody.iter().filter(|(room, info)| !is_declared(room, info)).count()
}

fn is_declared(room: &str, info: &ParticipantInfo) -> bool {
    let Some(permission) = &info.permission else { return false };
    let by_all = !permission.can_publish_data && !permission.can_subscribe;
    let sources: Vec<_> = permission.can_publish_sources.iter().map(|source| TrackSource::try_from(*source)).collect();
    let seat = info.attributes.get("seat").map(String::as_str);
    let number = room.split('-').nth(1).and_then(|number| number.parse::<u32>().ok()).unwrap_or_default();
    let by_own = if info.attributes.get("role").is_some_and(|role| role == "host") {
        sources.is_empty() && seat.is_none()
    } else {
        sources == [Ok(TrackSource::Camera)] && seat == Some(&format!("block-{number}"))
    };
    by_all && by_own && permission.can_publish
}
