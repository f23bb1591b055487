//! Pauses between tries: each twice the one before, up to a longest.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio_util::sync::CancellationToken;

/// Pauses that grow, and begin again when something has worked.
#[derive(Debug)]
pub(crate) struct Pauses {
    policy: ExponentialBuilder,
    next: ExponentialBackoff,
    longest: Duration,
}

impl Pauses {
    /// From the first to the longest.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        let policy = ExponentialBuilder::new().with_min_delay(first).with_max_delay(longest).with_factor(2.0);
        Self::of(policy.without_max_times(), longest)
    }

    /// The same with jitter, so that a thousand workers do not come back at once: each is between half of what it would
    /// be, and that.
    pub(crate) fn apart(first: Duration, longest: Duration) -> Self {
        let halves = ExponentialBuilder::new().with_min_delay(first / 2).with_max_delay(longest / 2).with_factor(2.0);
        // What is added is at most what is there.
        Self::of(halves.without_max_times().with_jitter(), longest)
    }

    fn of(policy: ExponentialBuilder, longest: Duration) -> Self {
        Self { policy, next: policy.build(), longest }
    }

    /// Begins with the first pause again.
    pub(crate) fn reset(&mut self) {
        self.next = self.policy.build();
    }

    /// The next pause.
    pub(crate) fn next(&mut self) -> Duration {
        self.next.next().unwrap_or(self.longest)
    }

    /// Waits, or ends early (false) when it is time to leave.
    pub(crate) async fn wait(&mut self, leave: &CancellationToken) -> bool {
        tokio::select! {
            () = tokio::time::sleep(self.next()) => true,
            () = leave.cancelled() => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_again() {
        let mut pauses = Pauses::new(10 * MS, 50 * MS);
        for expected in [10, 20, 40, 50, 50] {
            let pause = pauses.next();
            // A factor is a floating point number.
            assert!((expected * MS - MS..=expected * MS + MS).contains(&pause), "{pause:?}, not {expected} ms");
        }
        pauses.reset();
        assert_eq!(pauses.next(), 10 * MS);
    }

    #[test]
    fn jitter_takes_off_half_at_most_and_adds_nothing() {
        let mut pauses = Pauses::apart(10 * MS, 50 * MS);
        for most in [10, 20, 40, 50, 50] {
            let pause = pauses.next();
            assert!((most * MS / 2..=most * MS + MS).contains(&pause), "{pause:?} of {most} ms");
        }
    }
}
