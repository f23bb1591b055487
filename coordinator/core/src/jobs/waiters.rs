//! Who waits for which job.

use std::collections::{BTreeMap, BTreeSet};

use crate::{ids::JobId, ledger::Ledger, record::JobRecord};

/// Who waits for which job: what the jobs' records say, the other way round.
#[derive(Debug, Default)]
pub(crate) struct Waiters(BTreeMap<JobId, BTreeSet<JobId>>);

impl Waiters {
    /// As the jobs say.
    pub fn of(ledger: &Ledger) -> Self {
        let mut waiters = Self::default();
        ledger.jobs().for_each(|job| waiters.add(&job.record));
        waiters
    }

    /// The job waits for what its record says.
    pub fn add(&mut self, record: &JobRecord) {
        for other in &record.awaits {
            self.0.entry(*other).or_default().insert(record.id);
        }
    }

    /// The job waits for nothing any more.
    pub fn remove(&mut self, record: &JobRecord) {
        for other in &record.awaits {
            if let Some(waiters) = self.0.get_mut(other) {
                waiters.remove(&record.id);
                if waiters.is_empty() {
                    self.0.remove(other);
                }
            }
        }
    }

    /// Those that have waited for this job.
    pub fn take(&mut self, job: JobId) -> BTreeSet<JobId> {
        self.0.remove(&job).unwrap_or_default()
    }

    /// Whether the job is waited for by that one.
    pub fn has(&self, job: JobId, waiter: JobId) -> bool {
        self.0.get(&job).is_some_and(|waiters| waiters.contains(&waiter))
    }

    /// How many waits there are.
    pub fn count(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }
}
