//! Whether anything is left behind.
//!
//! The first third of the samples is for warming up: pools, buffers and what is remembered for a while fill up to their
//! bounds. The last third is held against the second.

use crate::sample::Sample;

/// How much more memory the last third may have than the second, median against median, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance(pub u64);

impl Tolerance {
    /// For an hour: the allocator's noise.
    pub const STRICT: Self = Self(1 << 20);
    /// For seconds, in which nothing is warm yet.
    pub const LOOSE: Self = Self(16 << 20);
}

/// Files are read on threads of their own that are kept for a moment: there may be one more in all of a few samples.
const BLOCKING: usize = 1;

/// What is counted.
type Count = fn(&Sample) -> usize;

/// What is left behind, in words.
pub fn judge(samples: &[Sample], tolerance: Tolerance) -> Vec<String> {
    let third = samples.len() / 3;
    if third == 0 {
        return vec![format!("{} samples tell nothing", samples.len())];
    }
    let (second, last) = samples[samples.len() - 2 * third..].split_at(third);
    let mut findings = Vec::new();
    let (before, after) = (memory(second), memory(last));
    if after > before + tolerance.0 {
        findings.push(format!("memory grew from {} to {} KiB", before / 1024, after / 1024));
    }
    let counts: [(&str, Count, usize); 3] = [
        ("tasks", |sample| sample.tasks, 0),
        ("file descriptors", |sample| sample.descriptors, 0),
        ("threads", |sample| sample.threads, BLOCKING),
    ];
    for (what, count, more) in counts {
        // One more at times is something under way; where all of them are more, something does not end.
        let lowest = |samples: &[Sample]| samples.iter().map(count).min().unwrap_or_default();
        let (before, after) = (lowest(second), lowest(last));
        if after > before + more {
            findings.push(format!("{what} rose from {before} to {after}"));
        }
    }
    findings
}

fn memory(samples: &[Sample]) -> u64 {
    let mut all: Vec<u64> = samples.iter().map(|sample| sample.anonymous).collect();
    all.sort_unstable();
    all[all.len() / 2]
}

mod tests {
    use std::time::Duration;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// An hour of a cycle a minute, that uses this much at its end.
    fn hour(memory: impl Fn(u64) -> u64, count: impl Fn(usize) -> [usize; 3]) -> Vec<Sample> {
        let cycle = |number: usize| {
            let [descriptors, threads, tasks] = count(number);
            let (at, anonymous) = (Duration::from_secs(60) * number as u32, memory(number as u64));
            Sample { at, joined: 0, resident: 0, anonymous, descriptors, threads, tasks }
        };
        (0..60).map(cycle).collect()
    }

    fn found(memory: impl Fn(u64) -> u64, count: impl Fn(usize) -> [usize; 3]) -> Vec<String> {
        judge(&hour(memory, count), Tolerance::STRICT)
    }

    #[test]
    fn what_warms_up_and_then_stays_is_no_leak() {
        let warm = |cycle: u64| 30 * MIB - ((19 * MIB) >> cycle.min(63));
        assert_eq!(found(warm, |_| [20, 5, 12]), Vec::<String>::new());
        let noisy = |cycle: u64| 20 * MIB + cycle * 7919 % 13 * MIB / 8;
        assert_eq!(found(noisy, |cycle| [20 + cycle % 2, 5, 12 + cycle % 3]), Vec::<String>::new());
        // Less is none either.
        assert_eq!(found(|cycle| (90 - cycle) * MIB, |cycle| [90 - cycle; 3]), Vec::<String>::new());
    }

    #[test]
    fn memory_that_grows_by_some_kibibytes_a_cycle_is_noticed() {
        assert_eq!(found(|cycle| 20 * MIB + cycle * (64 << 10), |_| [9; 3]), ["memory grew from 22400 to 23680 KiB"]);
        // Below the tolerance, which twenty cycles of the rate above exceed.
        assert_eq!(found(|cycle| 20 * MIB + cycle * (48 << 10), |_| [9; 3]), Vec::<String>::new());
    }

    #[test]
    fn one_that_does_not_end_in_some_cycles_is_noticed() {
        let every_tenth = |cycle: usize| cycle / 10;
        let all = found(|_| 20 * MIB, |cycle| [9 + every_tenth(cycle), 9 + cycle / 5, 9 + every_tenth(cycle)]);
        let rose = ["tasks rose from 11 to 13", "file descriptors rose from 11 to 13", "threads rose from 13 to 17"];
        assert_eq!(all, rose);
        let noisy = |cycle: usize| [20, 5, 12 + every_tenth(cycle) + cycle % 3];
        assert_eq!(found(|_| 20 * MIB, noisy), ["tasks rose from 14 to 16"]);
    }

    #[test]
    fn too_few_samples_are_no_proof() {
        let two = &hour(|_| MIB, |_| [1; 3])[..2];
        assert_eq!(judge(two, Tolerance::LOOSE), ["2 samples tell nothing"]);
    }
}
