//! What happened in each call, told to whoever counts.

use std::fmt;
use std::time::{Duration, Instant};

/// The methods of LiveKit's RoomService that we call (livekit_room.proto).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// Rooms in session.
    ListRooms,
    /// All participants of a room.
    ListParticipants,
    /// One participant.
    GetParticipant,
    /// Change permission, metadata, name or attributes.
    UpdateParticipant,
    /// Disconnect a participant.
    RemoveParticipant,
    /// Mute or unmute one track.
    MutePublishedTrack,
    /// Show a participant in another room as well.
    ForwardParticipant,
    /// Take a participant into another room.
    MoveParticipant,
}

impl Method {
    /// Every method, in the order of the variants.
    pub const ALL: [Self; 8] = [
        Self::ListRooms,
        Self::ListParticipants,
        Self::GetParticipant,
        Self::UpdateParticipant,
        Self::RemoveParticipant,
        Self::MutePublishedTrack,
        Self::ForwardParticipant,
        Self::MoveParticipant,
    ];

    /// The name on the wire, and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ListRooms => "ListRooms",
            Self::ListParticipants => "ListParticipants",
            Self::GetParticipant => "GetParticipant",
            Self::UpdateParticipant => "UpdateParticipant",
            Self::RemoveParticipant => "RemoveParticipant",
            Self::MutePublishedTrack => "MutePublishedTrack",
            Self::ForwardParticipant => "ForwardParticipant",
            Self::MoveParticipant => "MoveParticipant",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One finished call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What was called.
    pub method: Method,
    /// `ok`, [`Error::label`](super::Error::label), or `cancelled` when the caller stopped waiting. Bounded, so that
    /// it can be the label of a metric.
    pub code: &'static str,
    /// From the first byte of work to the answer, connecting included.
    pub duration: Duration,
}

/// Told of every call. Must return at once: it runs on the task that waits for the answer.
///
/// Any closure that takes an [`Observation`] is one.
pub trait Observer: Send + Sync {
    /// A call has ended.
    fn observe(&self, call: &Observation);
}

impl<F: Fn(&Observation) + Send + Sync> Observer for F {
    fn observe(&self, call: &Observation) {
        self(call);
    }
}

/// Tells the observer when it is dropped, so that a cancelled call is counted as well.
pub(super) struct Watch<'a> {
    observer: Option<&'a dyn Observer>,
    method: Method,
    started: Instant,
    code: &'static str,
}

impl<'a> Watch<'a> {
    pub(super) fn start(observer: Option<&'a dyn Observer>, method: Method) -> Self {
        Self { observer, method, started: Instant::now(), code: "cancelled" }
    }

    pub(super) fn ended(&mut self, code: &'static str) {
        self.code = code;
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(observer) = self.observer {
            observer.observe(&Observation { method: self.method, code: self.code, duration: self.started.elapsed() });
        }
    }
}
