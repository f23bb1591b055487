//! Whose turn it is: the running jobs that may have items to give out, in the order of fairness.
//!
//! A job that turns out to have nothing to give leaves the order, and one whose items are not to be queued any deeper waits
//! for an emptier worker; [`Turns::touch`] brings either back when something about it has changed. So a hand-out costs
//! what it hands out, however many jobs there are.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use crate::ids::JobId;

/// Highest priority first, then fewest attempts under way.
type Rank = (Reverse<i32>, u64);

/// The order. Up to date once nothing is [`Turns::stale`].
#[derive(Debug, Default)]
pub(crate) struct Turns {
    ready: BTreeSet<(Rank, JobId)>,
    /// Jobs by the load below which a worker gets more of them.
    waiting: BTreeSet<(u64, JobId)>,
    places: BTreeMap<JobId, Place>,
    stale: Vec<JobId>,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Ready(Rank),
    Waiting(u64),
}

impl Turns {
    /// Something about the job has changed.
    pub fn touch(&mut self, job: JobId) {
        if self.stale.last() != Some(&job) {
            self.stale.push(job);
        }
    }

    /// Whether the job has a place in the order, waits for one, or is to be given one.
    pub fn knows(&self, job: JobId) -> bool {
        self.places.contains_key(&job) || self.stale.contains(&job)
    }

    /// The jobs that have changed since this was last asked; each is to be ranked anew, or to be removed.
    pub fn stale(&mut self) -> Vec<JobId> {
        let mut stale = std::mem::take(&mut self.stale);
        stale.sort_unstable();
        stale.dedup();
        stale
    }

    /// The job may have something to give.
    pub fn rank(&mut self, job: JobId, priority: i32, live: u64) {
        self.remove(job);
        let rank = (Reverse(priority), live);
        self.ready.insert((rank, job));
        self.places.insert(job, Place::Ready(rank));
    }

    /// The job has nothing to give, for now or for good.
    pub fn remove(&mut self, job: JobId) {
        match self.places.remove(&job) {
            Some(Place::Ready(rank)) => drop(self.ready.remove(&(rank, job))),
            Some(Place::Waiting(load)) => drop(self.waiting.remove(&(load, job))),
            None => {}
        }
    }

    /// The job has something to give, but not to workers as loaded as that or more.
    pub fn wait(&mut self, job: JobId, load: u64) {
        self.remove(job);
        self.waiting.insert((load, job));
        self.places.insert(job, Place::Waiting(load));
    }

    /// One more attempt of the job is under way.
    pub fn gave(&mut self, job: JobId) {
        if let Some(Place::Ready((priority, live))) = self.places.get(&job).copied() {
            self.rank(job, priority.0, live + 1);
        }
    }

    /// The job whose turn it is with a worker of this load.
    pub fn first(&mut self) -> Option<JobId> {
        self.ready.first().map(|(_, job)| *job)
    }

    /// The jobs that have waited for a worker as empty as that.
    pub fn waited_for(&mut self, load: u64) -> Vec<JobId> {
        let mut jobs = Vec::new();
        while let Some(&(below, job)) = self.waiting.last()
            && below > load
        {
            self.remove(job);
            jobs.push(job);
        }
        jobs
    }
}
