//! How complete what is gathered has to be.

/// The rule of a stage that gathers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Require {
    /// Nothing of it is missing.
    #[default]
    All,
    /// One of its inputs came through.
    Any,
    /// So many of its inputs came through, or all where there are fewer.
    Count(u64),
    /// That share of its inputs came through, in millionths: above 0 and at most a million.
    Millionths(u32),
}

impl Require {
    /// Whether so many of so many inputs may be missing.
    #[must_use]
    pub fn is_met(self, inputs: u64, missing: u64) -> bool {
        let came = inputs.saturating_sub(missing);
        match self {
            Self::All => missing == 0,
            Self::Any => came >= inputs.min(1),
            Self::Count(count) => came >= count.min(inputs),
            Self::Millionths(share) => u128::from(came) * 1_000_000 >= u128::from(inputs) * u128::from(share),
        }
    }

    /// Whether it may run although something is missing.
    #[must_use]
    pub fn is_partial(self) -> bool {
        self != Self::All
    }
}

#[cfg(test)]
mod tests {
    use super::Require::{All, Any, Count, Millionths};

    #[test]
    fn rules_are_met_by_exactly_what_they_ask_for() {
        for (rule, inputs, most_missing) in [
            (All, 10, 0),
            (Any, 10, 9),
            (Count(3), 10, 7),
            (Count(3), 2, 0),
            (Millionths(950_000), 100, 5),
            (Millionths(950_000), 10, 0),
            (Millionths(1), 10, 9),
            (Millionths(1_000_000), 10, 0),
        ] {
            assert!(rule.is_met(inputs, most_missing), "{rule:?} of {inputs} without {most_missing}");
            assert!(!rule.is_met(inputs, most_missing + 1), "{rule:?} of {inputs} without {}", most_missing + 1);
        }
    }

    #[test]
    fn of_nothing_nothing_is_missing() {
        for rule in [All, Any, Count(3), Millionths(500_000)] {
            assert!(rule.is_met(0, 0));
        }
    }
}
