//! What takes more than one step: jobs whose items are put back or removed in slices, one slice a step. Where each is, its record
//! says, so a start goes on with it.

use std::collections::BTreeSet;

use crate::{ids::JobId, ledger::Ledger};

/// Items that are looked at for those of a slice: a tenth of a millisecond.
pub(crate) const LOOK: u64 = 1 << 18;

/// Jobs with something left to do.
#[derive(Debug, Default)]
pub(crate) struct Chores {
    jobs: BTreeSet<JobId>,
    /// Whose turn it was last.
    last: Option<JobId>,
}

impl Chores {
    /// What the ledger says.
    pub fn of(ledger: &Ledger) -> Self {
        let retried =
            ledger.jobs().filter(|job| job.record.retried.as_ref().is_some_and(|retried| retried.next.is_some()));
        let jobs = retried.map(|job| job.record.id).chain(ledger.all_going());
        Self { jobs: jobs.collect(), last: None }
    }

    /// There is something to do for the job.
    pub fn add(&mut self, job: JobId) {
        self.jobs.insert(job);
    }

    /// Nothing is left to do for it.
    pub fn done(&mut self, job: JobId) {
        self.jobs.remove(&job);
    }

    /// Whether there is anything to do.
    pub fn are_left(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Whether there is something to do for the job.
    pub fn has(&self, job: JobId) -> bool {
        self.jobs.contains(&job)
    }

    /// The job whose turn it is: each after the one before.
    pub fn turn(&mut self) -> Option<JobId> {
        let after = self.last.and_then(|last| self.jobs.range(last..).find(|job| **job != last));
        self.last = after.or_else(|| self.jobs.first()).copied();
        self.last
    }
}
