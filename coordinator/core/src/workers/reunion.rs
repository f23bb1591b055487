//! The reunion: after a start, workers that were here before are waited for a while, since what they still run need not
//! run twice.

use std::collections::BTreeSet;

use crate::ids::{Now, WorkerId};

/// Who is waited for, and until when.
#[derive(Debug)]
pub(crate) struct Reunion {
    missed: BTreeSet<WorkerId>,
    until_ms: u64,
}

impl Reunion {
    /// Those were here before the start, and are waited for until then, steady milliseconds.
    pub fn new(missed: BTreeSet<WorkerId>, until_ms: u64) -> Self {
        Self { missed, until_ms }
    }

    /// Whether somebody is still waited for.
    pub fn is_on(&self, now: Now) -> bool {
        !self.missed.is_empty() && now.steady_ms < self.until_ms
    }

    /// Whether such a worker has not come back, nor been given up.
    pub fn misses(&self, such: impl Fn(WorkerId) -> bool) -> bool {
        self.missed.iter().any(|worker| such(*worker))
    }

    /// When those who have not come back are given up, steady milliseconds, if there are any.
    pub fn deadline_ms(&self) -> Option<u64> {
        (!self.missed.is_empty()).then_some(self.until_ms)
    }

    /// The worker is here, or will not be; answers whether it was waited for.
    pub fn came(&mut self, worker: WorkerId) -> bool {
        self.missed.remove(&worker)
    }

    /// Those who have not come back in time; nobody misses them any more.
    pub fn give_up(&mut self, now: Now) -> BTreeSet<WorkerId> {
        if now.steady_ms >= self.until_ms { std::mem::take(&mut self.missed) } else { BTreeSet::new() }
    }
}
