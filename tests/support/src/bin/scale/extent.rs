//! How much is measured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Sizes of a run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Extent {
    /// Who is there before anybody enforces.
    pub participants: usize,
    /// Rooms that they are in.
    pub rooms: usize,
    /// Policies: one for all rooms, the others for some rooms each.
    pub policies: usize,
    /// Joins a second, into the same rooms.
    pub joins_per_second: usize,
    /// For so many seconds.
    pub seconds: usize,
}

/// What the page shows.
pub const FULL: Extent =
    Extent { participants: 100_000, rooms: 10_000, policies: 1_000, joins_per_second: 2_000, seconds: 60 };
/// What a test runs.
pub const SMALL: Extent = Extent { participants: 500, rooms: 50, policies: 20, joins_per_second: 50, seconds: 3 };

/// How long everybody is awaited in one phase, beyond the joins themselves.
pub const PATIENCE: Duration = Duration::from_secs(100);

impl Extent {
    /// How many join.
    pub fn joins(self) -> usize {
        self.joins_per_second * self.seconds
    }

    /// Rooms that each policy but the first governs.
    pub fn rooms_each(self) -> usize {
        self.rooms.div_ceil(self.policies - 1)
    }

    /// The name of a room; it begins with its policy's number.
    pub fn room(self, number: usize) -> String {
        format!("room-{:04}-{number}", self.policy_of(number))
    }

    fn policy_of(self, room: usize) -> usize {
        1 + room / self.rooms_each()
    }
}
