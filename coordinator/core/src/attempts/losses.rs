//! What went away while an item ran on it, and how far that speaks against the item.
//!
//! A container that ends under its item speaks against it: nothing else was inside. A worker that goes down does only when
//! nothing else ran there, and even then the same worker over and over is the operator's trouble: what counts is that it
//! happened on another worker than before, or that there is no other.

use crate::ids::WorkerId;

/// Workers that are remembered, the newest.
const REMEMBERED: usize = 8;

/// Characters of a worker's name that are kept: all together must fit a value of the store.
const NAME_CHARS: usize = 32;

/// What went away while an item ran on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses {
    /// Containers that ended under it.
    pub slots: u32,
    /// Workers that went down with it alone on them, as far as that speaks against it.
    pub workers: u32,
    /// Workers that went down with it, or may have, which says nothing about it.
    pub others: u32,
    /// Where that was: at most 8, the newest last.
    pub on: Vec<LostOn>,
}

/// Where something went away under an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostOn {
    /// The worker.
    pub worker: WorkerId,
    /// For people; at most 32 characters.
    pub name: String,
}

/// How a worker went down with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fall {
    /// Nothing else was under way there.
    pub alone: bool,
    /// That life has certainly ended, and not with its machine.
    pub proven: bool,
    /// There are other workers that may be given the item.
    pub others: bool,
}

impl LostOn {
    /// That worker, under as much of its name as is kept.
    pub(crate) fn new(worker: WorkerId, name: &str) -> Self {
        Self { worker, name: name.chars().take(NAME_CHARS).collect() }
    }
}

impl Losses {
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.slots.saturating_add(self.workers_lost())
    }

    fn workers_lost(&self) -> u32 {
        self.workers.saturating_add(self.others)
    }

    /// Its container ended under it.
    pub(crate) fn slot(&mut self, on: LostOn) {
        self.slots = self.slots.saturating_add(1);
        self.remember(on);
    }

    /// A worker went down with it.
    pub(crate) fn worker(&mut self, on: LostOn, fall: Fall) {
        let last = self.on.last().map(|last| last.worker);
        let another = last.is_some_and(|last| last != on.worker);
        if fall.alone && (another || fall.proven && (last.is_none() || !fall.others)) {
            self.workers = self.workers.saturating_add(1);
        } else {
            self.others = self.others.saturating_add(1);
        }
        self.remember(on);
    }

    fn remember(&mut self, on: LostOn) {
        if self.on.len() == REMEMBERED {
            self.on.remove(0);
        }
        self.on.push(on);
    }

    /// Whether the item is to be given up, which may lose that many. No single lost worker is enough.
    pub(crate) fn are_enough(&self, most: u32) -> bool {
        let most = if self.workers > 0 { most.max(2) } else { most };
        self.slots.saturating_add(self.workers) >= most
    }

    /// Whether the item is to run alone from now on, so that the next loss tells: workers go down with it again and again.
    pub(crate) fn are_suspicious(&self, most: u32) -> bool {
        self.workers_lost() >= most.max(3) - 1
    }
}
