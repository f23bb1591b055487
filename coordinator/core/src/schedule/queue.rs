//! What of a stage can be dispatched: soft state, one per stage of a running job.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ready::{Avoided, Ready},
    streak::Streak,
};
use crate::{
    fault::{Fault, FaultClass},
    ids::{AttemptId, WorkerId},
    jobs::Job,
    stages::Stage,
};

/// Items of a stage that pause at once before no fresh ones are begun: each costs memory, and more of the same would not help.
const MOST_PAUSED: usize = 10_000;

/// Items that are looked at for one that was never begun, when somebody asks which.
const LOOK: u64 = 1 << 16;

/// How long an item that could be tried again waits for a worker on which it has not failed, milliseconds: what that costs an item
/// is little beside being tried in vain, and with nobody else free it is not for long.
pub(super) const PATIENCE_MS: u64 = 5_000;

/// The pending items of one stage. Fresh ones are not listed: a cursor passes over them, so a queued item costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Everything below has been taken once, or had ended before.
    cursor: u64,
    /// To be taken again now, by how often their memory has grown: what is beyond the first needs more than the stage says.
    ready: Vec<Ready>,
    /// Items were found whose memory has grown, and nobody was told.
    has_grown: bool,
    /// Where items have failed that are tried again elsewhere, and until when they wait for that.
    avoided: BTreeMap<u64, (Avoided, Option<u64>)>,
    /// The latter the other way round.
    patience: BTreeSet<(u64, u64)>,
    /// To be taken again at that time.
    later: BTreeSet<(u64, u64)>,
    /// The items of `later`.
    paused: BTreeSet<u64>,
    /// To be taken again now, where nothing else runs.
    suspects: BTreeSet<u64>,
    /// Taken, and not ended.
    live: BTreeMap<u64, AttemptId>,
    /// How the newest attempts ended.
    streak: Streak,
    average_us: u64,
    failed_attempts: u64,
}

impl Queue {
    /// The next item whose memory has grown so often for that worker, without taking it. Passes the cursor over items that need
    /// nothing, and sets those apart that are to run alone, or need more.
    pub fn peek(&mut self, job: &Job, at: usize, growths: usize, (worker, now_ms): (WorkerId, u64)) -> Option<u64> {
        self.wake(now_ms);
        while let Some(index) = self.ready.get(growths).and_then(|ready| ready.first(worker)) {
            if job.is_open(at, index) && !self.live.contains_key(&index) {
                if job.is_suspect(at, index) {
                    self.suspects.insert(index);
                } else if job.growths(at, index) == growths {
                    return Some(index);
                } else {
                    self.set_grown(index, job.growths(at, index));
                    continue;
                }
            }
            self.ready[growths].remove(index);
        }
        if growths > 0 {
            return None;
        }
        let bound = self.open(job, at, job.ready_bound(at));
        while self.cursor < bound {
            let index = self.cursor;
            // One that an earlier life of the coordinator gave out may be listed before the cursor comes to it.
            let listed = self.paused.contains(&index) || self.ready.iter().any(|ready| ready.has(index));
            let taken = self.live.contains_key(&index) || listed;
            if job.is_open(at, index) && !taken {
                if job.is_suspect(at, index) {
                    self.suspects.insert(index);
                } else if job.growths(at, index) == 0 {
                    return Some(index);
                } else {
                    self.set_grown(index, job.growths(at, index));
                }
            }
            self.cursor += 1;
        }
        None
    }

    /// The item is to be taken as one whose memory has grown so often.
    fn set_grown(&mut self, index: u64, growths: usize) {
        self.unready(index);
        self.put(index, growths);
        self.has_grown = true;
    }

    fn put(&mut self, index: u64, growths: usize) {
        if self.ready.len() <= growths {
            self.ready.resize_with(growths + 1, Ready::default);
        }
        let avoided = self.avoided.get(&index).filter(|(_, until)| until.is_some()).map(|(avoided, _)| avoided);
        self.ready[growths].insert(index, avoided);
    }

    /// Whether items were found whose memory has grown since this was last asked.
    pub fn has_grown(&mut self) -> bool {
        std::mem::take(&mut self.has_grown)
    }

    /// Whether there are items that can be taken now, by whomever.
    pub fn has_ready(&self, growths: usize) -> bool {
        self.ready.get(growths).is_some_and(|ready| ready.len() > 0)
    }

    /// Whether there may be items whose memory has grown so often that somebody may take now: there may not be either.
    pub fn may_have(&self, job: &Job, at: usize, growths: usize) -> bool {
        self.has_ready(growths) || growths == 0 && self.cursor < self.open(job, at, job.ready_bound(at))
    }

    /// Items that may be begun: those that are there, but no fresh ones while too many pause, and only the first until those
    /// that are tried before all others have ended.
    fn open(&self, job: &Job, at: usize, items: u64) -> u64 {
        // Which groups come first nobody knows, and whether the first ones ever come.
        let spec = job.spec(at).filter(|spec| !spec.kind.gathers());
        let canary = spec.map_or(0, |spec| u64::from(spec.canary));
        let ended = job.stage(at).map_or(0, Stage::ended);
        let items = if ended < canary { items.min(canary) } else { items };
        if self.is_crowded() { items.min(self.cursor) } else { items }
    }

    /// Items that may be begun now and never were, in order: among the next ones, however many there are.
    pub fn fresh(&self, job: &Job, at: usize) -> impl Iterator<Item = u64> {
        let bound = self.open(job, at, job.ready_bound(at)).min(self.cursor.saturating_add(LOOK));
        let listed = |index: u64| {
            self.live.contains_key(&index)
                || self.paused.contains(&index)
                || self.suspects.contains(&index)
                || self.ready.iter().any(|ready| ready.has(index))
        };
        (self.cursor..bound).filter(move |index| job.is_open(at, *index) && !listed(*index))
    }

    /// Whether nothing but being begun keeps those from it that never were.
    pub fn is_open(&self, job: &Job, at: usize) -> bool {
        self.open(job, at, job.ready_bound(at)) == job.bound(at)
    }

    /// Items that are to be tried again now, by how often their memory has grown.
    pub(super) fn ready(&self) -> &[Ready] {
        &self.ready
    }

    /// Whether the worker may take any of those that wait for others than those on whom they failed.
    pub fn has_elsewhere_for(&self, growths: usize, worker: WorkerId) -> bool {
        self.ready.get(growths).is_some_and(|ready| ready.has_elsewhere_for(worker))
    }

    /// The first and the last of the pauses of items, and whose the first is: each with when it ends, steady milliseconds.
    pub fn pauses(&self) -> Option<((u64, u64), u64)> {
        Some((*self.later.first()?, self.later.last()?.0))
    }

    /// When the first of the items that wait for others than those on whom they failed waits no more, steady milliseconds.
    pub fn next_patience_ms(&self) -> Option<u64> {
        self.patience.first().map(|(until_ms, _)| *until_ms)
    }

    /// Whether so many items pause that no fresh ones are begun.
    pub fn is_crowded(&self) -> bool {
        self.later.len() >= MOST_PAUSED
    }

    /// Ends the pauses that are over; answers whether there were any.
    pub fn wake(&mut self, now_ms: u64) -> bool {
        let mut woke = false;
        while let Some(&(due, index)) = self.later.first()
            && due <= now_ms
        {
            self.later.pop_first();
            self.paused.remove(&index);
            self.put(index, 0);
            woke = true;
        }
        while let Some(&(until, index)) = self.patience.first()
            && until <= now_ms
        {
            self.lose_patience(index);
            self.ready.iter_mut().for_each(|ready| ready.settle(index));
            woke = true;
        }
        woke
    }

    /// Takes the item that `peek` showed.
    pub fn take(&mut self, index: u64, attempt: AttemptId) {
        if !self.suspects.remove(&index) && !self.unready(index) && index == self.cursor {
            self.cursor += 1;
        }
        self.lose_patience(index);
        self.live.insert(index, attempt);
    }

    /// The item is not to be taken now; answers whether it was.
    fn unready(&mut self, index: u64) -> bool {
        self.ready.iter_mut().any(|ready| ready.remove(index))
    }

    /// The item waits for nobody.
    fn lose_patience(&mut self, index: u64) {
        if let Some((_, until)) = self.avoided.get_mut(&index)
            && let Some(until) = until.take()
        {
            self.patience.remove(&(until, index));
        }
    }

    /// The item has failed there. When it is tried again, it waits a while for one of the others, if `others` says that there are
    /// any but for those: on which it has not failed, or at least not just now.
    pub fn avoid(&mut self, index: u64, worker: WorkerId, others: impl Fn(&dyn Fn(WorkerId) -> bool) -> bool) {
        let (mut all, mut last) = (Avoided::default(), Avoided::default());
        if let Some((before, _)) = self.avoided.remove(&index) {
            all = before;
        }
        all.add(worker);
        last.add(worker);
        if let Some(avoided) = [all, last].into_iter().find(|avoided| others(&|worker| avoided.has(worker))) {
            self.avoided.insert(index, (avoided, None));
        }
    }

    /// Whether the item waits a while for others than those that it avoids.
    pub fn is_patient(&self, index: u64) -> bool {
        self.avoided.get(&index).is_some_and(|(_, until)| until.is_some())
    }

    /// The item has ended.
    pub fn forget(&mut self, index: u64) {
        self.lose_patience(index);
        self.avoided.remove(&index);
    }

    /// An attempt of an earlier life is under way on a worker.
    pub fn adopt(&mut self, index: u64, attempt: AttemptId) {
        self.unready(index);
        self.lose_patience(index);
        self.suspects.remove(&index);
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
                if let Some((_, until)) = self.avoided.get_mut(&index) {
                    let patience = due.saturating_add(PATIENCE_MS);
                    self.patience.insert((patience, index));
                    *until = Some(patience);
                }
            }
            // What the cursor has not come to yet it will find by itself.
            None if index >= self.cursor => {}
            None => {
                self.put(index, 0);
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

    /// The items with an attempt under way, from this one on.
    pub fn live_from(&self, index: u64) -> impl Iterator<Item = (u64, AttemptId)> {
        self.live.range(index..).map(|(index, attempt)| (*index, *attempt))
    }

    pub fn live_attempts(&self) -> impl Iterator<Item = AttemptId> {
        self.live.values().copied()
    }

    /// Items that can be taken now, where nothing else runs.
    pub fn suspects(&self) -> impl Iterator<Item = u64> {
        self.suspects.iter().copied()
    }

    /// Whether the item can be taken now, where nothing else runs.
    pub fn has_suspect(&self, index: u64) -> bool {
        self.suspects.contains(&index)
    }

    /// How many items whose memory has grown so often could be taken now, had anybody room for them, wherever that is.
    pub fn pending(&self, job: &Job, at: usize, growths: usize) -> u64 {
        let ready = |growths: usize| self.ready.get(growths).map_or(0, Ready::len);
        if growths > 0 || self.is_crowded() {
            return ready(growths);
        }
        let ended = job.stage(at).map_or(0, Stage::ended);
        let grown: u64 = (1..self.ready.len()).map(ready).sum();
        let elsewhere = ended + self.live() + self.waiting() + self.suspects.len() as u64 + grown;
        self.open(job, at, job.ready_items(at)).saturating_sub(elsewhere)
    }

    /// How many items wait for a pause to end.
    pub fn waiting(&self) -> u64 {
        self.later.len() as u64
    }

    /// Attempts that failed since the coordinator started.
    pub fn failed_attempts(&self) -> u64 {
        self.failed_attempts
    }

    /// An attempt has ended by that fault of its own, or well.
    pub fn note(&mut self, fault: Option<&Fault>) {
        self.streak.note(fault);
    }

    /// What kind of failure nearly all of the newest attempts are, and alike.
    pub fn failing_alike(&self) -> Option<FaultClass> {
        self.streak.class()
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
