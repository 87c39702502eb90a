//! What LiveKit Cloud does beyond the open-source server: forwards, moves, revocation.

use std::sync::Arc;

use livekit_protocol::{
    DisconnectReason,
    participant_info::{Kind, State},
};

use super::{Change, Missing, Model, Participant, Publication, Track};
use crate::simulator::clock::Moment;

/// Revocations kept. The oldest tokens of LiveKit's own libraries are good for six hours.
const MOST_REVOKED: usize = 1 << 16;
const OLDEST_TOKEN: i64 = 6 * 3600;
/// Moves kept until those who were moved ask.
const MOST_MOVED: usize = 100_000;

/// Why somebody cannot be forwarded or moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferError {
    /// It is not there.
    Missing,
    /// Somebody else has the identity in the destination. What LiveKit Cloud does then is not documented; this is the
    /// outcome in which nobody is thrown out.
    IdentityInUse,
    /// Agents, recorders and copies cannot be moved.
    Immovable,
}

impl From<Missing> for TransferError {
    fn from(_: Missing) -> Self {
        Self::Missing
    }
}

impl Model {
    /// Whether webhooks tell of its coming and going.
    pub(super) fn announces(&self, participant: &Participant) -> bool {
        participant.copy_of.is_none() || self.announces_copies()
    }

    fn announces_copies(&self) -> bool {
        self.cloud.is_some_and(|cloud| cloud.announces_copies)
    }

    /// Shows a participant in another room as well, until it leaves or the copy is removed. Again is nothing new.
    pub(in crate::simulator) fn forward(
        &mut self,
        room: &str,
        identity: &str,
        destination: &str,
        now: Moment,
    ) -> Result<(), TransferError> {
        self.find(room, identity)?;
        match self.find(destination, identity) {
            Ok(copy) if copy.copy_of.as_deref() == Some(room) => return Ok(()),
            Ok(_) => return Err(TransferError::IdentityInUse),
            Err(_) => {}
        }
        self.open(destination, now);
        let sid = self.sids.make("PA_");
        let Some((source, _)) = self.rooms.get_key_value(room) else { return Err(TransferError::Missing) };
        let copy = self.find(room, identity)?.copy(sid, Arc::clone(source), now);
        let Some(target) = self.rooms.get(destination) else { return Err(TransferError::Missing) };
        let name = Arc::clone(&target.name);
        let info = copy.info();
        let announced = copy.state == State::Active && self.announces_copies();
        self.enter(destination, copy, now);
        self.with(room, identity, |source| source.copies.push(name))?;
        if announced {
            self.tell_of_participant(now, "participant_joined", destination, Some(info));
        }
        self.mirror_tracks(room, identity, now);
        Ok(())
    }

    /// Takes a participant into another room, where it has a new sid. Its copies end.
    pub(in crate::simulator) fn move_to(
        &mut self,
        room: &str,
        identity: &str,
        destination: &str,
        now: Moment,
    ) -> Result<(), TransferError> {
        let participant = self.find(room, identity)?;
        if participant.copy_of.is_some() || matches!(participant.kind, Kind::Agent | Kind::Egress) {
            return Err(TransferError::Immovable);
        }
        if self.has(destination, identity) {
            return Err(TransferError::IdentityInUse);
        }
        let mut moved = participant.clone();
        self.open(destination, now);
        self.remove_session(room, identity, DisconnectReason::Migration, now);
        moved.sid = self.sids.make("PA_");
        moved.joined = now;
        moved.version = 2;
        moved.copies.clear();
        let announced = moved.state == State::Active && self.announces_copies();
        let (info, who, tracks) = (moved.info(), moved.who(), moved.tracks.clone());
        self.enter(destination, moved, now);
        if self.moved.len() < MOST_MOVED {
            self.moved.insert((room.to_owned(), identity.to_owned()), destination.to_owned());
        }
        if announced {
            self.tell_of_participant(now, "participant_joined", destination, Some(info));
            for track in &tracks {
                self.tell_of_track(now, "track_published", destination, who.clone(), track);
            }
        }
        Ok(())
    }

    /// Where somebody was moved to, and its session there; told once.
    pub(in crate::simulator) fn take_move(&mut self, room: &str, identity: &str) -> Option<(String, String)> {
        // Most servers move nobody.
        if self.moved.is_empty() {
            return None;
        }
        let destination = self.moved.remove(&(room.to_owned(), identity.to_owned()))?;
        let sid = self.session(&destination, identity)?;
        Some((destination, sid))
    }

    pub(super) fn revoke(&mut self, room: &str, identity: &str, before: i64, now: Moment) {
        if self.revoked.len() >= MOST_REVOKED {
            self.revoked.retain(|_, before| *before > now.seconds() - OLDEST_TOKEN);
        }
        if self.revoked.len() < MOST_REVOKED {
            self.revoked.insert((room.to_owned(), identity.to_owned()), before);
        }
    }

    /// Gives the copies what the source was given.
    pub(super) fn mirror_change(&mut self, room: &str, identity: &str, change: &Change) {
        for copy in self.copies(room, identity) {
            // A copy that was removed meanwhile is no longer in the list; the list is short-lived.
            let _ = self.change(&copy, identity, change);
        }
    }

    /// Gives the copies the tracks of the source, as far as they may have them, in its order.
    pub(super) fn mirror_tracks(&mut self, room: &str, identity: &str, now: Moment) {
        for copy in self.copies(room, identity) {
            let Ok(source) = self.find(room, identity) else { return };
            let wanted: Vec<Track> = source.tracks.clone();
            let Ok(present) = self.find(&copy, identity) else { continue };
            // What a copy's track is of is told by its mid, which it has from the source's.
            let gone: Vec<_> = (present.tracks.iter())
                .filter(|track| wanted.iter().all(|wanted| wanted.mid != track.mid))
                .map(|track| track.sid.to_string())
                .collect();
            let known: Vec<_> = present.tracks.iter().map(|track| track.mid).collect();
            for track in gone {
                let _ = self.unpublish(&copy, identity, &track, now);
            }
            for track in wanted {
                if known.contains(&track.mid) {
                    let _ = self.with(&copy, identity, |copy| {
                        copy.tracks.iter_mut().filter(|known| known.mid == track.mid).for_each(|known| {
                            known.muted = track.muted;
                        });
                    });
                } else {
                    self.mirror_track(&copy, identity, &track, now);
                }
            }
        }
    }

    fn mirror_track(&mut self, room: &str, identity: &str, track: &Track, now: Moment) {
        let publication =
            Publication { media: track.media, source: track.source, name: track.name.to_string(), muted: track.muted };
        let Ok(Some(sid)) = self.publish(room, identity, &publication, now) else { return };
        let _ = self.with(room, identity, |copy| {
            copy.tracks.iter_mut().filter(|known| known.sid.to_string() == sid).for_each(|known| known.mid = track.mid);
        });
    }

    /// What becomes of the copies of somebody who has gone, and of the source's list when a copy has.
    pub(super) fn retire_copies(&mut self, room: &str, gone: &Participant, now: Moment) {
        for copy in &gone.copies {
            if self.find(copy, &gone.identity).is_ok_and(|copy| copy.copy_of.as_deref() == Some(room)) {
                self.remove_session(copy, &gone.identity, DisconnectReason::ParticipantRemoved, now);
            }
        }
        if let Some(source) = &gone.copy_of {
            let _ = self.with(source, &gone.identity, |source| source.copies.retain(|copy| **copy != *room));
        }
    }

    fn copies(&self, room: &str, identity: &str) -> Vec<Arc<str>> {
        self.find(room, identity).map(|participant| participant.copies.clone()).unwrap_or_default()
    }
}
