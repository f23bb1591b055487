//! Which workers could not get the image of which stages: they are given nothing of those for a while, longer each time.
//!
//! It is remembered for a job's stage, not for the name of the image: whoever submits another job expects that to work, and has
//! mended what was wrong maybe. It is soft, as what it is about.

use std::collections::BTreeMap;

use crate::ids::{JobId, WorkerId};

/// How long a worker is left out at first, milliseconds.
const FIRST_MS: u64 = 60_000;

/// And at most.
const LONGEST_MS: u64 = 16 * FIRST_MS;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    places: BTreeMap<(JobId, u16), BTreeMap<WorkerId, Miss>>,
}

/// What is remembered of a worker and a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Miss {
    /// It is left out until then, steady milliseconds; 0: not now.
    pub until_ms: u64,
    /// How often it could not get it.
    times: u32,
    /// What it said: not read by the core.
    pub detail: Vec<u8>,
}

impl Missing {
    /// The worker could not get the image of that stage, and says why; answers until when it is left out.
    pub fn note(&mut self, place: (JobId, u16), worker: WorkerId, now_ms: u64, detail: &[u8]) -> u64 {
        let misses = self.places.entry(place).or_default();
        let times = misses.get(&worker).map_or(0, |miss| miss.times);
        let pause_ms = FIRST_MS.saturating_mul(1_u64.checked_shl(times).unwrap_or(u64::MAX)).min(LONGEST_MS);
        let until_ms = now_ms.saturating_add(pause_ms);
        misses.insert(worker, Miss { until_ms, times: times.saturating_add(1), detail: detail.to_vec() });
        until_ms
    }

    /// Whether the worker is left out of that stage.
    pub fn has(&self, place: (JobId, u16), worker: WorkerId) -> bool {
        self.until_ms(place, worker).is_some()
    }

    /// Until when the worker is left out of that stage, steady milliseconds, if it is.
    pub fn until_ms(&self, place: (JobId, u16), worker: WorkerId) -> Option<u64> {
        let miss = self.places.get(&place).and_then(|misses| misses.get(&worker));
        miss.map(|miss| miss.until_ms).filter(|until_ms| *until_ms > 0)
    }

    /// Whether anybody is left out of that stage.
    pub fn has_any(&self, place: (JobId, u16)) -> bool {
        self.places.get(&place).is_some_and(|misses| misses.values().any(|miss| miss.until_ms > 0))
    }

    /// Who is left out of which stages, of the job if it is named.
    pub fn all(&self, job: Option<JobId>) -> impl Iterator<Item = ((JobId, u16), WorkerId, &Miss)> {
        let range = match job {
            Some(job) => self.places.range((job, 0)..=(job, u16::MAX)),
            None => self.places.range(..),
        };
        let all = range.flat_map(|(place, misses)| misses.iter().map(|(worker, miss)| (*place, *worker, miss)));
        all.filter(|(_, _, miss)| miss.until_ms > 0)
    }

    /// Those of the job who were left out for long enough may be given its items again; answers whether there were any.
    pub fn wake(&mut self, job: JobId, now_ms: u64) -> bool {
        let mut woke = false;
        for (_, misses) in self.places.range_mut((job, 0)..=(job, u16::MAX)) {
            for miss in misses.values_mut().filter(|miss| (1..=now_ms).contains(&miss.until_ms)) {
                miss.until_ms = 0;
                woke = true;
            }
        }
        woke
    }

    /// Nobody is left out of the stage.
    pub fn forget(&mut self, place: (JobId, u16)) {
        self.places.remove(&place);
    }

    /// The job has ended.
    pub fn forget_job(&mut self, job: JobId) {
        let places: Vec<_> = self.places.range((job, 0)..=(job, u16::MAX)).map(|(place, _)| *place).collect();
        places.iter().for_each(|place| self.forget(*place));
    }

    /// The worker has gone: when it is back, it may be another.
    pub fn forget_worker(&mut self, worker: WorkerId) {
        self.places.retain(|_, misses| {
            misses.remove(&worker);
            !misses.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: (JobId, u16) = (JobId([1; 16]), 2);
    const WORKER: WorkerId = WorkerId([1; 16]);

    #[test]
    fn a_worker_is_left_out_longer_each_time_and_never_for_ever() {
        let mut missing = Missing::default();
        let mut now_ms = 0;
        let pauses: Vec<u64> = (0..6)
            .map(|_| {
                let until_ms = missing.note(PLACE, WORKER, now_ms, b"why");
                assert!(missing.has(PLACE, WORKER) && !missing.wake(PLACE.0, until_ms - 1));
                assert!(missing.wake(PLACE.0, until_ms) && !missing.has(PLACE, WORKER));
                let pause_ms = until_ms - now_ms;
                now_ms = until_ms;
                pause_ms / 60_000
            })
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 16]);
    }

    #[test]
    fn what_has_gone_is_forgotten() {
        let mut missing = Missing::default();
        missing.note(PLACE, WORKER, 0, b"why");
        assert_eq!(missing.all(Some(PLACE.0)).count(), 1);
        missing.forget_worker(WORKER);
        assert!(missing.places.is_empty());
        missing.note(PLACE, WORKER, 0, b"why");
        missing.forget_job(PLACE.0);
        assert_eq!(missing.all(None).count(), 0);
    }
}
