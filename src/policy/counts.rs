//! The numbers and samples that stand in a status, of a policy as of a forward or a move.

use std::{
    collections::{BTreeSet, btree_set},
    ops::{AddAssign, Deref},
};

use crate::api::Sample;

/// The most samples a status has.
pub const MAX_SAMPLES: usize = 20;
/// The most characters of a value that stand in a sample.
const MAX_CHARACTERS: usize = 64;

/// How many participants are how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rooms in session that it is about; of a forward or move, its source rooms.
    pub rooms: u32,
    /// Participants that it matches.
    pub participants: u32,
    /// Of those, the ones that are as declared.
    pub compliant: u32,
    /// Of those, the ones for which something is still to be done.
    pub pending: u32,
    /// Of those, the ones for whom it cannot be done.
    pub failed: u32,
    /// In Audit: what would be done, one for each field of a policy and each destination of a forward.
    pub violations: u32,
}

impl Counts {
    /// How many are not as declared, each of which has a sample at least.
    #[must_use]
    pub fn open(&self) -> usize {
        (self.pending + self.failed + self.violations) as usize
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.rooms += other.rooms;
        self.participants += other.participants;
        self.compliant += other.compliant;
        self.pending += other.pending;
        self.failed += other.failed;
        self.violations += other.violations;
    }
}

/// What is not as declared: the first 20 of all that is added, sorted, values cut at 64 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples(BTreeSet<Sample>);

impl Samples {
    /// Adds one, if it is among the first.
    pub fn add(&mut self, mut sample: Sample) {
        [&mut sample.wanted, &mut sample.seen].into_iter().flatten().for_each(cut);
        self.0.insert(sample);
        if self.0.len() > MAX_SAMPLES {
            self.0.pop_last();
        }
    }

    /// Whether one about this participant would be among the last of too many, so that it need not be made.
    #[must_use]
    pub fn is_beyond(&self, room: &str, identity: &str) -> bool {
        let last = self.0.last().filter(|_| self.0.len() == MAX_SAMPLES);
        last.is_some_and(|last| (last.room.as_str(), last.identity.as_str()) < (room, identity))
    }
}

impl Deref for Samples {
    type Target = BTreeSet<Sample>;

    fn deref(&self) -> &BTreeSet<Sample> {
        &self.0
    }
}

impl Extend<Sample> for Samples {
    fn extend<I: IntoIterator<Item = Sample>>(&mut self, samples: I) {
        samples.into_iter().for_each(|sample| self.add(sample));
    }
}

impl FromIterator<Sample> for Samples {
    fn from_iter<I: IntoIterator<Item = Sample>>(samples: I) -> Self {
        let mut all = Self::default();
        all.extend(samples);
        all
    }
}

impl IntoIterator for Samples {
    type Item = Sample;
    type IntoIter = btree_set::IntoIter<Sample>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

fn cut(value: &mut String) {
    if let Some((end, _)) = value.char_indices().nth(MAX_CHARACTERS) {
        value.truncate(end);
    }
}
