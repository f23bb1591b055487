//! What second calls may cost: copies of slow ones and repetitions of failed ones, from one budget.
//!
//! Every first call earns a share. A copy is made of what was earned alone, so that copies are never more than that share of
//! what is asked; a repetition may also take from a small reserve that fills with time, so that a service of which little is
//! asked survives a replica that fails. What is not used within about ten seconds is gone.

use std::time::Duration;

use crate::standing::Moment;

/// What a first call earns: the share of further calls there may be.
pub(crate) const SHARE: f64 = 0.05;

/// After so long little more than a third of what was earned is left.
const MEMORY: Duration = Duration::from_secs(10);

/// Repetitions beyond what was earned: so many at once, and one more every second.
const RESERVE: f64 = 10.0;

/// A budget.
#[derive(Debug)]
pub(crate) struct Budget {
    earned: f64,
    reserve: f64,
    looked: Moment,
}

impl Budget {
    /// Nothing earned, and the whole reserve.
    pub fn new() -> Self {
        Self { earned: 0.0, reserve: RESERVE, looked: Moment::ZERO }
    }

    fn pass(&mut self, now: Moment) {
        let passed = now.saturating_sub(self.looked).as_secs_f64();
        self.looked = self.looked.max(now);
        self.earned *= (-passed / MEMORY.as_secs_f64()).exp();
        self.reserve = (self.reserve + passed).min(RESERVE);
    }

    /// A first call is made.
    pub fn earn(&mut self, now: Moment) {
        self.pass(now);
        self.earned += SHARE;
    }

    /// Pays for a copy, if it can.
    pub fn copy(&mut self, now: Moment) -> bool {
        self.pass(now);
        take(&mut self.earned)
    }

    /// Pays for a repetition, if it can.
    pub fn repeat(&mut self, now: Moment) -> bool {
        self.pass(now);
        take(&mut self.earned) || take(&mut self.reserve)
    }
}

fn take(from: &mut f64) -> bool {
    let enough = *from >= 1.0;
    if enough {
        *from -= 1.0;
    }
    enough
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn nothing_asked_is_no_copy_and_ten_repetitions_at_most() {
        let mut budget = Budget::new();
        assert!(!budget.copy(SECOND));
        assert_eq!((0..20).filter(|_| budget.repeat(SECOND)).count(), 10);
        assert_eq!((0..20).filter(|_| budget.repeat(3 * SECOND)).count(), 2, "one more every second");
    }

    #[test]
    fn what_was_earned_long_ago_is_gone() {
        let mut budget = Budget::new();
        (0..100).for_each(|_| budget.earn(SECOND));
        assert!(!budget.copy(60 * SECOND));
    }

    proptest! {
        #[test]
        fn copies_are_never_more_than_their_share(steps in prop::collection::vec((any::<bool>(), 0..50_u64), 0..2_000)) {
            let mut budget = Budget::new();
            let (mut now, mut first, mut copies) = (Moment::ZERO, 0_u32, 0_u32);
            for (is_first, pause) in steps {
                now += Duration::from_millis(pause);
                if is_first {
                    budget.earn(now);
                    first += 1;
                } else {
                    copies += u32::from(budget.copy(now));
                }
                prop_assert!(f64::from(copies) <= f64::from(first) * SHARE + 1e-6);
            }
        }
    }
}
