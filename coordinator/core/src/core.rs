//! The one entrance: an input goes in, an outbox comes out.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    dispatch::Loss,
    fleet::Fleet,
    ids::{AttemptId, Incarnation, ItemKey, JobId, Now, RequestId, WorkerId},
    input::{Blame, End, Finished, Input},
    job::{JobSpec, JobState},
    ledger::{ItemState, Ledger, Trouble},
    outbox::{Notice, Order, Outbox, Refusal, Reply},
    placement::Placement,
    queue::Queue,
    record::{JobRecord, OutcomeRecord, Record, ServiceRecord, TroubleRecord},
    service::{ReplicaKey, ServicePlan},
    turns::Turns,
};

/// Terms that are the same for everyone.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Silence after which a worker is gone, milliseconds.
    pub lease_ms: u64,
    /// How long after a start nothing is given out while workers that were here before have not come back, milliseconds:
    /// what they still run need not run twice.
    pub reunion_ms: u64,
    /// Slots and workers an item may take down before it is given up.
    pub crashes: u32,
    /// Failures of the infrastructure an item is tried through.
    pub mishaps: u32,
    /// First and longest pause after a failure of the infrastructure, milliseconds.
    pub mishap_pause_ms: (u64, u64),
}

impl Default for Settings {
    fn default() -> Self {
        Self { lease_ms: 10_000, reunion_ms: 3_000, crashes: 3, mishaps: 10, mishap_pause_ms: (250, 30_000) }
    }
}

/// The core: the ledger, and the soft state around it.
#[derive(Debug)]
pub struct Core {
    pub(crate) ledger: Ledger,
    pub(crate) settings: Settings,
    pub(crate) epoch: u64,
    pub(crate) attempts_given: u64,
    pub(crate) fleet: Fleet,
    /// One list per running job, one queue per stage.
    pub(crate) queues: BTreeMap<JobId, Vec<Queue>>,
    /// The order in which they give.
    pub(crate) turns: Turns,
    /// When pauses of jobs end, or would have ended.
    pub(crate) pauses: BTreeSet<(u64, JobId)>,
    pub(crate) placement: Placement,
    /// Workers that were here before the start and have not come back.
    pub(crate) missed: BTreeSet<WorkerId>,
    pub(crate) reunion_until_ms: u64,
    /// Workers or services have changed since replicas were last placed.
    pub(crate) unplaced: bool,
    /// What likely ran on workers that fell silent: should one come back as another life, it went down with these.
    pub(crate) suspects: BTreeMap<WorkerId, (Incarnation, Vec<ItemKey>)>,
}

impl Core {
    /// A core that knows what `records` say. `epoch` is higher than that of any earlier run, and durable already.
    pub fn load(epoch: u64, settings: Settings, now: Now, records: impl IntoIterator<Item = Record>) -> Self {
        let mut ledger = Ledger::default();
        for record in records {
            ledger.apply(&record);
        }
        let queues: BTreeMap<JobId, Vec<Queue>> = ledger
            .jobs()
            .filter(|job| job.record.state == JobState::Running)
            .map(|job| (job.record.id, new_queues(&job.record.spec)))
            .collect();
        let mut turns = Turns::default();
        queues.keys().for_each(|job| turns.touch(*job));
        let missed = ledger.workers().map(|(id, _)| id).collect();
        Self {
            ledger,
            settings,
            epoch,
            attempts_given: 0,
            fleet: Fleet::default(),
            queues,
            turns,
            pauses: BTreeSet::new(),
            placement: Placement::default(),
            missed,
            reunion_until_ms: now.steady_ms.saturating_add(settings.reunion_ms),
            unplaced: true,
            suspects: BTreeMap::new(),
        }
    }

    /// What is kept.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Takes in one input.
    pub fn step(&mut self, now: Now, input: Input) -> Outbox {
        let mut out = Outbox::default();
        match input {
            Input::Submit { request, job, key, spec, inputs, detail } => {
                let record = JobRecord {
                    id: job,
                    key,
                    spec,
                    inputs,
                    detail,
                    state: JobState::Running,
                    reason: String::new(),
                    submitted_ms: now.wall_ms,
                    ended_ms: 0,
                };
                self.submit(request, record, &mut out);
            }
            Input::Cancel { request, job, reason } => self.cancel(now, request, job, reason, &mut out),
            Input::Retry { request, job } => self.retry(request, job, &mut out),
            Input::Hello { worker, incarnation, name, slots, held, replicas } => {
                self.hello(now, (worker, incarnation, name, slots), &held, &replicas, &mut out);
            }
            Input::Heard { worker, incarnation } => {
                if let Some(worker) = self.fleet.life(worker, incarnation) {
                    worker.heard_ms = now.steady_ms;
                }
            }
            Input::LinkLost { worker, incarnation } => {
                if let Some(life) = self.fleet.life(worker, incarnation) {
                    life.connected = false;
                    self.fleet.touch(worker);
                    self.unplaced = true;
                    self.placement.forget_told(worker);
                    self.notice_replicas_of(worker, &mut out);
                }
            }
            Input::Goodbye { worker, incarnation } => {
                if self.fleet.life(worker, incarnation).is_some() {
                    self.lose_worker(now, worker, Loss::Goodbye, &mut out);
                }
            }
            Input::Finished { worker, incarnation, results } => {
                if let Some(life) = self.fleet.life(worker, incarnation) {
                    life.heard_ms = now.steady_ms;
                    self.finished(now, worker, results, &mut out);
                }
            }
            Input::Replicas { worker, incarnation, replicas } => {
                if let Some(life) = self.fleet.life(worker, incarnation) {
                    life.heard_ms = now.steady_ms;
                    self.report_replicas(worker, &replicas, &mut out);
                }
            }
            Input::Deploy { request, name, plan, detail } => self.deploy(request, name, plan, detail, &mut out),
            Input::Remove { request, name } => self.remove(request, &name, &mut out),
            Input::Tick => self.tick(now, &mut out),
        }
        self.dispatch(now, &mut out);
        if self.unplaced {
            self.place(now, &mut out);
        }
        out.notices.sort_unstable();
        out.notices.dedup();
        out
    }

    /// When [`Input::Tick`] may have something to do, in steady milliseconds, if ever.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<u64> {
        let lease = self.fleet.heard_ms().map(|heard_ms| heard_ms + self.settings.lease_ms + 1);
        let pause = self.pauses.first().map(|(due_ms, _)| *due_ms);
        let reunion = (!self.missed.is_empty()).then_some(self.reunion_until_ms);
        [lease, pause, reunion].into_iter().flatten().min()
    }

    /// Makes a record true and keeps it for the outbox.
    pub(crate) fn keep(&mut self, record: Record, out: &mut Outbox) {
        self.ledger.apply(&record);
        self.unplaced |= matches!(record, Record::Service(_));
        out.records.push(record);
    }

    fn submit(&mut self, request: RequestId, record: JobRecord, out: &mut Outbox) {
        if let Some(job) = self.ledger.job_of_key(&record.key) {
            out.replies.push((request, Reply::Submitted { job, existed: true }));
            return;
        }
        let job = record.id;
        self.open_queues(job, &record.spec);
        self.keep(Record::Job(record), out);
        out.replies.push((request, Reply::Submitted { job, existed: false }));
        out.notices.push(Notice::Job(job));
    }

    fn cancel(&mut self, now: Now, request: RequestId, id: JobId, reason: String, out: &mut Outbox) {
        let reply = match self.ledger.job(id) {
            None => Reply::Refused(Refusal::NoSuchJob(id)),
            Some(job) if job.record.state.has_ended() => Reply::Refused(Refusal::JobHasEnded(id)),
            Some(_) => {
                self.end_job(now, id, JobState::Cancelled, reason, out);
                Reply::Cancelled
            }
        };
        out.replies.push((request, reply));
    }

    fn retry(&mut self, request: RequestId, id: JobId, out: &mut Outbox) {
        let reply = match self.ledger.job(id) {
            None => Reply::Refused(Refusal::NoSuchJob(id)),
            Some(job) if !job.record.state.has_ended() => Reply::Refused(Refusal::JobIsRunning(id)),
            Some(job) if job.failed() == 0 && job.record.state != JobState::Cancelled => {
                Reply::Refused(Refusal::NothingFailed(id))
            }
            Some(job) => {
                let mut record = job.record.clone();
                let failed: Vec<ItemKey> = (0_u16..)
                    .zip(0..job.stage_count())
                    .filter_map(|(stage, at)| Some((stage, job.stage(at)?)))
                    .flat_map(|(stage, state)| state.failed_items().map(move |index| ItemKey { job: id, stage, index }))
                    .collect();
                record.state = JobState::Running;
                record.ended_ms = 0;
                record.reason = String::new();
                let items = failed.len() as u64;
                self.open_queues(id, &record.spec);
                self.keep(Record::Job(record), out);
                for item in failed {
                    self.keep(Record::OutcomeGone(item), out);
                }
                out.notices.push(Notice::Job(id));
                Reply::Retried { items }
            }
        };
        out.replies.push((request, reply));
    }

    /// Takes in the ends of attempts. Whatever comes of them, the worker may forget them.
    fn finished(&mut self, now: Now, worker: WorkerId, results: Vec<Finished>, out: &mut Outbox) {
        let mut settled = Vec::with_capacity(results.len());
        out.records.reserve(results.len());
        let mut touched = BTreeSet::new();
        for result in results {
            settled.push(result.id);
            // Fenced: not an attempt this worker holds by our knowledge, so it commits nothing.
            let Some(live) = self.fleet.take(result.id, worker) else {
                continue;
            };
            if !self.release(live.item, result.id) {
                continue;
            }
            touched.insert(live.item.job);
            if live.item != result.item {
                self.give_back(live.item);
                continue;
            }
            self.end_attempt(now, live.item, result, out);
        }
        out.orders.push(Order::Settle { worker, ids: settled });
        for job in touched {
            out.notices.push(Notice::Job(job));
            self.end_if_spent(now, job, out);
        }
    }

    fn end_attempt(&mut self, now: Now, item: ItemKey, result: Finished, out: &mut Outbox) {
        match result.end {
            End::Returned => self.give_back(item),
            End::Succeeded { outputs, detail } => {
                if let Some(queue) = self.queue_mut(&item) {
                    queue.ran(result.run_us);
                }
                self.keep_outcome(item, true, outputs, detail, out);
            }
            End::Failed { blame, detail } => self.failed(now, item, blame, detail, out),
        }
    }

    fn keep_outcome(&mut self, item: ItemKey, success: bool, outputs: u64, detail: Vec<u8>, out: &mut Outbox) {
        let Some(job) = self.ledger.job(item.job) else {
            return;
        };
        let at = usize::from(item.stage);
        let first_child = if success && job.maps_over_outputs(at) { job.items(at + 1) } else { 0 };
        let had_trouble = job.trouble(&item).is_some();
        self.keep(Record::Outcome(OutcomeRecord { item, success, outputs, first_child, detail }), out);
        if had_trouble {
            self.keep(Record::TroubleGone(item), out);
        }
    }

    /// Decides between another try and the end.
    fn failed(&mut self, now: Now, item: ItemKey, blame: Blame, detail: Vec<u8>, out: &mut Outbox) {
        let Some(job) = self.ledger.job(item.job) else {
            return;
        };
        let Some(spec) = job.spec(usize::from(item.stage)).cloned() else {
            return;
        };
        let mut trouble = job.trouble(&item).unwrap_or_default();
        let (count, pause) = match blame {
            Blame::Item | Blame::Hopeless => {
                trouble.failures += 1;
                (trouble.failures, (spec.backoff_ms, spec.max_backoff_ms))
            }
            Blame::Slot => {
                trouble.crashes += 1;
                (trouble.crashes, self.settings.mishap_pause_ms)
            }
            Blame::Infrastructure => {
                trouble.mishaps += 1;
                (trouble.mishaps, self.settings.mishap_pause_ms)
            }
        };
        if let Some(queue) = self.queue_mut(&item) {
            queue.failed_attempts += 1;
        }
        let spent = trouble.failures >= spec.attempts
            || trouble.crashes >= self.settings.crashes
            || trouble.mishaps >= self.settings.mishaps;
        if spent || blame == Blame::Hopeless {
            self.keep_outcome(item, false, 0, detail, out);
            return;
        }
        self.keep_trouble(item, trouble, detail, out);
        let paced = crate::job::StageSpec { backoff_ms: pause.0, max_backoff_ms: pause.1, ..spec };
        let due = now.steady_ms.saturating_add(paced.pause_ms(count, item.index));
        if let Some(queue) = self.queue_mut(&item) {
            queue.again(item.index, Some(due));
            self.pauses.insert((due, item.job));
        }
    }

    fn keep_trouble(&mut self, item: ItemKey, trouble: Trouble, detail: Vec<u8>, out: &mut Outbox) {
        let Trouble { failures, crashes, mishaps } = trouble;
        self.keep(Record::Trouble(TroubleRecord { item, failures, crashes, mishaps, detail }), out);
    }

    /// A worker went away with this item running on it: that counts as a slot taken down, but not as the item's
    /// failure. There are no words of a worker to keep; an empty detail says just that.
    pub(crate) fn suspect(&mut self, now: Now, item: ItemKey, out: &mut Outbox) {
        self.failed(now, item, Blame::Slot, Vec::new(), out);
        out.notice_job(item.job);
        self.end_if_spent(now, item.job, out);
    }

    /// As [`Core::suspect`], for an item that runs elsewhere by now: only counted.
    pub(crate) fn suspect_later(&mut self, item: ItemKey, out: &mut Outbox) {
        let Some(job) = self.ledger.job(item.job) else { return };
        let pending =
            job.stage(usize::from(item.stage)).is_some_and(|stage| stage.state(item.index) == ItemState::Pending);
        if pending && job.record.state == JobState::Running {
            let mut trouble = job.trouble(&item).unwrap_or_default();
            trouble.crashes += 1;
            self.keep_trouble(item, trouble, Vec::new(), out);
        }
    }

    /// The item is to be taken again at once, if it still needs to.
    pub(crate) fn give_back(&mut self, item: ItemKey) {
        if let Some(queue) = self.queue_mut(&item) {
            queue.again(item.index, None);
        }
    }

    fn open_queues(&mut self, job: JobId, spec: &JobSpec) {
        self.queues.insert(job, new_queues(spec));
        self.turns.touch(job);
    }

    /// The queue the item belongs to, to be changed.
    pub(crate) fn queue_mut(&mut self, item: &ItemKey) -> Option<&mut Queue> {
        self.turns.touch(item.job);
        self.queues.get_mut(&item.job)?.get_mut(usize::from(item.stage))
    }

    /// Takes the attempt off its item's queue; false when the item has ended or is another attempt's.
    pub(crate) fn release(&mut self, item: ItemKey, id: AttemptId) -> bool {
        let pending = self
            .ledger
            .job(item.job)
            .and_then(|job| job.stage(usize::from(item.stage)))
            .is_some_and(|stage| stage.state(item.index) == ItemState::Pending);
        self.queue_mut(&item).is_some_and(|queue| queue.release(item.index, id)) && pending
    }

    fn end_if_spent(&mut self, now: Now, id: JobId, out: &mut Outbox) {
        let Some(job) = self.ledger.job(id) else {
            return;
        };
        if job.record.state == JobState::Running && job.is_spent() {
            let state = if job.failed() == 0 { JobState::Succeeded } else { JobState::Failed };
            self.end_job(now, id, state, String::new(), out);
        }
    }

    fn end_job(&mut self, now: Now, id: JobId, state: JobState, reason: String, out: &mut Outbox) {
        let Some(job) = self.ledger.job(id) else {
            return;
        };
        let mut record = job.record.clone();
        record.state = state;
        record.reason = reason;
        record.ended_ms = now.wall_ms;
        self.keep(Record::Job(record), out);
        self.stop_attempts(id, out);
        out.notices.push(Notice::Job(id));
        for (worker, known) in &self.fleet.workers {
            if known.connected {
                out.orders.push(Order::ForgetJob { worker: *worker, job: id });
            }
        }
    }

    fn stop_attempts(&mut self, id: JobId, out: &mut Outbox) {
        self.turns.touch(id);
        let live: Vec<AttemptId> = self.queues.remove(&id).iter().flatten().flat_map(Queue::live_attempts).collect();
        let mut stops: BTreeMap<WorkerId, Vec<AttemptId>> = BTreeMap::new();
        for attempt in live {
            let Some(worker) = self.fleet.attempts.get(&attempt).map(|live| live.worker) else {
                continue;
            };
            self.fleet.take(attempt, worker);
            stops.entry(worker).or_default().push(attempt);
        }
        out.orders.extend(stops.into_iter().map(|(worker, ids)| Order::Stop { worker, ids }));
    }

    fn deploy(&mut self, request: RequestId, name: String, plan: ServicePlan, detail: [u8; 32], out: &mut Outbox) {
        let known = self.ledger.service(&name);
        let generation = known.map_or(0, |known| known.generation);
        let reply = match known {
            Some(ServiceRecord { plan: Some(_), detail: same, .. }) if *same == detail => {
                Reply::Deployed { generation }
            }
            Some(ServiceRecord { plan: Some(_), .. }) => Reply::Refused(Refusal::ServiceExists(name)),
            _ => {
                let generation = generation + 1;
                let record = ServiceRecord { name: name.clone(), generation, plan: Some(plan), detail };
                self.keep(Record::Service(record), out);
                out.notices.push(Notice::Service(name));
                Reply::Deployed { generation }
            }
        };
        out.replies.push((request, reply));
    }

    fn remove(&mut self, request: RequestId, name: &str, out: &mut Outbox) {
        let reply = match self.ledger.service(name) {
            Some(known) if known.plan.is_some() => {
                let record = ServiceRecord { plan: None, ..known.clone() };
                self.keep(Record::Service(record), out);
                out.notices.push(Notice::Service(name.to_owned()));
                Reply::Removed
            }
            _ => Reply::Refused(Refusal::NoSuchService(name.to_owned())),
        };
        out.replies.push((request, reply));
    }
}

/// Whether a deployed service of the ledger has this replica.
pub(crate) fn wanted_replica(ledger: &Ledger, key: &ReplicaKey) -> bool {
    let Some(service) = ledger.service(&key.service) else {
        return false;
    };
    let Some(plan) = &service.plan else {
        return false;
    };
    service.generation == key.generation
        && match key.role {
            crate::service::Role::Leaf { shard } => shard < plan.shards && key.number < plan.replicas,
            crate::service::Role::Merge => key.number < plan.merges,
        }
}

fn new_queues(spec: &JobSpec) -> Vec<Queue> {
    spec.stages.iter().map(|_| Queue::default()).collect()
}

#[cfg(test)]
mod tests;
