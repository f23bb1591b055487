//! Whose turn it is: the running jobs that may have items to give out, in the order of fairness. Those of each namespace are
//! in a lane of their own, for workers that may not be given everybody's.
//!
//! A job that turns out to have nothing to give leaves the order, and one whose items are not to be queued any deeper waits
//! for an emptier worker; [`Turns::touch`] brings either back when something about it has changed. So a hand-out costs
//! what it hands out, however many jobs there are.

use std::{cmp::Reverse, collections::BTreeMap};

use super::lanes::{Lane, Lanes};
use crate::{
    ids::{JobId, Namespace},
    workers::Clientele,
};

/// Highest priority first, then fewest attempts under way.
type Rank = (Reverse<i32>, u64);

/// The order. Up to date once nothing is [`Turns::stale`].
#[derive(Debug, Default)]
pub(crate) struct Turns {
    lanes: BTreeMap<Namespace, Lane>,
    ready: Lanes<(Rank, JobId)>,
    /// Jobs by the load below which a worker gets more of them, the highest first.
    waiting: Lanes<(Reverse<u64>, JobId)>,
    places: BTreeMap<JobId, (Lane, Place)>,
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

    /// The job, of this namespace, may have something to give.
    pub fn rank(&mut self, job: JobId, namespace: &Namespace, priority: i32, live: u64) {
        let lane = self.lane(namespace);
        self.put(job, lane, (Reverse(priority), live));
    }

    fn lane(&mut self, namespace: &Namespace) -> Lane {
        if let Some(lane) = self.lanes.get(namespace) {
            return *lane;
        }
        let lane = self.lanes.len();
        self.lanes.insert(namespace.clone(), lane);
        lane
    }

    fn put(&mut self, job: JobId, lane: Lane, rank: Rank) {
        self.remove(job);
        self.ready.insert(lane, (rank, job));
        self.places.insert(job, (lane, Place::Ready(rank)));
    }

    /// The job has nothing to give, for now or for good.
    pub fn remove(&mut self, job: JobId) {
        match self.places.remove(&job) {
            Some((lane, Place::Ready(rank))) => self.ready.remove(lane, &(rank, job)),
            Some((lane, Place::Waiting(load))) => self.waiting.remove(lane, &(Reverse(load), job)),
            None => {}
        }
    }

    /// The job, which had its turn, has something to give, but not to workers as loaded as that or more.
    pub fn wait(&mut self, job: JobId, load: u64) {
        let Some((lane, _)) = self.places.get(&job).copied() else { return };
        self.remove(job);
        self.waiting.insert(lane, (Reverse(load), job));
        self.places.insert(job, (lane, Place::Waiting(load)));
    }

    /// One more attempt of the job is under way.
    pub fn gave(&mut self, job: JobId) {
        if let Some((lane, Place::Ready((priority, live)))) = self.places.get(&job).copied() {
            self.put(job, lane, (priority, live + 1));
        }
    }

    /// The job whose turn it is with a worker of this clientele.
    pub fn first(&self, clientele: &Clientele) -> Option<JobId> {
        self.first_in(&self.ready, clientele).map(|(_, job)| job)
    }

    fn first_in<T: Ord + Copy>(&self, lanes: &Lanes<T>, clientele: &Clientele) -> Option<T> {
        match clientele {
            Clientele::Everybody => lanes.first(),
            Clientele::Only(some) => {
                lanes.first_of(some.iter().filter_map(|namespace| self.lanes.get(namespace)).copied())
            }
        }
    }

    /// The jobs that have waited for a worker of this clientele as empty as that.
    pub fn waited_for(&mut self, load: u64, clientele: &Clientele) -> Vec<JobId> {
        let mut jobs = Vec::new();
        while let Some((Reverse(below), job)) = self.first_in(&self.waiting, clientele)
            && below > load
        {
            self.remove(job);
            jobs.push(job);
        }
        jobs
    }
}
