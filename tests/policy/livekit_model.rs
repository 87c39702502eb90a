//! What LiveKit does with the requests of a plan, as far as a participant is concerned.

use std::collections::BTreeMap;

use usher::policy::{Action, Participant, Sources, Track, Update};

/// Carries an action out; whether the participant is still there.
pub fn carry_out(participant: &mut Participant, action: &Action) -> bool {
    match action {
        Action::Remove { .. } => return false,
        Action::Mute { track, muted, .. } => {
            for known in participant.tracks.iter_mut().filter(|known| known.sid == *track) {
                known.muted = *muted;
            }
        }
        Action::Update(update) => update_participant(participant, update),
    }
    true
}

/// UpdateParticipant: the permission is replaced whole, attributes are merged, and what is empty is either skipped or
/// deleted.
fn update_participant(participant: &mut Participant, update: &Update) {
    if let Some(permission) = update.permission {
        participant.permission = permission;
        let may_stay = |track: &Track| may_publish(participant.permission.can_publish, permission.sources, track);
        participant.tracks.retain(may_stay);
    }
    if let Some(name) = update.name.as_deref().filter(|name| !name.is_empty()) {
        participant.name = name.into();
    }
    if let Some(metadata) = update.metadata.as_deref().filter(|metadata| !metadata.is_empty()) {
        participant.metadata = metadata.into();
    }
    let wire: BTreeMap<_, _> =
        update.attributes.iter().map(|(key, value)| (key.to_string(), value.as_deref().unwrap_or_default())).collect();
    for (key, value) in wire {
        if value.is_empty() {
            participant.attributes.remove(key.as_str());
        } else {
            participant.attributes.insert(key.into(), value.into());
        }
    }
    participant.version += 1;
}

/// A participant publishes a track; whether the server lets it.
pub fn publish(participant: &mut Participant, track: Track) -> bool {
    let allowed = may_publish(participant.permission.can_publish, participant.permission.sources, &track);
    if allowed {
        participant.tracks.push(track);
    }
    allowed
}

/// An empty list of sources is every source, and only what the client claims is looked at.
fn may_publish(can_publish: bool, sources: Sources, track: &Track) -> bool {
    let claimed = track.claimed.map_or(0, |source| source as i32 + 1);
    can_publish && (sources.numbers().next().is_none() || sources.numbers().any(|number| number == claimed))
}
