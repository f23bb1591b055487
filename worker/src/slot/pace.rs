//! How far a slot runs ahead: how many runs its shim may hold.
//!
//! With quick items the way from the end of one run to the order for the next would be a good part of the time, so the
//! shim holds a few. Long ones are not stuck behind one another while other slots are free, so there it holds one. What
//! may wait in the shim is bounded in time, as well as in number.

use std::time::Duration;

/// Most runs a shim holds.
const WINDOW: u64 = 4;

/// Expected time of all runs a shim holds, when it holds more than one.
const AHEAD: Duration = Duration::from_millis(20);

/// Weight of the newest run: 1 / 2^n.
const WEIGHT: u32 = 2;

/// The time runs take, lately.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    mean_us: Option<u64>,
}

impl Pace {
    /// A run has ended.
    pub(crate) fn note(&mut self, wall_us: u64) {
        self.mean_us = Some(match self.mean_us {
            None => wall_us,
            Some(mean) => mean - (mean >> WEIGHT) + (wall_us >> WEIGHT),
        });
    }

    /// How many runs the shim may hold now.
    pub(crate) fn window(&self) -> usize {
        let ahead_us = AHEAD.as_micros() as u64;
        self.mean_us.map_or(1, |mean| (ahead_us / mean.max(1)).clamp(1, WINDOW) as usize)
    }

    /// Whether items are done sooner than a container could be started for them.
    pub(crate) fn is_quick(&self) -> bool {
        self.mean_us.is_some_and(|mean| u128::from(mean) < AHEAD.as_micros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_opens_for_quick_items_and_closes_for_slow_ones() {
        let mut pace = Pace::default();
        assert_eq!((pace.window(), pace.is_quick()), (1, false), "nothing is known yet");
        pace.note(500);
        assert_eq!((pace.window(), pace.is_quick()), (4, true));
        pace.note(10_000_000);
        assert_eq!((pace.window(), pace.is_quick()), (1, false));
        for _ in 0..40 {
            pace.note(8_000);
        }
        assert_eq!(pace.window(), 2);
    }
}
