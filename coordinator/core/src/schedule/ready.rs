//! Items that are to be tried again now, by who is to be left out: where an item failed it is tried again only when nobody else has
//! taken it for a while.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::WorkerId;

/// Workers that an item avoids, in order: at most [`Avoided::MOST`].
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Avoided(Vec<WorkerId>);

impl Avoided {
    /// More than so many are forgotten all together: then it was tried everywhere, as good as.
    const MOST: usize = 4;

    /// This one too.
    pub fn add(&mut self, worker: WorkerId) {
        if let Err(at) = self.0.binary_search(&worker) {
            if self.0.len() == Self::MOST {
                self.0.clear();
            }
            self.0.insert(at.min(self.0.len()), worker);
        }
    }

    pub fn has(&self, worker: WorkerId) -> bool {
        self.0.binary_search(&worker).is_ok()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ready {
    anywhere: BTreeSet<u64>,
    elsewhere: BTreeMap<Avoided, BTreeSet<u64>>,
    /// The items of `elsewhere`.
    avoiding: BTreeMap<u64, Avoided>,
}

impl Ready {
    /// Sets that are looked at for one worker: where more avoid it, it waits until their patience ends.
    const LOOK: usize = 64;

    /// The item may be taken, but not by these.
    pub fn insert(&mut self, index: u64, avoided: Option<&Avoided>) {
        self.remove(index);
        match avoided {
            Some(avoided) => {
                self.elsewhere.entry(avoided.clone()).or_default().insert(index);
                self.avoiding.insert(index, avoided.clone());
            }
            None => {
                self.anywhere.insert(index);
            }
        }
    }

    /// The item may be taken by anybody, if it may be taken.
    pub fn settle(&mut self, index: u64) {
        if self.avoiding.contains_key(&index) {
            self.insert(index, None);
        }
    }

    /// The item may not be taken any more; answers whether it could.
    pub fn remove(&mut self, index: u64) -> bool {
        let Some(avoided) = self.avoiding.remove(&index) else { return self.anywhere.remove(&index) };
        if let Some(items) = self.elsewhere.get_mut(&avoided) {
            items.remove(&index);
            if items.is_empty() {
                self.elsewhere.remove(&avoided);
            }
        }
        true
    }

    /// An item that the worker may take.
    pub fn first(&self, worker: WorkerId) -> Option<u64> {
        let others = self.elsewhere.iter().take(Self::LOOK).find(|(avoided, _)| !avoided.has(worker));
        let other = others.and_then(|(_, items)| items.first());
        self.anywhere.first().into_iter().chain(other).min().copied()
    }

    /// Whether the item may be taken, by whomever.
    pub fn has(&self, index: u64) -> bool {
        self.anywhere.contains(&index) || self.avoiding.contains_key(&index)
    }

    /// How many items may be taken by anybody, and the first of them.
    pub fn anywhere(&self) -> (u64, Option<u64>) {
        (self.anywhere.len() as u64, self.anywhere.first().copied())
    }

    /// How many items wait for others than those on whom they failed, and the first of them.
    pub fn elsewhere(&self) -> (u64, Option<u64>) {
        (self.avoiding.len() as u64, self.avoiding.first_key_value().map(|(index, _)| *index))
    }

    /// Whether the worker may take any of those.
    pub fn has_elsewhere_for(&self, worker: WorkerId) -> bool {
        self.elsewhere.keys().take(Self::LOOK).any(|avoided| !avoided.has(worker))
    }

    /// How many items may be taken, by whomever.
    pub fn len(&self) -> u64 {
        (self.anywhere.len() + self.avoiding.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: WorkerId = WorkerId([1; 16]);
    const OTHER: WorkerId = WorkerId([2; 16]);

    fn avoiding(workers: &[WorkerId]) -> Avoided {
        let mut avoided = Avoided::default();
        workers.iter().for_each(|worker| avoided.add(*worker));
        avoided
    }

    #[test]
    fn an_item_is_for_those_whom_it_does_not_avoid() {
        let mut ready = Ready::default();
        ready.insert(7, Some(&avoiding(&[ONE])));
        assert_eq!((ready.first(ONE), ready.first(OTHER)), (None, Some(7)));
        ready.insert(9, None);
        assert_eq!((ready.first(ONE), ready.first(OTHER), ready.len()), (Some(9), Some(7), 2));
        assert!(ready.remove(7) && !ready.remove(7));
        assert_eq!((ready.first(OTHER), ready.len()), (Some(9), 1));
        assert!(ready.elsewhere.is_empty(), "nothing is left of it");
    }

    #[test]
    fn patience_ends() {
        let mut ready = Ready::default();
        ready.insert(7, Some(&avoiding(&[OTHER, ONE])));
        assert_eq!((ready.first(ONE), ready.first(OTHER)), (None, None));
        ready.settle(7);
        ready.settle(8);
        assert_eq!((ready.first(ONE), ready.len()), (Some(7), 1));
    }

    #[test]
    fn whoever_has_failed_everywhere_is_tried_anywhere() {
        let workers: Vec<WorkerId> = (0..5).map(|number| WorkerId([number; 16])).collect();
        let four = avoiding(&workers[..4]);
        assert!(workers[..4].iter().all(|worker| four.has(*worker)));
        let five = avoiding(&workers);
        assert_eq!(workers.iter().filter(|worker| five.has(**worker)).count(), 1, "but the last");
    }
}
