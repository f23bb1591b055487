//! Jobs that end before their items: when deadlines and patience are over, and which jobs only wait for what runs. Soft: made anew
//! from the records at a start.
//!
//! A deadline is kept as the time of the wall clock. While the coordinator lives its steady clock says how much of that is left, so
//! that no jump of the wall clock moves it; between two lives nothing else can. Patience begins anew with a start.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    ids::{JobId, Now},
    record::JobRecord,
};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    /// When deadlines are over.
    due: Times,
    /// When jobs have waited for too long, unless something of them runs by then.
    patience: Times,
    /// Jobs whose patience begins anew.
    renewed: BTreeSet<JobId>,
    /// Jobs that give out nothing any more, and end when nothing of them runs.
    ending: BTreeSet<JobId>,
}

/// A time for each of some jobs, steady milliseconds.
#[derive(Debug, Default)]
struct Times {
    of: BTreeMap<JobId, u64>,
    order: BTreeSet<(u64, JobId)>,
}

impl Times {
    fn set(&mut self, job: JobId, ms: Option<u64>) {
        if let Some(before) = self.of.remove(&job) {
            self.order.remove(&(before, job));
        }
        if let Some(ms) = ms {
            self.of.insert(job, ms);
            self.order.insert((ms, job));
        }
    }

    fn first_ms(&self) -> Option<u64> {
        self.order.first().map(|(ms, _)| *ms)
    }

    fn over(&self, now: Now) -> Option<JobId> {
        self.order.first().filter(|(ms, _)| *ms <= now.steady_ms).map(|(_, job)| *job)
    }
}

impl Cuts {
    /// A job that goes on.
    pub fn watch(&mut self, job: &JobRecord, now: Now) {
        self.forget(job.id);
        self.due.set(
            job.id,
            (job.due_ms > 0).then(|| now.steady_ms.saturating_add(job.due_ms.saturating_sub(now.wall_ms))),
        );
        let patience_ms = job.spec.queue_timeout_ms;
        self.patience.set(job.id, (patience_ms > 0).then(|| now.steady_ms.saturating_add(patience_ms)));
    }

    /// Something of the job has changed, or has run: its patience begins anew, see [`Cuts::begin_anew`].
    pub fn renew(&mut self, job: &JobRecord) {
        if job.spec.queue_timeout_ms > 0 && !job.state.has_ended() {
            self.renewed.insert(job.id);
        }
    }

    /// The jobs whose patience begins anew; whoever asks says when it ends.
    pub fn begin_anew(&mut self) -> BTreeSet<JobId> {
        std::mem::take(&mut self.renewed)
    }

    /// The job's patience ends then.
    pub fn set_patience(&mut self, job: JobId, until_ms: u64) {
        self.patience.set(job, Some(until_ms));
    }

    /// The job ends when nothing of it runs.
    pub fn set_ending(&mut self, job: JobId) {
        self.ending.insert(job);
    }

    /// The job has ended.
    pub fn forget(&mut self, job: JobId) {
        self.due.set(job, None);
        self.patience.set(job, None);
        self.renewed.remove(&job);
        self.ending.remove(&job);
    }

    /// Jobs that end when nothing of them runs.
    pub fn ending(&self) -> Vec<JobId> {
        self.ending.iter().copied().collect()
    }

    /// Whether there are none.
    pub fn nothing_is_ending(&self) -> bool {
        self.ending.is_empty()
    }

    /// When the next deadline or patience is over, steady milliseconds.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.due.first_ms().into_iter().chain(self.patience.first_ms()).min()
    }

    /// The first job whose deadline is over.
    pub fn overdue(&self, now: Now) -> Option<JobId> {
        self.due.over(now)
    }

    /// The first job whose patience is over.
    pub fn impatient(&self, now: Now) -> Option<JobId> {
        self.patience.over(now)
    }
}
