//! Looks at what a run has written, one at a time and on another thread.

use std::time::{Duration, Instant};

use longshore_proto::v1::Failure;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::contract::watch::{Sight, TICK, pause_after};

/// What came of a look, and how long it took.
type Looked = (Result<u64, Failure>, Duration);

/// The look that is under way, and when the next one may begin.
pub(super) struct Looks {
    /// The run's number, and the look.
    under_way: Option<(u64, JoinHandle<Looked>)>,
    next: Instant,
}

impl Looks {
    /// None so far.
    pub(super) fn new() -> Self {
        Self { under_way: None, next: Instant::now() }
    }

    /// Whether one may begin now.
    pub(super) fn may_begin(&self, now: Instant) -> bool {
        self.under_way.is_none() && now >= self.next
    }

    /// Begins to look at what the run of this number has written.
    pub(super) fn begin(&mut self, seq: u64, sight: Sight) {
        let look = move || {
            let begun = Instant::now();
            (sight.look(), begun.elapsed())
        };
        self.under_way = Some((seq, spawn_blocking(look)));
    }

    /// Waits for the look that is under way, for ever if there is none; answers the run's number where it is over a bound,
    /// with its failure.
    pub(super) async fn over(&mut self) -> Option<(u64, Failure)> {
        let Some((seq, look)) = &mut self.under_way else { return std::future::pending().await };
        let (seq, looked) = (*seq, look.await);
        self.under_way = None;
        // One that panicked has said so; the next one comes as late as can be.
        let (found, took) = looked.unwrap_or((Ok(0), Duration::from_secs(1)));
        // Whoever asks does so once in a tick, a little early or late.
        self.next = Instant::now() + pause_after(took).saturating_sub(TICK / 2);
        found.err().map(|failure| (seq, failure))
    }
}
