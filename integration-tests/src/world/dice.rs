//! The only source of chance in the world: a fixed algorithm, so that a seed means the same run for ever.

use rand::{Rng as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};

/// Chance, drawn from a seed.
#[derive(Debug)]
pub struct Dice(Xoshiro256PlusPlus);

impl Dice {
    /// Dice that always fall the same way for the same numbers.
    #[must_use]
    pub fn of(numbers: &[u64]) -> Self {
        let seed = numbers
            .iter()
            .fold(0_u64, |seed, number| (seed.rotate_left(23) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A number below `bound`; 0 when that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The remainder's bias is far below anything the world could notice.
        self.0.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True `percent` times of a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of them, if there are any.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let at = usize::try_from(self.below(from.len() as u64)).ok()?;
        from.get(at)
    }
}
