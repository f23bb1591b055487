//! Waiting for what other processes do, with an end.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Longer than anything takes on a busy machine: only a failing test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Looks until there is something to see.
///
/// # Panics
/// When [`PATIENCE`] is over.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} for {what}");
        thread::sleep(LOOK_AGAIN);
    }
}
