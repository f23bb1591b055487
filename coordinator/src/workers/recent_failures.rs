//! The newest failures of each job, and those that are alike together, for those who watch. Soft: what counts is in the records.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use longshore_core::JobId;
use longshore_proto::v1::{self, FailureGroup, ItemFailure};
use quick_cache::sync::Cache;

use super::{
    failure_groups::FailureGroups,
    results::{item_of, shorten},
};

/// Failures kept per job.
const KEPT: usize = 8;

/// Jobs whose failures are kept: those that nobody asks for and that fail no more go first.
const JOBS: usize = 1_024;

/// What is kept of one job.
#[derive(Debug, Default)]
struct Kept {
    newest: VecDeque<ItemFailure>,
    groups: FailureGroups,
}

type Recent = Arc<Mutex<Kept>>;

/// The newest failures of each job, and groups of those that are alike.
pub struct RecentFailures {
    jobs: Cache<JobId, Recent>,
}

impl Default for RecentFailures {
    fn default() -> Self {
        Self { jobs: Cache::new(JOBS) }
    }
}

impl RecentFailures {
    /// Takes note of a result of that worker's, if it is a failure.
    pub fn note(&self, result: &v1::Result, worker: &str) {
        let Some(v1::result::End::Failure(failure)) = &result.end else {
            return;
        };
        let Ok(item) = item_of(&result.job_id, result.stage, result.index) else {
            return;
        };
        let mut failure = failure.clone();
        shorten(&mut failure);
        let failed = ItemFailure {
            stage: result.stage,
            index: result.index,
            path: result.path.clone(),
            attempt: result.attempt,
            failure: Some(failure),
        };
        self.look(item.job, |kept| {
            kept.groups.note(&failed, worker);
            if kept.newest.len() == KEPT {
                kept.newest.pop_front();
            }
            kept.newest.push_back(failed);
        });
    }

    fn look<T>(&self, job: JobId, look: impl FnOnce(&mut Kept) -> T) -> T {
        let made: Result<Recent, Infallible> = self.jobs.get_or_insert_with(&job, || Ok(Recent::default()));
        let Ok(recent) = made;
        look(&mut recent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest failures of a job, oldest first.
    pub fn of(&self, job: JobId) -> Vec<ItemFailure> {
        let recent = self.jobs.get(&job).unwrap_or_default();
        let recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.newest.iter().cloned().collect()
    }

    /// The largest groups of failures of a job that are alike, the largest first. Where none was seen since the start, they are made
    /// of what is kept.
    pub fn groups(&self, job: JobId, kept: impl FnOnce() -> Vec<(ItemFailure, String)>) -> Vec<FailureGroup> {
        if self.look(job, |it| it.groups.is_empty()) {
            let kept = kept();
            self.look(job, |it| {
                if it.groups.is_empty() {
                    kept.iter().for_each(|(failed, worker)| it.groups.note(failed, worker));
                }
            });
        }
        self.look(job, |it| it.groups.largest())
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
            failures.note(&failure(1, index), "one");
        }
        failures.note(&failure(2, 7), "one");
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
        failures.note(&v1::Result { end: success, ..failure(1, 0) }, "one");
        failures.note(&v1::Result { job_id: Bytes::from_static(b"short"), ..failure(1, 0) }, "one");
        assert!(failures.of(JobId([1; 16])).is_empty());
    }

    #[test]
    fn groups_are_made_of_what_is_kept_where_nothing_was_seen() {
        let failures = RecentFailures::default();
        let kept =
            || vec![(ItemFailure { failure: Some(Failure::default()), ..ItemFailure::default() }, "one".to_owned())];
        assert_eq!(failures.groups(JobId([1; 16]), kept)[0].attempts, 1);
        assert_eq!(failures.groups(JobId([1; 16]), || panic!("it is known now"))[0].attempts, 1);
        failures.note(&failure(2, 0), "one");
        assert_eq!(failures.groups(JobId([2; 16]), || panic!("one was seen")).len(), 1);
    }
}
