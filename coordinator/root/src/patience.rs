//! How long a query that has enough waits for the rest: as long again as what it has took, within bounds.
//!
//! Shards that are merely a little slower come along; one that hangs costs no more than that. (Vespa's adaptive timeout has the
//! same aim; its waits are shares of the time that is left, which makes long deadlines slow.)

use std::time::Duration;

/// Shortest wait: among processes that start at the same moment some are tens of milliseconds later, and are not to be cut off.
const LEAST: Duration = Duration::from_millis(50);

/// Of the time that is left, at most one part in so many is waited.
const SHARE_OF_REST: u32 = 4;

/// How long to wait, when the rule was met after `took`, and `left` is left until the deadline.
pub(crate) fn patience(took: Duration, left: Duration) -> Duration {
    took.max(LEAST).min(left / SHARE_OF_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_long_again_within_bounds() {
        let millis = Duration::from_millis;
        assert_eq!(patience(millis(300), millis(9_700)), millis(300));
        assert_eq!(patience(millis(1), millis(9_999)), millis(50));
        assert_eq!(patience(millis(3_000), millis(2_000)), millis(500));
        assert_eq!(patience(millis(3_000), Duration::ZERO), Duration::ZERO);
    }
}
