//! The queues of all jobs that have not ended, and the order in which they give.
//!
//! Whatever changes a queue gives its job its turn again, here and nowhere else: a job whose queue changes unnoticed would
//! never be given out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    missing::Missing,
    queue::{PATIENCE_MS, Queue},
    taking::{Busy, takes},
    turns::{Part, Passed, Turns},
};
use crate::{
    fault::Fault,
    fit::Needs,
    ids::{AttemptId, ItemKey, JobId, Namespace, Now, WorkerId},
    jobs::Job,
    ledger::Ledger,
    stages::{Source, StageSpec},
    workers::{Fleet, Group, Worker},
};

/// One list per job, one queue per stage.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    jobs: BTreeMap<JobId, Vec<Queue>>,
    /// By job, and by stage, the part that its items are of, and those whose memory has grown once, twice, …: those of one part need
    /// the same.
    parts: BTreeMap<JobId, Vec<Vec<u16>>>,
    turns: Turns,
    /// When pauses of jobs end, or would have ended.
    pauses: BTreeSet<(u64, JobId)>,
    /// Who could not get the image of which stages.
    pub missing: Missing,
    /// Stages that may have items which are to run alone.
    suspicious: BTreeSet<(JobId, usize)>,
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
    /// Something, but the worker has no room for what needs as much.
    NoRoom,
    /// Something, but others may be given it, however full they are.
    NotHere,
    Nothing,
}

impl Queues {
    /// The job of that namespace has these stages, and may have something to give.
    pub fn open(&mut self, job: JobId, namespace: &Namespace, stages: &[StageSpec]) {
        self.jobs.insert(job, stages.iter().map(|_| Queue::default()).collect());
        // The last stages first, so that of two parts whose turn it is alike the one with the later stage goes first.
        // And what needs more before what needs less, which would else take its room again and again.
        let mut needs = Vec::new();
        let mut part_of = |wanted: Option<Arc<Needs>>| {
            let known = needs.iter().position(|known| *known == wanted);
            let part = known.unwrap_or_else(|| {
                needs.push(wanted);
                needs.len() - 1
            });
            u16::try_from(part).unwrap_or(u16::MAX)
        };
        let mut parts = Vec::with_capacity(stages.len());
        for stage in stages.iter().rev() {
            let mut of: Vec<u16> = stage.grown().into_iter().rev().map(|needs| part_of(Some(needs))).collect();
            of.push(part_of(stage.needs.clone()));
            of.reverse();
            parts.push(of);
        }
        parts.reverse();
        self.parts.insert(job, parts);
        self.turns.open(job, namespace, needs.into_iter());
    }

    /// A group of workers has come or gone.
    pub fn learn_groups(&mut self, fleet: &mut Fleet) {
        for group in fleet.changed_groups() {
            self.turns.set_group(group, fleet.kind(group));
        }
    }

    /// The job gives nothing any more; answers its attempts under way.
    pub fn close(&mut self, job: JobId) -> Vec<AttemptId> {
        self.turns.shut(job);
        self.missing.forget_job(job);
        self.parts.remove(&job);
        self.jobs.remove(&job).iter().flatten().flat_map(Queue::live_attempts).collect()
    }

    /// Something about the job has changed, so that it may have more to give, or less.
    pub fn touch(&mut self, job: JobId) {
        self.turns.touch(job);
    }

    /// The job's attempts under way.
    pub fn live_attempts(&self, job: JobId) -> Vec<AttemptId> {
        self.jobs.get(&job).into_iter().flatten().flat_map(Queue::live_attempts).collect()
    }

    /// Whether every job has ended.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The queue of that stage, to be looked at.
    pub fn of(&self, job: JobId, stage: usize) -> Option<&Queue> {
        self.jobs.get(&job)?.get(stage)
    }

    /// How many more attempts of a job's stage may be under way.
    pub fn room(&self, job: &Job, stage: usize) -> u64 {
        let found = self.of(job.record.id, stage).zip(job.spec(stage));
        found.map_or(0, |(queue, spec)| room(spec, queue))
    }

    /// The jobs that have not ended.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.jobs.keys().copied()
    }

    /// Attempts that are under way, over all jobs.
    pub fn live(&self) -> u64 {
        self.jobs.values().flatten().map(Queue::live).sum()
    }

    /// Whether the job has items to give out, but no turn, and waits for nothing.
    pub fn is_overlooked(&self, job: &Job) -> bool {
        let id = job.record.id;
        let can_give = |queue: &Queue, (at, growths): (usize, usize)| {
            queue.pending(job, at, growths) > 0 && job.spec(at).is_some_and(|spec| room(spec, queue) > 0)
        };
        let known = |place: (usize, usize)| self.part_of(id, place).is_some_and(|part| self.turns.knows((id, part)));
        let mut queues = self.jobs.get(&id).into_iter().flatten().enumerate();
        queues.any(|(at, queue)| {
            let mut places = (0..=job.most_growths(at)).map(|growths| (at, growths));
            places.any(|place| can_give(queue, place) && !known(place))
        })
    }

    fn part_of(&self, job: JobId, (stage, growths): (usize, usize)) -> Option<u16> {
        self.parts.get(&job)?.get(stage)?.get(growths).copied()
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
            let is_patient = queue.is_patient(item.index);
            self.pauses.insert((due_ms, item.job));
            if is_patient {
                self.pauses.insert((due_ms.saturating_add(PATIENCE_MS), item.job));
            }
        }
    }

    /// The item has failed there; `others` says whether there are workers for it but for those.
    pub fn avoid(&mut self, item: &ItemKey, worker: WorkerId, others: impl Fn(&dyn Fn(WorkerId) -> bool) -> bool) {
        if let Some(queue) = self.change(item) {
            queue.avoid(item.index, worker, others);
        }
    }

    /// The worker could not get the image of the item's stage, and says why.
    pub fn miss_image(&mut self, item: &ItemKey, worker: WorkerId, now: Now, detail: &[u8]) {
        let until_ms = self.missing.note((item.job, item.stage), worker, now.steady_ms, detail);
        self.pauses.insert((until_ms, item.job));
    }

    /// Nobody is left out of the item's stage any more.
    pub fn forget_missing(&mut self, item: &ItemKey) {
        self.missing.forget((item.job, item.stage));
        self.turns.touch(item.job);
    }

    /// Whether something of the job could be given out now, had anybody room for it.
    pub fn has_pending(&self, job: &Job) -> bool {
        let queues = self.jobs.get(&job.record.id).into_iter().flatten().enumerate();
        let growths = |at: usize| 0..=job.most_growths(at);
        let mut places = queues.flat_map(|(at, queue)| growths(at).map(move |growths| (queue, at, growths)));
        places.any(|(queue, at, growths)| queue.pending(job, at, growths) > 0 || queue.suspects().next().is_some())
    }

    /// The item has ended.
    pub fn forget(&mut self, item: &ItemKey) {
        if let Some(queue) = self.change(item) {
            queue.forget(item.index);
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

    /// An attempt at the item has ended by that fault of its own, or well.
    pub fn note(&mut self, item: &ItemKey, fault: Option<&Fault>) {
        if let Some(queue) = self.change(item) {
            queue.note(fault);
        }
    }

    /// Whether an attempt of the job is under way.
    pub fn runs(&self, job: JobId) -> bool {
        self.jobs.get(&job).is_some_and(|queues| queues.iter().any(|queue| queue.live() > 0))
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
            if self.missing.wake(job, now.steady_ms) {
                self.turns.touch(job);
                woken.push(job);
            }
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

    /// Gives jobs that have waited for a worker of this group as empty as that their place in the order.
    pub fn rank_waiting(&mut self, ledger: &Ledger, load: u64, group: Group) {
        let waited = self.turns.waited_for(load, group);
        self.rank(ledger, waited);
    }

    fn rank(&mut self, ledger: &Ledger, jobs: Vec<JobId>) {
        for id in jobs {
            match (self.jobs.get(&id), ledger.job(id)) {
                (Some(queues), Some(job)) if job.record.may_dispatch() => {
                    let live = queues.iter().map(Queue::live).sum();
                    self.turns.rank(id, job.record.spec.priority, live);
                }
                _ => self.turns.remove_all(id),
            }
        }
    }

    /// The next item for a worker of this load and group, without taking it. Parts of jobs that have none lose their turn; what
    /// others may be given, but not this one now, is passed.
    pub fn next(
        &mut self,
        ledger: &Ledger,
        now: Now,
        (id, worker, load, group): (WorkerId, &Worker, u64, Group),
        passed: &mut Passed,
    ) -> Option<Next> {
        while let Some((part, lane)) = self.turns.first(group, passed) {
            let offer = self.offer(ledger.job(part.0), part, now, (id, worker, load));
            if self.has_grown(part.0) {
                // Those have a part of their own, which may have lost its turn.
                self.rank(ledger, vec![part.0]);
            }
            match offer {
                Offer::Item(next) => return Some(next),
                Offer::TooFull { below } => self.turns.wait(part, below),
                Offer::NoRoom => passed.pass_lane(lane),
                Offer::NotHere => passed.pass(part),
                Offer::Nothing => self.turns.remove(part),
            }
        }
        None
    }

    /// Whether items of the job were found whose memory has grown since this was last asked.
    fn has_grown(&mut self, job: JobId) -> bool {
        let mut any = false;
        for queue in self.jobs.get_mut(&job).into_iter().flatten() {
            any |= queue.has_grown();
        }
        any
    }

    /// The part's next item for a worker of this load.
    fn offer(
        &mut self,
        job: Option<&Job>,
        (id, part): Part,
        now: Now,
        (taker, worker, load): (WorkerId, &Worker, u64),
    ) -> Offer {
        let (Some(job), Some(queues), Some(parts)) = (job, self.jobs.get_mut(&id), self.parts.get(&id)) else {
            return Offer::Nothing;
        };
        let (mut deepest, mut not_here) = (0, false);
        let places = parts.iter().enumerate().rev().flat_map(|(at, of)| of.iter().enumerate().map(move |it| (at, it)));
        for (at, growths) in places.filter(|(_, (_, of))| **of == part).map(|(at, (growths, _))| (at, growths)) {
            let (Some(spec), Ok(stage), Some(queue)) = (job.spec(at), u16::try_from(at), queues.get_mut(at)) else {
                continue;
            };
            let room = room(spec, queue);
            if self.missing.has((id, stage), taker) {
                not_here |= room > 0 && queue.may_have(job, at, growths);
                continue;
            }
            let index = (room > 0).then(|| queue.peek(job, at, growths, (taker, now.steady_ms))).flatten();
            if queue.suspects().next().is_some() {
                self.suspicious.insert((id, at));
            }
            let Some(index) = index else {
                not_here |= room > 0 && queue.has_ready(growths);
                continue;
            };
            let needs = job.needs(at, growths).map(|needs| &**needs);
            match takes(worker, load, needs, queue.depth()) {
                Ok(()) => {}
                // Of all stages of the part alike. What could never be is not shown to this group.
                Err(Busy::Room(_)) => return Offer::NoRoom,
                Err(Busy::Beside) => return Offer::NotHere,
                Err(Busy::Deep) => {
                    deepest = deepest.max(queue.depth());
                    continue;
                }
            }
            let Some(source) = job.source(at, index) else {
                continue;
            };
            let pending = queue.pending(job, at, growths).clamp(1, room);
            return Offer::Item(Next { item: ItemKey { job: id, stage, index }, source, pending });
        }
        match deepest {
            // Also where this one is too full for others of them: another may be given these, however full it is.
            _ if not_here => Offer::NotHere,
            0 => Offer::Nothing,
            deepest => Offer::TooFull { below: deepest * 1024 },
        }
    }

    /// Items that can be given out now, but only to run alone, and where their input is.
    pub fn suspects(&mut self, ledger: &Ledger) -> Vec<(ItemKey, Source)> {
        let jobs = &self.jobs;
        let queue = |(id, at): &(JobId, usize)| jobs.get(id).and_then(|queues| queues.get(*at));
        self.suspicious.retain(|place| queue(place).is_some_and(|queue| queue.suspects().next().is_some()));
        let mut found = Vec::new();
        for (id, at) in &self.suspicious {
            let (Some(job), Some(queue), Ok(stage)) = (ledger.job(*id), queue(&(*id, *at)), u16::try_from(*at)) else {
                continue;
            };
            if job.record.may_dispatch() && job.spec(*at).is_some_and(|spec| room(spec, queue) > 0) {
                let sources = queue.suspects().filter_map(|index| Some((index, job.source(*at, index)?)));
                found.extend(sources.map(|(index, source)| (ItemKey { job: *id, stage, index }, source)));
            }
        }
        found
    }

    /// Whether there may be items that are to run alone.
    pub fn has_suspects(&self) -> bool {
        !self.suspicious.is_empty()
    }

    /// Whether the item waits for a worker on which it is alone.
    pub fn is_set_apart(&self, item: &ItemKey) -> bool {
        self.of(item.job, item.stage.into()).is_some_and(|queue| queue.has_suspect(item.index))
    }

    /// The item that [`Queues::next`] or [`Queues::suspects`] answered is under way.
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
