//! How complete an answer has to be.

use std::fmt;

use crate::tally::Tally;

/// Sums of weights are not exact to the last bit.
const NEARLY: f64 = 1e-9;

/// The rule of a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Require {
    /// Every shard, whole.
    All,
    /// At least this share of the service by weight, above 0 and at most 1. What a part lacks of its shard does not count.
    Fraction(f64),
    /// At least so many shards, each whole.
    Count(u32),
    /// Whatever has come by the deadline, but at least one part.
    Deadline,
}

impl Require {
    /// Whether what has come is enough. Nobody is never enough.
    #[must_use]
    pub(crate) fn is_met(self, tally: &Tally) -> bool {
        let enough = match self {
            Self::All => tally.whole() == tally.shards(),
            Self::Fraction(share) => tally.covered() + NEARLY >= share,
            Self::Count(count) => tally.whole() >= count as usize,
            Self::Deadline => true,
        };
        enough && tally.parts() > 0
    }

    /// Whether it can be enough, if all that is out comes whole.
    #[must_use]
    pub(crate) fn can_be_met(self, tally: &Tally) -> bool {
        let enough = match self {
            Self::All => tally.whole() + tally.out() == tally.shards(),
            Self::Fraction(share) => tally.coverable() + NEARLY >= share,
            Self::Count(count) => tally.whole() + tally.out() >= count as usize,
            Self::Deadline => true,
        };
        enough && tally.parts() + tally.out() > 0
    }

    /// Whether the query ends before its deadline once this is met: the caller has said what is enough.
    #[must_use]
    pub(crate) fn ends_early(self) -> bool {
        matches!(self, Self::Fraction(_) | Self::Count(_))
    }

    /// What it asks for, of so many shards that weigh so much together.
    #[must_use]
    pub(crate) fn asks(self, shards: usize, weight: u64) -> Required {
        match self {
            Self::All => Required::Parts(shards.max(1)),
            // Where all shards weigh the same a share of them is a number of them.
            Self::Fraction(share) if weight == shards as u64 => Required::Parts(ceiling(share, shards).max(1)),
            Self::Fraction(share) => Required::Share(share),
            Self::Count(count) => Required::Parts((count as usize).max(1)),
            Self::Deadline => Required::Parts(1),
        }
    }
}

/// What a rule asks for, of one service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Required {
    /// So many shards, at least 1.
    Parts(usize),
    /// This share by weight.
    Share(f64),
}

impl fmt::Display for Required {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parts(parts) => write!(f, "{parts} are required"),
            Self::Share(share) => write!(f, "a share of {share} by weight is required"),
        }
    }
}

/// A share of a number of shards (at most 1,024, exact in an f64), rounded up.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn ceiling(share: f64, shards: usize) -> usize {
    (share * shards as f64 - NEARLY).ceil() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::State;

    fn parts(share: f64, shards: usize) -> Required {
        Require::Fraction(share).asks(shards, shards as u64)
    }

    #[test]
    fn shares_are_rounded_up() {
        assert_eq!(parts(0.5, 4), Required::Parts(2));
        assert_eq!(parts(0.5, 5), Required::Parts(3));
        assert_eq!(parts(0.3, 10), Required::Parts(3));
        assert_eq!(parts(1.0, 7), Required::Parts(7));
        assert_eq!(parts(1e-12, 7), Required::Parts(1));
        assert_eq!(Require::Fraction(0.5).asks(2, 10).to_string(), "a share of 0.5 by weight is required");
    }

    #[test]
    fn nobody_is_never_enough() {
        for rule in [Require::All, Require::Count(0), Require::Deadline, Require::Fraction(0.0)] {
            assert!(!rule.is_met(&Tally::of(&[])) && !rule.can_be_met(&Tally::of(&[])), "{rule:?}");
            let mut tally = Tally::of(&[1]);
            assert!(!rule.is_met(&tally) && rule.can_be_met(&tally), "{rule:?}");
            tally.note(0, State::Missing);
            assert!(!rule.is_met(&tally) && !rule.can_be_met(&tally), "{rule:?}");
        }
    }

    #[test]
    fn a_part_that_is_not_whole_counts_for_no_number_and_for_its_share() {
        let mut tally = Tally::of(&[1, 1]);
        tally.note(0, State::InPart(0.5));
        assert!(!Require::All.can_be_met(&tally) && Require::Count(1).can_be_met(&tally));
        assert!(!Require::Count(1).is_met(&tally) && Require::Deadline.is_met(&tally));
        assert!(Require::Fraction(0.25).is_met(&tally) && !Require::Fraction(0.26).is_met(&tally));
        assert!(Require::Fraction(0.75).can_be_met(&tally) && !Require::Fraction(0.76).can_be_met(&tally));
    }

    #[test]
    fn a_heavy_shard_is_a_larger_share() {
        let mut tally = Tally::of(&[8, 1, 1]);
        tally.note(0, State::Whole);
        assert!(Require::Fraction(0.8).is_met(&tally) && !Require::Fraction(0.9).is_met(&tally));
    }
}
