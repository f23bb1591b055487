//! The ledger: what the records add up to. Nothing but [`Ledger::apply`] changes it.

use std::{collections::BTreeMap, ops::RangeInclusive};

use crate::{
    attempts::Trouble,
    ids::{ItemKey, JobId, WorkerId},
    jobs::Job,
    record::{JobRecord, Record, ServiceRecord},
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

impl Ledger {
    /// Makes `record` true.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Job(job) => self.apply_job(job),
            Record::Outcome(outcome) => {
                if let Some(job) = self.job_of(&outcome.item) {
                    job.apply_outcome(outcome);
                }
            }
            Record::OutcomeGone(item) => {
                if let Some(job) = self.job_of(item) {
                    job.apply_outcome_gone(item);
                }
            }
            Record::Trouble(trouble) => {
                if let Some(job) = self.job_of(&trouble.item) {
                    job.apply_trouble(&trouble.item, Trouble::of(trouble));
                }
            }
            Record::TroubleGone(item) => {
                if let Some(job) = self.job_of(item) {
                    job.apply_trouble_gone(item);
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

    fn job_of(&mut self, item: &ItemKey) -> Option<&mut Job> {
        self.jobs.get_mut(&item.job)
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

    /// The jobs whose ids are in that range, by id: for instance [`JobId::starting_with`].
    pub fn jobs_in(&self, ids: RangeInclusive<JobId>) -> impl DoubleEndedIterator<Item = &Job> {
        self.jobs.range(ids).map(|(_, job)| job)
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
