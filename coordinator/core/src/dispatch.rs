//! Who runs what: workers that come and go, and the hand-out of items. All of it soft state.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{Core, wanted_replica},
    fleet::{Live, Worker},
    ids::{AttemptId, Incarnation, ItemKey, JobId, Now, WorkerId},
    input::{Held, ReplicaStatus},
    ledger::ItemState,
    outbox::{Assignment, Notice, Order, Outbox, Source},
    queue::Queue,
    record::{Record, WorkerRecord},
    service::ReplicaKey,
};

/// Runs shorter than this (microseconds) are not worth asking back for an idle worker.
const WORTH_RETURNING_US: u64 = 20_000;

/// How a worker went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It said so, and runs nothing any more.
    Goodbye,
    /// Another life of it said hello.
    Restart,
    /// Its lease ran out: it may be cut off, stopped, or down.
    Silence,
}

/// What a job has for a worker.
enum Next {
    /// An item; `pending` of its stage could be given out now, it included.
    Item { item: ItemKey, source: Source, pending: u64 },
    /// Something, but only for a worker with a load below this.
    TooFull { below: u64 },
    /// Nothing.
    Nothing,
}

impl Core {
    /// A worker has connected: for the first time, again, or after a restart.
    pub(crate) fn hello(
        &mut self,
        now: Now,
        (worker, incarnation, name, slots): (WorkerId, Incarnation, String, u32),
        held: &[Held],
        replicas: &[ReplicaStatus],
        out: &mut Outbox,
    ) {
        if self.fleet.workers.get(&worker).is_some_and(|known| known.incarnation != incarnation) {
            self.lose_worker(now, worker, Loss::Restart, out);
        }
        if let Some((silent, items)) = self.suspects.remove(&worker)
            && silent != incarnation
        {
            items.into_iter().for_each(|item| self.suspect_later(item, out));
        }
        if !self.ledger.knows_worker(worker, &name) {
            self.keep(Record::Worker(WorkerRecord { id: worker, name: name.clone() }), out);
        }
        self.missed.remove(&worker);
        let attempts = self.fleet.leave(worker).map(|known| known.attempts).unwrap_or_default();
        let life =
            Worker { incarnation, name, slots: slots.max(1), connected: true, heard_ms: now.steady_ms, attempts };
        self.fleet.join(worker, life);
        out.orders.push(Order::Welcome { worker, incarnation });
        self.reconcile(worker, held, out);
        self.placement.forget_told(worker);
        self.unplaced = true;
        self.report_replicas(worker, replicas, out);
    }

    /// Brings what the worker holds and what the core believes it holds together.
    fn reconcile(&mut self, worker: WorkerId, held: &[Held], out: &mut Outbox) {
        let ids: BTreeSet<AttemptId> = held.iter().map(|held| held.id).collect();
        let believed = self.fleet.workers.get(&worker).map(|known| known.attempts.clone()).unwrap_or_default();
        for lost in believed.difference(&ids) {
            if let Some(live) = self.fleet.take(*lost, worker)
                && self.release(live.item, *lost)
            {
                self.give_back(live.item);
                out.notice_job(live.item.job);
            }
        }
        // An order to return them may have been lost with the link.
        for kept in believed.intersection(&ids) {
            if let Some(live) = self.fleet.attempts.get_mut(kept) {
                live.returning = false;
            }
        }
        let mut stop = Vec::new();
        for held in held.iter().filter(|held| !believed.contains(&held.id)) {
            if self.is_nobodys(held.id) && self.adoptable(&held.item) {
                if let Some(queue) = self.queue_mut(&held.item) {
                    queue.adopt(held.item.index, held.id);
                }
                self.fleet.give(held.id, held.item, worker);
                out.notice_job(held.item.job);
            } else {
                stop.push(held.id);
            }
        }
        if !stop.is_empty() {
            out.orders.push(Order::Stop { worker, ids: stop });
        }
    }

    /// Whether the attempt may have been given out, and no worker is known to hold it: or a worker that claims what is
    /// another's, or will be, would leave an item behind that nothing ends.
    fn is_nobodys(&self, id: AttemptId) -> bool {
        let newest = AttemptId { epoch: self.epoch, number: self.attempts_given };
        id <= newest && !self.fleet.attempts.contains_key(&id)
    }

    /// Whether an attempt from before the coordinator's start, or from before a lost lease, may go on.
    fn adoptable(&mut self, item: &ItemKey) -> bool {
        let pending = self.ledger.job(item.job).is_some_and(|job| {
            let at = usize::from(item.stage);
            item.index < job.items(at)
                && job.stage(at).is_some_and(|stage| stage.state(item.index) == ItemState::Pending)
        });
        pending && self.queue_mut(item).is_some_and(|queue| !queue.is_live(item.index))
    }

    /// The worker is gone: what it held is to run elsewhere. Those of its attempts that were likely running are suspects
    /// when it went down; whether it did, a silent worker only shows when it comes back.
    pub(crate) fn lose_worker(&mut self, now: Now, worker: WorkerId, loss: Loss, out: &mut Outbox) {
        // First of all, so that no order that follows from its loss is addressed to it: not before its next welcome.
        let Some(gone) = self.fleet.leave(worker) else {
            return;
        };
        let (slots, incarnation) = (gone.slots as usize, gone.incarnation);
        let mut running = Vec::new();
        let lost: Vec<(AttemptId, Live)> =
            gone.attempts.into_iter().filter_map(|id| Some((id, self.fleet.take(id, worker)?))).collect();
        for (nth, (id, live)) in lost.into_iter().enumerate() {
            if !self.release(live.item, id) {
                continue;
            }
            out.notice_job(live.item.job);
            if nth < slots {
                running.push(live.item);
            }
            if loss == Loss::Restart && nth < slots {
                self.suspect(now, live.item, out);
            } else {
                self.give_back(live.item);
            }
        }
        if loss == Loss::Silence {
            self.suspects.insert(worker, (incarnation, running));
        }
        self.unplaced = true;
        self.keep(Record::WorkerGone(worker), out);
        out.notices.extend(self.placement.lose(worker).into_iter().map(Notice::Service));
    }

    pub(crate) fn report_replicas(&mut self, worker: WorkerId, replicas: &[ReplicaStatus], out: &mut Outbox) {
        let has: BTreeSet<ReplicaKey> = replicas.iter().map(|status| status.key.clone()).collect();
        let mut changed = self.placement.restarting(worker, &has);
        let ledger = &self.ledger;
        changed.extend(self.placement.report(worker, replicas, |key| wanted_replica(ledger, key)));
        out.notices.extend(changed.into_iter().map(Notice::Service));
    }

    pub(crate) fn notice_replicas_of(&self, worker: WorkerId, out: &mut Outbox) {
        out.notices.extend(self.placement.on(worker).map(|key| Notice::Service(key.service.clone())));
    }

    /// Time has passed: leases run out, pauses end, and work queued behind other work is asked back for idle workers.
    pub(crate) fn tick(&mut self, now: Now, out: &mut Outbox) {
        let lease_ms = self.settings.lease_ms;
        let silent = self.fleet.look_at_leases(|worker| now.steady_ms > worker.heard_ms + lease_ms);
        for worker in silent {
            self.lose_worker(now, worker, Loss::Silence, out);
        }
        if now.steady_ms >= self.reunion_until_ms {
            for worker in std::mem::take(&mut self.missed) {
                self.keep(Record::WorkerGone(worker), out);
            }
        }
        // Here and not only when there is room for them, or their deadlines would stay due until there is.
        while let Some(&(due_ms, job)) = self.pauses.first()
            && due_ms <= now.steady_ms
        {
            self.pauses.pop_first();
            for queue in self.queues.get_mut(&job).into_iter().flatten() {
                if queue.wake(now.steady_ms) {
                    self.turns.touch(job);
                    out.notices.push(Notice::Job(job));
                }
            }
        }
        self.ask_back(now, out);
    }

    /// Whether workers from before the start are still waited for.
    fn in_reunion(&self, now: Now) -> bool {
        !self.missed.is_empty() && now.steady_ms < self.reunion_until_ms
    }

    /// Gives out items: to the emptiest worker, of each item's job the one with the highest priority, then with the fewest
    /// attempts under way, later stages before earlier ones.
    ///
    /// A worker gets a run of items at once, at most its share of what is pending: so neighbours end together and are kept
    /// together, messages are few, and yet the last items are spread over all (guided self-scheduling, Polychronopoulos
    /// and Kuck 1987).
    pub(crate) fn dispatch(&mut self, now: Now, out: &mut Outbox) {
        let stale = self.turns.stale();
        self.rank(stale);
        if self.in_reunion(now) || self.queues.is_empty() {
            return;
        }
        let mut given: BTreeMap<WorkerId, Vec<Assignment>> = BTreeMap::new();
        while let Some((load, worker)) = self.fleet.emptiest() {
            let waited = self.turns.waited_for(load);
            self.rank(waited);
            let run = self.run_for(worker, now);
            if run.is_empty() {
                break;
            }
            for assignment in &run {
                out.notice_job(assignment.item.job);
            }
            given.entry(worker).or_default().extend(run);
        }
        out.orders.extend(given.into_iter().map(|(worker, attempts)| Order::Assign { worker, attempts }));
    }

    /// Gives jobs that may have something to give their place in the order.
    fn rank(&mut self, jobs: Vec<JobId>) {
        for id in jobs {
            match (self.queues.get(&id), self.ledger.job(id)) {
                (Some(queues), Some(job)) => {
                    let live = queues.iter().map(Queue::live).sum();
                    self.turns.rank(id, job.record.spec.priority, live);
                }
                _ => self.turns.remove(id),
            }
        }
    }

    /// What a worker is given at once; nothing when there is nothing for one as loaded as it is.
    fn run_for(&mut self, worker: WorkerId, now: Now) -> Vec<Assignment> {
        let mut run = Vec::new();
        let mut share = 1;
        while (run.len() as u64) < share
            && let Some(job) = self.turns.first()
        {
            let load = self.fleet.workers.get(&worker).map_or(u64::MAX, Worker::load);
            match self.next_item(job, now, load) {
                Next::Item { item, source, pending } => {
                    if run.is_empty() {
                        share = self.fleet.share(worker, pending);
                    }
                    run.push(self.assign(item, source, worker));
                    self.turns.gave(job);
                }
                Next::TooFull { below } => self.turns.wait(job, below),
                Next::Nothing => self.turns.remove(job),
            }
        }
        run
    }

    /// The job's next item for a worker of this load.
    fn next_item(&mut self, id: JobId, now: Now, load: u64) -> Next {
        let (Some(job), Some(queues)) = (self.ledger.job(id), self.queues.get_mut(&id)) else {
            return Next::Nothing;
        };
        let mut deepest = 0;
        for (at, queue) in queues.iter_mut().enumerate().rev() {
            let (Some(spec), Ok(stage)) = (job.spec(at), u16::try_from(at)) else {
                continue;
            };
            let room = match spec.max_parallel {
                0 => u64::MAX,
                most => u64::from(most).saturating_sub(queue.live()),
            };
            let Some(index) = (room > 0).then(|| queue.peek(job, at, now.steady_ms)).flatten() else {
                continue;
            };
            if load >= queue.depth() * 1024 {
                deepest = deepest.max(queue.depth());
                continue;
            }
            let source = match job.stage(at).and_then(|stage| stage.parent(index)) {
                _ if spec.gather => Source::Everything,
                Some((parent, ordinal)) => Source::Output { parent, ordinal },
                None => Source::Input,
            };
            let pending = queue.pending(job, at).clamp(1, room);
            return Next::Item { item: ItemKey { job: id, stage, index }, source, pending };
        }
        if deepest > 0 { Next::TooFull { below: deepest * 1024 } } else { Next::Nothing }
    }

    fn assign(&mut self, item: ItemKey, source: Source, worker: WorkerId) -> Assignment {
        self.attempts_given += 1;
        let id = AttemptId { epoch: self.epoch, number: self.attempts_given };
        let tries =
            self.ledger.job(item.job).and_then(|job| job.trouble(&item)).map_or(0, crate::ledger::Trouble::tries);
        let queues = self.queues.get_mut(&item.job);
        if let Some(queue) = queues.and_then(|queues| queues.get_mut(usize::from(item.stage))) {
            queue.take(item.index, id);
        }
        self.fleet.give(id, item, worker);
        Assignment { id, item, attempt: tries.saturating_add(1), source }
    }

    /// At the tail of the work, items queued behind others on one worker are asked back when another is idle.
    fn ask_back(&mut self, now: Now, out: &mut Outbox) {
        let idle: u64 = self
            .fleet
            .workers
            .values()
            .filter(|worker| worker.connected)
            .map(|worker| u64::from(worker.slots).saturating_sub(worker.attempts.len() as u64))
            .sum();
        if idle == 0 || self.in_reunion(now) {
            return;
        }
        let mut wanted = idle;
        let mut asked: BTreeMap<WorkerId, Vec<AttemptId>> = BTreeMap::new();
        for (id, worker) in &self.fleet.workers {
            if !worker.connected {
                continue;
            }
            let queued = worker.attempts.iter().skip(worker.slots as usize).rev();
            for attempt in queued {
                if wanted == 0 {
                    break;
                }
                if self.is_worth_returning(*attempt) {
                    wanted -= 1;
                    asked.entry(*id).or_default().push(*attempt);
                }
            }
        }
        for attempt in asked.values().flatten() {
            if let Some(live) = self.fleet.attempts.get_mut(attempt) {
                live.returning = true;
            }
        }
        out.orders.extend(asked.into_iter().map(|(worker, ids)| Order::Return { worker, ids }));
    }

    fn is_worth_returning(&self, id: AttemptId) -> bool {
        self.fleet.attempts.get(&id).is_some_and(|live| {
            let average = self
                .queues
                .get(&live.item.job)
                .and_then(|queues| queues.get(usize::from(live.item.stage)))
                .map_or(0, |queue| queue.average_us);
            !live.returning && average >= WORTH_RETURNING_US
        })
    }

    /// Places replicas and tells workers what to keep.
    pub(crate) fn place(&mut self, now: Now, out: &mut Outbox) {
        if self.in_reunion(now) {
            return;
        }
        self.unplaced = false;
        let wanted: BTreeSet<ReplicaKey> = self
            .ledger
            .services()
            .filter_map(|service| Some((service, service.plan.as_ref()?)))
            .flat_map(|(service, plan)| plan.replicas_of(&service.name, service.generation))
            .collect();
        let workers: Vec<WorkerId> =
            self.fleet.workers.iter().filter(|(_, worker)| worker.connected).map(|(id, _)| *id).collect();
        out.notices.extend(self.placement.settle(&wanted, &workers).into_iter().map(Notice::Service));
        for worker in workers {
            if let Some(keep) = self.placement.tell(worker) {
                out.orders.push(Order::Replicas { worker, keep });
            }
        }
    }

    /// Whether the worker has said hello and its lease runs; a link of one that has not is to be closed, so that it
    /// says hello again.
    #[must_use]
    pub fn knows(&self, worker: WorkerId, incarnation: Incarnation) -> bool {
        self.fleet.workers.get(&worker).is_some_and(|known| known.incarnation == incarnation)
    }
}
