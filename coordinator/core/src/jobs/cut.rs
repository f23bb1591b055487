//! What ends a job before its items do, and that it did.

/// When so many items have failed, the job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halt {
    /// At how many.
    pub at: HaltAt,
    /// What runs is stopped, too; else it may end.
    pub now: bool,
}

/// How many failed items are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaltAt {
    /// So many of all stages; at least 1.
    Items(u64),
    /// This share of those that a stage has, in hundredths, and at least three.
    Percent(u32),
}

impl HaltAt {
    /// Whether so many failed items of those that a stage has by now are too many. Those of all stages are counted apart.
    pub(crate) fn is_reached(self, (failed, items): (u64, u64), failed_in_all: u64) -> bool {
        match self {
            Self::Items(most) => failed_in_all >= most.max(1),
            Self::Percent(percent) => {
                failed >= LEAST && failed.saturating_mul(100) >= items.saturating_mul(u64::from(percent))
            }
        }
    }
}

/// Failed items that are a share of anything.
const LEAST: u64 = 3;

/// Whether a stage in which nothing succeeds ends its job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Breaker {
    /// Where that spares tries, or no attempt can even begin.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Why a job ends before its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// As many items have failed as [`Halt`] says.
    Halt,
    /// Its deadline is over.
    Deadline,
    /// Nothing of it was taken by anybody for too long.
    QueueTimeout,
    /// One of the first items of a stage, which had to succeed before the others begin, has failed.
    Canary {
        /// The stage.
        stage: u16,
    },
    /// Nothing succeeds in a stage.
    Breaker {
        /// The stage.
        stage: u16,
    },
    /// No worker can get the image of a stage.
    Image {
        /// The stage.
        stage: u16,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_counts_over_all_stages_and_a_share_in_one() {
        assert!(HaltAt::Items(3).is_reached((1, 100), 3));
        assert!(!HaltAt::Items(3).is_reached((2, 100), 2));
        assert!(HaltAt::Percent(5).is_reached((5, 100), 5));
        assert!(!HaltAt::Percent(5).is_reached((4, 100), 40));
    }

    #[test]
    fn fewer_than_three_are_no_share() {
        assert!(!HaltAt::Percent(5).is_reached((2, 2), 2));
        assert!(HaltAt::Percent(5).is_reached((3, 4), 3));
    }
}
