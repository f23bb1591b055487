//! How the newest attempts of a stage ended, to notice that they all fail alike.

use std::collections::VecDeque;

use crate::fault::{Fault, FaultClass};

/// Attempts that are looked at.
const NEWEST: usize = 50;

/// More than so many of them are alike where nothing is to be hoped for: nine of ten.
const ALIKE: usize = 45;

/// The newest attempts of a stage.
#[derive(Debug, Default)]
pub(crate) struct Streak {
    /// What those that failed by their own fault are alike by; nothing for others.
    newest: VecDeque<Option<(FaultClass, u64)>>,
}

impl Streak {
    /// An attempt has ended: by that fault, or well.
    pub fn note(&mut self, fault: Option<&Fault>) {
        if self.newest.len() == NEWEST {
            self.newest.pop_front();
        }
        // Those of which nothing is known are not known to be alike.
        let known = fault.filter(|fault| fault.class != FaultClass::Other);
        self.newest.push_back(known.map(|fault| (fault.class, fault.print)));
    }

    /// What kind of failure nearly all of the newest are, and alike.
    pub fn class(&self) -> Option<FaultClass> {
        if self.newest.len() < NEWEST {
            return None;
        }
        // Of what is in more than half of all places one is left when all others have met their match (Boyer and Moore).
        let (mut candidate, mut count) = (None, 0_u32);
        for one in &self.newest {
            if count == 0 {
                candidate = *one;
            }
            if candidate == *one {
                count += 1;
            } else {
                count -= 1;
            }
        }
        let alike = self.newest.iter().filter(|one| **one == candidate).count();
        candidate.filter(|_| alike > ALIKE).map(|(class, _)| class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(print: u64) -> Fault {
        Fault { class: FaultClass::Exit, code: 1, print }
    }

    fn streak(alike: usize, others: usize) -> Streak {
        let mut streak = Streak::default();
        (0..others).for_each(|at| streak.note(Some(&fault(100 + at as u64))));
        (0..alike).for_each(|_| streak.note(Some(&fault(1))));
        streak
    }

    #[test]
    fn nearly_all_of_the_newest_have_to_be_alike() {
        assert_eq!(streak(46, 4).class(), Some(FaultClass::Exit));
        assert_eq!(streak(45, 5).class(), None);
        assert_eq!(streak(49, 0).class(), None, "too few");
        assert_eq!(streak(50, 50).class(), Some(FaultClass::Exit), "older ones do not count");
    }

    #[test]
    fn successes_are_not_alike() {
        let mut streak = Streak::default();
        (0..60).for_each(|_| streak.note(None));
        assert_eq!(streak.class(), None);
    }
}
