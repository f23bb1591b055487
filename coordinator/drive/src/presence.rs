//! Time in which whoever drives did nothing itself: a stopped process, a paused machine. It counts for nobody: whoever was not
//! answered was not silent.

use longshore_core::Now;

/// How often there is a look at the clock, while somebody's lease runs, milliseconds.
pub(crate) const LOOK_MS: u64 = 1_000;

/// The driver's own presence.
#[derive(Debug)]
pub(crate) struct Presence {
    /// When it was last there, milliseconds of its clock.
    seen_ms: u64,
    /// How long it was not, all in all.
    away_ms: u64,
}

impl Presence {
    /// It is there since then.
    pub fn since(now: Now) -> Self {
        Self { seen_ms: now.steady_ms, away_ms: 0 }
    }

    /// It is there; answers the time without its absences. Only where it should have looked (`looks`) is it known to have been
    /// away.
    pub fn here(&mut self, now: Now, looks: bool) -> Now {
        let gap_ms = now.steady_ms.saturating_sub(self.seen_ms);
        if looks && gap_ms > 2 * LOOK_MS {
            self.away_ms += gap_ms - LOOK_MS;
        }
        self.seen_ms = now.steady_ms;
        Now { steady_ms: now.steady_ms - self.away_ms, ..now }
    }

    /// A time without its absences, on its clock, as far as it knows of them.
    pub fn on_its_clock(&self, ms: u64) -> u64 {
        ms.saturating_add(self.away_ms)
    }

    /// When it has to look again.
    pub fn look_ms(&self) -> u64 {
        self.seen_ms + LOOK_MS
    }
}
