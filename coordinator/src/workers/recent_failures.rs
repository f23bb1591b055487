//! The newest failures of each job, for those who watch. Soft: what counts is in the records.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use longshore_core::JobId;
use longshore_proto::v1::{self, ItemFailure};
use quick_cache::sync::Cache;

use super::results::{item_of, shorten};

/// Failures kept per job.
const KEPT: usize = 8;

/// Jobs whose failures are kept: those that nobody asks for and that fail no more go first.
const JOBS: usize = 1_024;

type Recent = Arc<Mutex<VecDeque<ItemFailure>>>;

/// The newest failures of each job.
pub struct RecentFailures {
    jobs: Cache<JobId, Recent>,
}

impl Default for RecentFailures {
    fn default() -> Self {
        Self { jobs: Cache::new(JOBS) }
    }
}

impl RecentFailures {
    /// Takes note of a result, if it is a failure.
    pub fn note(&self, result: &v1::Result) {
        let Some(v1::result::End::Failure(failure)) = &result.end else {
            return;
        };
        let Ok(item) = item_of(&result.job_id, result.stage, result.index) else {
            return;
        };
        let mut failure = failure.clone();
        shorten(&mut failure);
        let made: Result<Recent, Infallible> = self.jobs.get_or_insert_with(&item.job, || Ok(Recent::default()));
        let Ok(recent) = made;
        let mut recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back(ItemFailure {
            stage: result.stage,
            index: result.index,
            path: result.path.clone(),
            attempt: result.attempt,
            failure: Some(failure),
        });
    }

    /// The newest failures of a job, oldest first.
    pub fn of(&self, job: JobId) -> Vec<ItemFailure> {
        let recent = self.jobs.get(&job).unwrap_or_default();
        let recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use longshore_proto::v1::Failure;

    use super::*;
    use crate::limits;

    fn failure(job: u8, index: u64) -> v1::Result {
        let failure =
            Failure { message: "x".repeat(1_000), stderr_tail: vec![b'e'; 5_000].into(), ..Failure::default() };
        let end = Some(v1::result::End::Failure(failure));
        v1::Result { job_id: Bytes::from(vec![job; 16]), index, end, ..v1::Result::default() }
    }

    #[test]
    fn the_newest_of_each_job_are_told_oldest_first_and_short() {
        let failures = RecentFailures::default();
        for index in 0..20 {
            failures.note(&failure(1, index));
        }
        failures.note(&failure(2, 7));
        let found = failures.of(JobId([1; 16]));
        assert_eq!(found.iter().map(|failure| failure.index).collect::<Vec<_>>(), (12..20).collect::<Vec<_>>());
        let said = found[0].failure.as_ref().unwrap();
        assert!(said.message.len() < 600 && said.stderr_tail.len() == limits::STDERR_TAIL_BYTES);
        assert_eq!(failures.of(JobId([2; 16])).len(), 1);
        assert!(failures.of(JobId([3; 16])).is_empty());
    }

    #[test]
    fn successes_and_what_names_no_item_are_passed_over() {
        let failures = RecentFailures::default();
        let success = Some(v1::result::End::Success(v1::Success::default()));
        failures.note(&v1::Result { end: success, ..failure(1, 0) });
        failures.note(&v1::Result { job_id: Bytes::from_static(b"short"), ..failure(1, 0) });
        assert!(failures.of(JobId([1; 16])).is_empty());
    }
}
