//! What of a stage can be dispatched: soft state, one per stage of a running job.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    ids::AttemptId,
    jobs::Job,
    stages::{ItemState, Stage},
};

/// The pending items of one stage. Fresh ones are not listed: a cursor passes over them, so a queued item costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Everything below has been taken once, or had ended before.
    cursor: u64,
    /// To be taken again now.
    ready: BTreeSet<u64>,
    /// To be taken again at that time.
    later: BTreeSet<(u64, u64)>,
    /// The items of `later`.
    paused: BTreeSet<u64>,
    /// Taken, and not ended.
    live: BTreeMap<u64, AttemptId>,
    average_us: u64,
    failed_attempts: u64,
}

impl Queue {
    /// The next item, without taking it. Passes the cursor over items that need nothing.
    pub fn peek(&mut self, job: &Job, at: usize, now_ms: u64) -> Option<u64> {
        self.wake(now_ms);
        let stage = job.stage(at)?;
        while let Some(&index) = self.ready.first() {
            if stage.state(index) == ItemState::Pending && !self.live.contains_key(&index) {
                return Some(index);
            }
            self.ready.pop_first();
        }
        let items = job.items(at);
        while self.cursor < items {
            let index = self.cursor;
            let taken = self.live.contains_key(&index) || self.paused.contains(&index);
            if stage.state(index) == ItemState::Pending && !taken {
                return Some(index);
            }
            self.cursor += 1;
        }
        None
    }

    /// Ends the pauses that are over; answers whether there were any.
    pub fn wake(&mut self, now_ms: u64) -> bool {
        let mut woke = false;
        while let Some(&(due, index)) = self.later.first()
            && due <= now_ms
        {
            self.later.pop_first();
            self.paused.remove(&index);
            self.ready.insert(index);
            woke = true;
        }
        woke
    }

    /// Takes the item that `peek` showed.
    pub fn take(&mut self, index: u64, attempt: AttemptId) {
        if !self.ready.remove(&index) && index == self.cursor {
            self.cursor += 1;
        }
        self.live.insert(index, attempt);
    }

    /// An attempt of an earlier life is under way on a worker.
    pub fn adopt(&mut self, index: u64, attempt: AttemptId) {
        self.ready.remove(&index);
        if self.paused.remove(&index) {
            self.later.retain(|(_, waiting)| *waiting != index);
        }
        self.live.insert(index, attempt);
    }

    /// The attempt has ended one way or another; answers whether it was this item's.
    pub fn release(&mut self, index: u64, attempt: AttemptId) -> bool {
        let ours = self.live.get(&index) == Some(&attempt);
        if ours {
            self.live.remove(&index);
        }
        ours
    }

    /// The item, released before, is to be taken again, at once or at `due`.
    pub fn again(&mut self, index: u64, due: Option<u64>) {
        match due {
            Some(due) => {
                self.later.insert((due, index));
                self.paused.insert(index);
            }
            // What the cursor has not come to yet it will find by itself.
            None if index >= self.cursor => {}
            None => {
                self.ready.insert(index);
            }
        }
    }

    pub fn is_live(&self, index: u64) -> bool {
        self.live.contains_key(&index)
    }

    /// The attempt at the item that is under way.
    pub fn attempt(&self, index: u64) -> Option<AttemptId> {
        self.live.get(&index).copied()
    }

    /// How many attempts are under way.
    pub fn live(&self) -> u64 {
        self.live.len() as u64
    }

    pub fn live_attempts(&self) -> impl Iterator<Item = AttemptId> {
        self.live.values().copied()
    }

    /// How many items could be taken now, had anybody room for them.
    pub fn pending(&self, job: &Job, at: usize) -> u64 {
        let ended = job.stage(at).map_or(0, Stage::ended);
        job.items(at).saturating_sub(ended + self.live() + self.waiting())
    }

    /// How many items wait for a pause to end.
    pub fn waiting(&self) -> u64 {
        self.later.len() as u64
    }

    /// Attempts that failed since the coordinator started.
    pub fn failed_attempts(&self) -> u64 {
        self.failed_attempts
    }

    /// One more attempt failed.
    pub fn count_failure(&mut self) {
        self.failed_attempts += 1;
    }

    /// Average run time in microseconds, recent ones weighing more; 0 until the first.
    pub fn average_us(&self) -> u64 {
        self.average_us
    }

    /// Learns from one run.
    pub fn ran(&mut self, run_us: u64) {
        let run_us = run_us.max(1);
        self.average_us = match self.average_us {
            0 => run_us,
            average => average - average / 8 + run_us / 8,
        };
    }

    /// How many attempts a worker may hold per slot: enough for 50 ms, so that a slot never waits for a round trip, and
    /// long items are not stuck behind one another while another worker is idle.
    pub fn depth(&self) -> u64 {
        match self.average_us {
            0 => 1,
            average => (50_000 / average.max(1) + 1).min(64),
        }
    }
}
