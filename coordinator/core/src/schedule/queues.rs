//! The queues of all jobs that have not ended, and the order in which they give.
//!
//! Whatever changes a queue gives its job its turn again, here and nowhere else: a job whose queue changes unnoticed would
//! never be given out.

use std::collections::{BTreeMap, BTreeSet};

use super::{queue::Queue, turns::Turns};
use crate::{
    ids::{AttemptId, ItemKey, JobId, Now},
    jobs::Job,
    ledger::Ledger,
    stages::{Source, StageSpec},
    workers::Clientele,
};

/// One list per job, one queue per stage.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    jobs: BTreeMap<JobId, Vec<Queue>>,
    turns: Turns,
    /// When pauses of jobs end, or would have ended.
    pauses: BTreeSet<(u64, JobId)>,
}

/// An item that can be given out.
#[derive(Debug)]
pub(crate) struct Next {
    pub item: ItemKey,
    pub source: Source,
    /// How many items of its stage could be given out now, it included.
    pub pending: u64,
}

/// What a job has for a worker.
enum Offer {
    Item(Next),
    /// Something, but only for a worker with a load below this.
    TooFull {
        below: u64,
    },
    Nothing,
}

impl Queues {
    /// The job has so many stages, and may have something to give.
    pub fn open(&mut self, job: JobId, stages: usize) {
        self.jobs.insert(job, (0..stages).map(|_| Queue::default()).collect());
        self.turns.touch(job);
    }

    /// The job gives nothing any more; answers its attempts under way.
    pub fn close(&mut self, job: JobId) -> Vec<AttemptId> {
        self.turns.touch(job);
        self.jobs.remove(&job).iter().flatten().flat_map(Queue::live_attempts).collect()
    }

    /// Whether every job has ended.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The queue of that stage, to be looked at.
    pub fn of(&self, job: JobId, stage: usize) -> Option<&Queue> {
        self.jobs.get(&job)?.get(stage)
    }

    /// Attempts that are under way, over all jobs.
    pub fn live(&self) -> u64 {
        self.jobs.values().flatten().map(Queue::live).sum()
    }

    /// Whether the job has items to give out, but no turn, and waits for nothing.
    pub fn is_overlooked(&self, job: &Job) -> bool {
        let id = job.record.id;
        let can_give = |(at, queue): (usize, &Queue)| {
            queue.pending(job, at) > 0 && job.spec(at).is_some_and(|spec| room(spec, queue) > 0)
        };
        self.jobs.get(&id).is_some_and(|queues| queues.iter().enumerate().any(can_give)) && !self.turns.knows(id)
    }

    /// The queue the item belongs to, to be changed.
    fn change(&mut self, item: &ItemKey) -> Option<&mut Queue> {
        self.turns.touch(item.job);
        self.jobs.get_mut(&item.job)?.get_mut(usize::from(item.stage))
    }

    /// The item is to be taken again at once, if it still needs to.
    pub fn give_back(&mut self, item: &ItemKey) {
        if let Some(queue) = self.change(item) {
            queue.again(item.index, None);
        }
    }

    /// The item is to be taken again at that time, steady milliseconds.
    pub fn pause(&mut self, item: &ItemKey, due_ms: u64) {
        if let Some(queue) = self.change(item) {
            queue.again(item.index, Some(due_ms));
            self.pauses.insert((due_ms, item.job));
        }
    }

    /// The attempt is no longer under way; answers whether it was this item's.
    pub fn release(&mut self, item: &ItemKey, id: AttemptId) -> bool {
        self.change(item).is_some_and(|queue| queue.release(item.index, id))
    }

    /// An attempt of an earlier life is under way; false when the item's job has ended or another attempt is.
    pub fn adopt(&mut self, item: &ItemKey, id: AttemptId) -> bool {
        let Some(queue) = self.change(item).filter(|queue| !queue.is_live(item.index)) else {
            return false;
        };
        queue.adopt(item.index, id);
        true
    }

    /// Learns from one run of the item's stage, microseconds.
    pub fn ran(&mut self, item: &ItemKey, run_us: u64) {
        if let Some(queue) = self.change(item) {
            queue.ran(run_us);
        }
    }

    /// An attempt at the item has failed.
    pub fn failed(&mut self, item: &ItemKey) {
        if let Some(queue) = self.change(item) {
            queue.count_failure();
        }
    }

    /// Average run time of the item's stage in microseconds; 0 until the first.
    pub fn average_us(&self, item: &ItemKey) -> u64 {
        self.of(item.job, usize::from(item.stage)).map_or(0, Queue::average_us)
    }

    /// When the next pause ends, steady milliseconds.
    pub fn next_pause_ms(&self) -> Option<u64> {
        self.pauses.first().map(|(due_ms, _)| *due_ms)
    }

    /// Ends the pauses that are over; answers the jobs that have something to give by that.
    pub fn wake(&mut self, now: Now) -> Vec<JobId> {
        let mut woken = Vec::new();
        while let Some(&(due_ms, job)) = self.pauses.first()
            && due_ms <= now.steady_ms
        {
            self.pauses.pop_first();
            for queue in self.jobs.get_mut(&job).into_iter().flatten() {
                if queue.wake(now.steady_ms) {
                    self.turns.touch(job);
                    woken.push(job);
                }
            }
        }
        woken
    }

    /// Gives jobs that have changed their place in the order.
    pub fn rank_changed(&mut self, ledger: &Ledger) {
        let stale = self.turns.stale();
        self.rank(ledger, stale);
    }

    /// Gives jobs that have waited for a worker of this clientele as empty as that their place in the order.
    pub fn rank_waiting(&mut self, ledger: &Ledger, load: u64, clientele: &Clientele) {
        let waited = self.turns.waited_for(load, clientele);
        self.rank(ledger, waited);
    }

    fn rank(&mut self, ledger: &Ledger, jobs: Vec<JobId>) {
        for id in jobs {
            match (self.jobs.get(&id), ledger.job(id)) {
                (Some(queues), Some(job)) if job.record.state.may_dispatch() => {
                    let live = queues.iter().map(Queue::live).sum();
                    self.turns.rank(id, &job.record.namespace, job.record.spec.priority, live);
                }
                _ => self.turns.remove(id),
            }
        }
    }

    /// The next item for a worker of this load and clientele, without taking it. Jobs that have none for it lose their turn.
    pub fn next(&mut self, ledger: &Ledger, now: Now, load: u64, clientele: &Clientele) -> Option<Next> {
        while let Some(id) = self.turns.first(clientele) {
            match self.offer(ledger.job(id), id, now, load) {
                Offer::Item(next) => return Some(next),
                Offer::TooFull { below } => self.turns.wait(id, below),
                Offer::Nothing => self.turns.remove(id),
            }
        }
        None
    }

    /// The job's next item for a worker of this load.
    fn offer(&mut self, job: Option<&Job>, id: JobId, now: Now, load: u64) -> Offer {
        let (Some(job), Some(queues)) = (job, self.jobs.get_mut(&id)) else {
            return Offer::Nothing;
        };
        let mut deepest = 0;
        for (at, queue) in queues.iter_mut().enumerate().rev() {
            let (Some(spec), Ok(stage)) = (job.spec(at), u16::try_from(at)) else {
                continue;
            };
            let room = room(spec, queue);
            let Some(index) = (room > 0).then(|| queue.peek(job, at, now.steady_ms)).flatten() else {
                continue;
            };
            if load >= queue.depth() * 1024 {
                deepest = deepest.max(queue.depth());
                continue;
            }
            let Some(source) = job.source(at, index) else {
                continue;
            };
            let pending = queue.pending(job, at).clamp(1, room);
            return Offer::Item(Next { item: ItemKey { job: id, stage, index }, source, pending });
        }
        if deepest > 0 { Offer::TooFull { below: deepest * 1024 } } else { Offer::Nothing }
    }

    /// The item that [`Queues::next`] answered is under way.
    pub fn take(&mut self, item: &ItemKey, id: AttemptId) {
        let queues = self.jobs.get_mut(&item.job);
        if let Some(queue) = queues.and_then(|queues| queues.get_mut(usize::from(item.stage))) {
            queue.take(item.index, id);
        }
        self.turns.gave(item.job);
    }
}

/// How many more attempts of the stage may be under way.
fn room(spec: &StageSpec, queue: &Queue) -> u64 {
    match spec.max_parallel {
        0 => u64::MAX,
        most => u64::from(most).saturating_sub(queue.live()),
    }
}
