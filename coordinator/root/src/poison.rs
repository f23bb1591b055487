//! Queries that replicas ended over, remembered for a while by a digest of their bytes.
//!
//! A server that ends takes down everything it was working on, so one loss says little; the second of the same query says that
//! it is to blame. An answer clears it.

use std::{collections::HashMap, hash::RandomState, time::Duration};

use crate::standing::Moment;

/// How long a query is remembered after the last loss.
const MEMORY: Duration = Duration::from_secs(60);

/// Losses after which a query is not tried any more.
const LOSSES: u32 = 2;

/// Queries remembered; the oldest goes for another.
const QUERIES: usize = 256;

/// What is thought of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Clean,
    /// A replica has ended over it.
    Suspect,
    /// So many replicas have; it is not tried for so long.
    Condemned { losses: u32, left: Duration },
}

/// The queries that are remembered.
#[derive(Debug, Default)]
pub(crate) struct Poison {
    /// Nobody outside can make two queries that look the same here.
    hasher: RandomState,
    known: HashMap<u64, Known>,
}

#[derive(Debug)]
struct Known {
    losses: u32,
    last: Moment,
}

impl Poison {
    fn digest(&self, query: &[u8]) -> u64 {
        std::hash::BuildHasher::hash_one(&self.hasher, query)
    }

    /// What is thought of this one.
    pub fn verdict(&self, query: &[u8], now: Moment) -> Verdict {
        // Nothing is hashed as long as nothing has happened.
        if self.known.is_empty() {
            return Verdict::Clean;
        }
        let Some(known) = self.known.get(&self.digest(query)) else { return Verdict::Clean };
        match (known.last + MEMORY).saturating_sub(now) {
            Duration::ZERO => Verdict::Clean,
            left if known.losses >= LOSSES => Verdict::Condemned { losses: known.losses, left },
            _ => Verdict::Suspect,
        }
    }

    /// A replica has ended over this one. What is thought of it now.
    pub fn lost(&mut self, query: &[u8], now: Moment) -> Verdict {
        self.known.retain(|_, known| known.last + MEMORY > now);
        if self.known.len() >= QUERIES {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.last).map(|(digest, _)| *digest);
            oldest.map(|oldest| self.known.remove(&oldest));
        }
        let known = self.known.entry(self.digest(query)).or_insert(Known { losses: 0, last: now });
        known.losses += 1;
        known.last = now;
        self.verdict(query, now)
    }

    /// This one was answered.
    pub fn answered(&mut self, query: &[u8]) {
        if !self.known.is_empty() {
            self.known.remove(&self.digest(query));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_second_loss_condemns_for_a_minute() {
        let mut poison = Poison::default();
        assert_eq!(poison.verdict(b"q", SECOND), Verdict::Clean);
        assert_eq!(poison.lost(b"q", SECOND), Verdict::Suspect);
        assert_eq!(poison.lost(b"other", SECOND), Verdict::Suspect);
        assert_eq!(poison.lost(b"q", 2 * SECOND), Verdict::Condemned { losses: 2, left: 60 * SECOND });
        assert_eq!(poison.verdict(b"q", 61 * SECOND), Verdict::Condemned { losses: 2, left: SECOND });
        assert_eq!(poison.verdict(b"q", 62 * SECOND), Verdict::Clean);
        assert_eq!(poison.lost(b"q", 62 * SECOND), Verdict::Suspect, "it begins anew");
    }

    #[test]
    fn an_answer_clears_it() {
        let mut poison = Poison::default();
        poison.lost(b"q", SECOND);
        poison.answered(b"q");
        assert_eq!(poison.lost(b"q", SECOND), Verdict::Suspect);
    }

    #[test]
    fn no_more_are_remembered_than_there_may_be_and_the_oldest_goes() {
        let mut poison = Poison::default();
        for number in 0..2 * QUERIES {
            poison.lost(&number.to_le_bytes(), Duration::from_millis(number as u64));
            assert!(poison.known.len() <= QUERIES);
        }
        assert_eq!(poison.verdict(&0_usize.to_le_bytes(), SECOND), Verdict::Clean);
        assert_eq!(poison.verdict(&(2 * QUERIES - 1).to_le_bytes(), SECOND), Verdict::Suspect);
    }
}
