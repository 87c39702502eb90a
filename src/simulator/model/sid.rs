//! LiveKit's names of things: a prefix and twelve characters (livekit/protocol utils/guid).

use std::fmt::{self, Display};

const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A name, kept as the number it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sid {
    prefix: &'static str,
    number: u64,
}

impl Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.prefix)?;
        let mut rest = self.number;
        // Eleven would hold every number.
        for _ in 0..12 {
            let letter = LETTERS[usize::try_from(rest % 62).unwrap_or_default()];
            write!(f, "{}", char::from(letter))?;
            rest /= 62;
        }
        Ok(())
    }
}

/// Makes names: no two the same, all the same under the same seed.
#[derive(Debug)]
pub(super) struct Sids {
    seed: u64,
    made: u64,
}

impl Sids {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, made: 0 }
    }

    pub(super) fn make(&mut self, prefix: &'static str) -> Sid {
        self.made += 1;
        // The finalizer of SplitMix64, which maps no two numbers to one.
        let mut number = self.seed.wrapping_add(self.made.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Sid { prefix, number: number ^ (number >> 31) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unlike_and_repeatable() {
        let make = |seed| {
            let mut sids = Sids::new(seed);
            (0..1000).map(|_| sids.make("PA_").to_string()).collect::<Vec<_>>()
        };
        let names = make(7);
        assert!(names.iter().all(|name| name.len() == 15 && name.starts_with("PA_")));
        assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), 1000);
        assert_eq!(names, make(7));
        assert_ne!(names, make(8));
    }
}
