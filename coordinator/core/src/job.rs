//! What the core needs to know of a job; everything else about it stays in a blob the record names.

/// A job as the core sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// At least one. The first takes the job's inputs, each further one the outputs of the one before.
    pub stages: Vec<StageSpec>,
    /// Higher goes first.
    pub priority: i32,
}

/// A stage as the core sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageSpec {
    /// All outputs of the stage before are one item. Never true of the first stage of a job whose inputs are its items.
    pub gather: bool,
    /// How often an item is tried before it has failed; at least 1.
    pub attempts: u32,
    /// First pause before another try, milliseconds; doubles each time.
    pub backoff_ms: u64,
    /// Longest pause, milliseconds.
    pub max_backoff_ms: u64,
    /// Most attempts under way at once; 0 means no limit.
    pub max_parallel: u32,
}

impl StageSpec {
    /// The pause before the next try after `failures` failed ones: exponential, with up to a quarter of jitter drawn
    /// from the item's own numbers, so that the core stays free of randomness and items of one burst still spread.
    #[must_use]
    pub fn pause_ms(&self, failures: u32, seed: u64) -> u64 {
        let doubled = self.backoff_ms.saturating_mul(1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX));
        let pause = doubled.min(self.max_backoff_ms.max(self.backoff_ms));
        let spread = pause / 4;
        if spread == 0 { pause } else { pause - spread + mix(seed, u64::from(failures)) % (spread + 1) }
    }
}

/// SplitMix64's finaliser over two numbers.
fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_add(b.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// | from | to | when |
/// |---|---|---|
/// | — | `Running` | submitted |
/// | `Running` | `Succeeded` | every item has succeeded |
/// | `Running` | `Failed` | nothing is left to run, and some item has failed |
/// | `Running` | `Cancelled` | someone asked |
/// | `Failed` | `Running` | its failed items are retried |
/// | `Cancelled` | `Running` | it is retried: its failed items, and all that had not ended |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Items may be dispatched.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended, and some items failed.
    Failed,
    /// Ended because someone asked.
    Cancelled,
}

impl JobState {
    /// Nothing of the job runs any more.
    #[must_use]
    pub fn has_ended(self) -> bool {
        self != Self::Running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage() -> StageSpec {
        StageSpec { gather: false, attempts: 9, backoff_ms: 1_000, max_backoff_ms: 60_000, max_parallel: 0 }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        for seed in 0..100 {
            let pauses: Vec<u64> = (1..10).map(|n| stage().pause_ms(n, seed)).collect();
            for (n, pause) in pauses.iter().enumerate() {
                let full = (1_000 << n).min(60_000);
                assert!((full * 3 / 4..=full).contains(pause), "{pauses:?}");
            }
        }
    }

    #[test]
    fn pauses_do_not_overflow() {
        let stage = StageSpec { backoff_ms: u64::MAX, max_backoff_ms: 0, ..stage() };
        assert!(stage.pause_ms(u32::MAX, 1) >= u64::MAX / 4 * 3 - 4);
    }
}
