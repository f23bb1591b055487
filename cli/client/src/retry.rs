//! Asking again when the coordinator is away for a moment.
//!
//! Only for calls that are harmless twice. A coordinator that restarts is back within seconds, so a handful of growing
//! pauses (about twelve seconds in all) covers it; longer absences are the caller's to hear about.

use std::{future::Future, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBuilder, Retryable as _};

/// The pauses before the second and each further try: from a tenth of a second to six, each two and a half times the one
/// before.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_factor(2.5)
    .with_max_delay(Duration::from_secs(6))
    .with_max_times(6);

/// An error that may pass by itself.
pub(crate) trait Transient {
    /// Whether asking again, unchanged, is reasonable.
    fn is_transient(&self) -> bool;
}

impl Transient for crate::CallError {
    fn is_transient(&self) -> bool {
        crate::CallError::is_transient(self)
    }
}

/// Calls until it succeeds, fails for good, or the pauses are used up.
pub(crate) async fn again<T, E, F>(call: impl FnMut() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    E: Transient,
{
    call.retry(PAUSES).when(E::is_transient).await
}

/// The pauses between tries, in order.
pub(crate) fn pauses() -> impl Iterator<Item = Duration> {
    PAUSES.build()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// An error that passes, or does not.
    #[derive(Debug, PartialEq)]
    struct Trouble {
        passes: bool,
    }

    impl Transient for Trouble {
        fn is_transient(&self) -> bool {
            self.passes
        }
    }

    /// How often a call is made that fails so often, and how it ends.
    async fn called(failures: u32, passes: bool) -> (u32, Result<(), Trouble>) {
        let calls = Cell::new(0);
        let ended = again(|| {
            calls.set(calls.get() + 1);
            std::future::ready(if calls.get() > failures { Ok(()) } else { Err(Trouble { passes }) })
        })
        .await;
        (calls.get(), ended)
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_that_passes_is_waited_for_until_the_pauses_are_used_up() {
        assert_eq!(called(0, true).await, (1, Ok(())));
        assert_eq!(called(6, true).await, (7, Ok(())));
        assert_eq!(called(7, true).await, (7, Err(Trouble { passes: true })));
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_that_stays_is_told_at_once() {
        assert_eq!(called(1, false).await, (1, Err(Trouble { passes: false })));
    }

    #[test]
    fn pauses_grow_and_cover_a_restart() {
        let pauses: Vec<Duration> = pauses().collect();
        assert!(pauses.is_sorted() && pauses[0] == Duration::from_millis(100), "{pauses:?}");
        let all: Duration = pauses.iter().sum();
        assert!((Duration::from_secs(12)..Duration::from_secs(14)).contains(&all), "{all:?}");
    }
}
