//! How complete an answer has to be.

/// The rule of a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Require {
    /// Every shard.
    All,
    /// At least this share of the shards, above 0 and at most 1.
    Fraction(f64),
    /// At least so many shards.
    Count(u32),
    /// Whatever has come by the deadline, but at least one part.
    Deadline,
}

impl Require {
    /// How many parts the rule asks for, of so many shards: at least 1, for an answer from nobody is always an error.
    #[must_use]
    pub fn parts(self, shards: usize) -> usize {
        let parts = match self {
            Self::All => shards,
            // A share of a service's shards (at most 1,024) is exact in an f64.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            Self::Fraction(share) => (share * shards as f64 - 1e-9).ceil() as usize,
            Self::Count(count) => count as usize,
            Self::Deadline => 1,
        };
        parts.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_up() {
        assert_eq!(Require::Fraction(0.5).parts(4), 2);
        assert_eq!(Require::Fraction(0.5).parts(5), 3);
        assert_eq!(Require::Fraction(0.3).parts(10), 3);
        assert_eq!(Require::Fraction(1.0).parts(7), 7);
        assert_eq!(Require::Fraction(1e-12).parts(7), 1);
    }

    #[test]
    fn nobody_is_never_enough() {
        for rule in [Require::All, Require::Count(0), Require::Deadline, Require::Fraction(0.0)] {
            assert_eq!(rule.parts(0).max(1), 1);
        }
    }
}
