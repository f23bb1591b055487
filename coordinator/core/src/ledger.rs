//! The ledger: what the records add up to. Nothing but [`Ledger::apply`] changes it.

use std::collections::BTreeMap;

use crate::{
    ids::{ItemKey, JobId, WorkerId},
    job::StageSpec,
    record::{JobRecord, OutcomeRecord, Record, ServiceRecord},
};

/// Everything that is kept, in memory.
///
/// An item costs one byte here; its name, input and outcome stay in the store and are read when needed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    jobs: BTreeMap<JobId, Job>,
    keys: BTreeMap<String, JobId>,
    services: BTreeMap<String, ServiceRecord>,
    workers: BTreeMap<WorkerId, String>,
}

/// A job and how far it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Job {
    /// As kept.
    pub record: JobRecord,
    stages: Vec<Stage>,
    troubles: BTreeMap<(u16, u64), Trouble>,
}

/// How far a stage is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stage {
    states: Vec<ItemState>,
    succeeded: u64,
    failed: u64,
    /// Item of the stage before, by the index of the first item here that its outputs became.
    parents: BTreeMap<u64, u64>,
}

/// | from | to | when |
/// |---|---|---|
/// | `Pending` | `Succeeded` | its first valid completion |
/// | `Pending` | `Failed` | its tries are used up, or there is no hope |
/// | `Failed` | `Pending` | it is retried |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ItemState {
    /// Not ended.
    Pending,
    /// Its outcome is committed.
    Succeeded,
    /// It was given up.
    Failed,
}

/// What an item that has not ended went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub failures: u32,
    pub crashes: u32,
    pub mishaps: u32,
}

impl Trouble {
    /// How often it was tried.
    pub fn tries(self) -> u32 {
        self.failures.saturating_add(self.crashes).saturating_add(self.mishaps)
    }
}

impl Ledger {
    /// Makes `record` true.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Job(job) => self.apply_job(job),
            Record::Outcome(outcome) => {
                if let Some(job) = self.jobs.get_mut(&outcome.item.job) {
                    job.apply_outcome(outcome);
                }
            }
            Record::OutcomeGone(item) => {
                if let Some(stage) = self.stage_mut(item) {
                    stage.set(item.index, ItemState::Pending);
                }
            }
            Record::Trouble(trouble) => {
                let counts = Trouble { failures: trouble.failures, crashes: trouble.crashes, mishaps: trouble.mishaps };
                if let Some(job) = self.jobs.get_mut(&trouble.item.job) {
                    job.troubles.insert((trouble.item.stage, trouble.item.index), counts);
                }
            }
            Record::TroubleGone(item) => {
                if let Some(job) = self.jobs.get_mut(&item.job) {
                    job.troubles.remove(&(item.stage, item.index));
                }
            }
            Record::Service(service) => {
                self.services.insert(service.name.clone(), service.clone());
            }
            Record::Worker(worker) => {
                self.workers.insert(worker.id, worker.name.clone());
            }
            Record::WorkerGone(worker) => {
                self.workers.remove(worker);
            }
        }
    }

    fn apply_job(&mut self, record: &JobRecord) {
        if !record.key.is_empty() {
            self.keys.insert(record.key.clone(), record.id);
        }
        match self.jobs.get_mut(&record.id) {
            Some(job) => job.record = record.clone(),
            None => {
                self.jobs.insert(record.id, Job::new(record.clone()));
            }
        }
    }

    fn stage_mut(&mut self, item: &ItemKey) -> Option<&mut Stage> {
        self.jobs.get_mut(&item.job)?.stages.get_mut(usize::from(item.stage))
    }

    /// The job of that id.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(&id)
    }

    /// All jobs by id.
    pub fn jobs(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.jobs.values()
    }

    /// The job an idempotency key made.
    #[must_use]
    pub fn job_of_key(&self, key: &str) -> Option<JobId> {
        self.keys.get(key).copied()
    }

    /// The service of that name, removed or not.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&ServiceRecord> {
        self.services.get(name)
    }

    /// All services by name, removed ones too.
    pub fn services(&self) -> impl Iterator<Item = &ServiceRecord> {
        self.services.values()
    }

    /// Workers that are here or expected back, with their names.
    pub fn workers(&self) -> impl Iterator<Item = (WorkerId, &str)> {
        self.workers.iter().map(|(id, name)| (*id, name.as_str()))
    }

    /// Whether the worker is here or expected back under that name.
    #[must_use]
    pub(crate) fn knows_worker(&self, id: WorkerId, name: &str) -> bool {
        self.workers.get(&id).is_some_and(|known| known == name)
    }
}

impl Job {
    fn new(record: JobRecord) -> Self {
        // A gather stage has room for its item from the start: were it made by the item's first outcome, a ledger in
        // which that is gone again would differ from a loaded one.
        let mut stages: Vec<Stage> = record
            .spec
            .stages
            .iter()
            .map(|spec| {
                let mut stage = Stage::default();
                stage.grow(u64::from(spec.gather));
                stage
            })
            .collect();
        if let (Some(first), Some(spec)) = (stages.first_mut(), record.spec.stages.first())
            && !spec.gather
        {
            first.grow(record.inputs);
        }
        Self { record, stages, troubles: BTreeMap::new() }
    }

    fn apply_outcome(&mut self, outcome: &OutcomeRecord) {
        let at = usize::from(outcome.item.stage);
        let Some(stage) = self.stages.get_mut(at) else {
            return;
        };
        let state = if outcome.success { ItemState::Succeeded } else { ItemState::Failed };
        stage.set(outcome.item.index, state);
        if outcome.success && outcome.outputs > 0 && self.maps_over_outputs(at) {
            let next = &mut self.stages[at + 1];
            next.grow(outcome.first_child.saturating_add(outcome.outputs));
            next.parents.insert(outcome.first_child, outcome.item.index);
        }
    }

    /// Whether each output of stage `at` is an item of the one after it.
    #[must_use]
    pub(crate) fn maps_over_outputs(&self, at: usize) -> bool {
        self.spec(at + 1).is_some_and(|next| !next.gather)
    }

    pub(crate) fn spec(&self, at: usize) -> Option<&StageSpec> {
        self.record.spec.stages.get(at)
    }

    /// How far stage `at` is.
    #[must_use]
    pub fn stage(&self, at: usize) -> Option<&Stage> {
        self.stages.get(at)
    }

    /// How many stages it has.
    #[must_use]
    pub fn stage_count(&self) -> usize {
        self.stages.len()
    }

    /// Items stage `at` has by now. A gather stage has one as soon as everything before it has succeeded.
    #[must_use]
    pub fn items(&self, at: usize) -> u64 {
        match self.spec(at) {
            Some(spec) if spec.gather => u64::from(self.is_final(at) && self.failed_before(at) == 0),
            Some(_) => self.stages[at].states.len() as u64,
            None => 0,
        }
    }

    /// Whether stage `at` gets no further items: everything before it has ended.
    #[must_use]
    pub fn is_final(&self, at: usize) -> bool {
        let mut failed = 0;
        (0..at).all(|before| {
            let stage = &self.stages[before];
            // Everything before it is final, or this was not asked.
            let items = match self.spec(before) {
                Some(spec) if spec.gather => u64::from(failed == 0),
                _ => stage.states.len() as u64,
            };
            failed += stage.failed;
            stage.succeeded + stage.failed == items
        })
    }

    fn failed_before(&self, at: usize) -> u64 {
        self.stages[..at].iter().map(|stage| stage.failed).sum()
    }

    /// Items that failed, over all stages.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed_before(self.stages.len())
    }

    /// Whether nothing is left to run.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.is_final(self.stages.len())
    }

    pub(crate) fn trouble(&self, item: &ItemKey) -> Option<Trouble> {
        self.troubles.get(&(item.stage, item.index)).copied()
    }
}

impl Stage {
    fn grow(&mut self, items: u64) {
        let items = usize::try_from(items).unwrap_or(usize::MAX);
        if self.states.len() < items {
            self.states.resize(items, ItemState::Pending);
        }
    }

    fn set(&mut self, index: u64, state: ItemState) {
        self.grow(index + 1);
        let Some(slot) = usize::try_from(index).ok().and_then(|index| self.states.get_mut(index)) else {
            return;
        };
        let before = std::mem::replace(slot, state);
        for (which, by) in [(before, -1), (state, 1)] {
            match which {
                ItemState::Pending => {}
                ItemState::Succeeded => self.succeeded = self.succeeded.saturating_add_signed(by),
                ItemState::Failed => self.failed = self.failed.saturating_add_signed(by),
            }
        }
    }

    /// Where an item stands; items that do not exist yet are pending.
    #[must_use]
    pub fn state(&self, index: u64) -> ItemState {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.states.get(index).copied().unwrap_or(ItemState::Pending)
    }

    /// Items that succeeded.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.succeeded
    }

    /// Items that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Indices of failed items.
    pub(crate) fn failed_items(&self) -> impl Iterator<Item = u64> {
        (0_u64..).zip(&self.states).filter(|(_, state)| **state == ItemState::Failed).map(|(index, _)| index)
    }

    /// The item of the stage before, and which of its outputs, that item `index` was made from.
    #[must_use]
    pub fn parent(&self, index: u64) -> Option<(u64, u64)> {
        let (first, parent) = self.parents.range(..=index).next_back()?;
        Some((*parent, index - first))
    }
}
