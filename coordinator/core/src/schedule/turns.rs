//! Whose turn it is: the running jobs that may have items to give out, in the order of fairness. What stages of a job need the
//! same is a part of it, with a turn of its own, so that no part hides behind another. Parts of one namespace that need the same
//! are in a lane of their own, and each kind of worker looks at those lanes alone from which it could run anything.
//!
//! A part that turns out to have nothing to give leaves the order, and one whose items are not to be queued any deeper waits
//! for an emptier worker; [`Turns::touch`] brings either back when something about its job has changed. So a hand-out costs
//! what it hands out, however many jobs there are.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::lanes::{Lane, Lanes};
use crate::{
    fit::Needs,
    ids::{JobId, Namespace},
    workers::{Group, Kind},
};

/// Highest priority first, then fewest attempts under way.
type Rank = (Reverse<i32>, u64);

/// A part of a job: the part with the last stage is 0.
pub(super) type Part = (JobId, u16);

/// Whose work a lane is for, and what it needs.
type Purpose = (Namespace, Option<Arc<Needs>>);

/// The order. Up to date once nothing is [`Turns::stale`].
#[derive(Debug, Default)]
pub(crate) struct Turns {
    lanes: BTreeMap<Purpose, Lane>,
    /// By lane: what it is for, and how many parts of open jobs are in it. Numbers of lanes without any are used again.
    purposes: Vec<(Purpose, usize)>,
    /// Kinds of workers by group.
    kinds: BTreeMap<Group, Kind>,
    /// The lanes of the parts of each open job.
    jobs: BTreeMap<JobId, Vec<Lane>>,
    ready: Lanes<(Rank, Part)>,
    /// Parts by the load below which a worker gets more of them, the highest first.
    waiting: Lanes<(Reverse<u64>, Part)>,
    places: BTreeMap<Part, (Lane, Place)>,
    stale: Vec<JobId>,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Ready(Rank),
    Waiting(u64),
}

/// What a worker is not to be shown again in this hand-out.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    lanes: BTreeSet<Lane>,
    parts: BTreeSet<Part>,
}

impl Passed {
    /// Whether there is anything.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.parts.is_empty()
    }

    /// Whether something was passed over for another reason than room for what is counted.
    pub fn has_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Nothing that needs the same has room.
    pub(super) fn pass_lane(&mut self, lane: Lane) {
        self.lanes.insert(lane);
    }

    /// This part is not for the worker now.
    pub(super) fn pass(&mut self, part: Part) {
        self.parts.insert(part);
    }
}

impl Turns {
    /// The job of that namespace has parts that need this, and may have something to give.
    pub fn open(&mut self, job: JobId, namespace: &Namespace, parts: impl Iterator<Item = Option<Arc<Needs>>>) {
        self.shut(job);
        let lanes = parts.map(|needs| self.enter((namespace.clone(), needs))).collect();
        self.jobs.insert(job, lanes);
        self.touch(job);
    }

    /// The job gives nothing any more.
    pub fn shut(&mut self, job: JobId) {
        self.remove_all(job);
        for lane in self.jobs.remove(&job).unwrap_or_default() {
            let (purpose, parts) = &mut self.purposes[lane];
            *parts -= 1;
            if *parts == 0 {
                self.lanes.remove(purpose);
                for group in self.kinds.keys() {
                    self.ready.set_reach(lane, *group, false);
                    self.waiting.set_reach(lane, *group, false);
                }
            }
        }
    }

    fn enter(&mut self, purpose: Purpose) -> Lane {
        if let Some(lane) = self.lanes.get(&purpose) {
            self.purposes[*lane].1 += 1;
            return *lane;
        }
        let unused = self.purposes.iter().position(|(_, parts)| *parts == 0);
        let lane = unused.unwrap_or(self.purposes.len());
        let entry = (purpose.clone(), 1);
        match self.purposes.get_mut(lane) {
            Some(place) => *place = entry,
            None => self.purposes.push(entry),
        }
        for (group, kind) in &self.kinds {
            let reaches = kind.may_have(&purpose.0, purpose.1.as_deref());
            self.ready.set_reach(lane, *group, reaches);
            self.waiting.set_reach(lane, *group, reaches);
        }
        self.lanes.insert(purpose, lane);
        lane
    }

    /// The group is of that kind from now on, or nobody is of it.
    pub fn set_group(&mut self, group: Group, kind: Option<&Kind>) {
        for (purpose, lane) in &self.lanes {
            let reaches = kind.is_some_and(|kind| kind.may_have(&purpose.0, purpose.1.as_deref()));
            self.ready.set_reach(*lane, group, reaches);
            self.waiting.set_reach(*lane, group, reaches);
        }
        match kind {
            Some(kind) => self.kinds.insert(group, kind.clone()),
            None => self.kinds.remove(&group),
        };
    }

    /// Something about the job has changed.
    pub fn touch(&mut self, job: JobId) {
        if self.stale.last() != Some(&job) {
            self.stale.push(job);
        }
    }

    /// Whether the part has a place in the order, waits for one, or is to be given one.
    pub fn knows(&self, part: Part) -> bool {
        self.places.contains_key(&part) || self.stale.contains(&part.0)
    }

    /// The jobs that have changed since this was last asked; each is to be ranked anew, or to be removed.
    pub fn stale(&mut self) -> Vec<JobId> {
        let mut stale = std::mem::take(&mut self.stale);
        stale.sort_unstable();
        stale.dedup();
        stale
    }

    /// The job may have something to give, of each of its parts.
    pub fn rank(&mut self, job: JobId, priority: i32, live: u64) {
        for at in 0..self.jobs.get(&job).map_or(0, Vec::len) {
            if let Ok(part) = u16::try_from(at) {
                self.put((job, part), self.jobs[&job][at], (Reverse(priority), live));
            }
        }
    }

    fn put(&mut self, part: Part, lane: Lane, rank: Rank) {
        self.remove(part);
        self.ready.insert(lane, (rank, part));
        self.places.insert(part, (lane, Place::Ready(rank)));
    }

    /// The part has nothing to give, for now or for good.
    pub fn remove(&mut self, part: Part) {
        match self.places.remove(&part) {
            Some((lane, Place::Ready(rank))) => self.ready.remove(lane, &(rank, part)),
            Some((lane, Place::Waiting(load))) => self.waiting.remove(lane, &(Reverse(load), part)),
            None => {}
        }
    }

    /// No part of the job has anything to give.
    pub fn remove_all(&mut self, job: JobId) {
        let parts: Vec<Part> = self.parts(job).collect();
        parts.into_iter().for_each(|part| self.remove(part));
    }

    fn parts(&self, job: JobId) -> impl Iterator<Item = Part> {
        self.places.range((job, 0)..=(job, u16::MAX)).map(|(part, _)| *part)
    }

    /// The part, which had its turn, has something to give, but not to workers as loaded as that or more.
    pub fn wait(&mut self, part: Part, load: u64) {
        let Some((lane, _)) = self.places.get(&part).copied() else { return };
        self.remove(part);
        self.waiting.insert(lane, (Reverse(load), part));
        self.places.insert(part, (lane, Place::Waiting(load)));
    }

    /// One more attempt of the job is under way.
    pub fn gave(&mut self, job: JobId) {
        for at in 0..self.jobs.get(&job).map_or(0, Vec::len) {
            if let Ok(part) = u16::try_from(at)
                && let Some((lane, Place::Ready((priority, live)))) = self.places.get(&(job, part)).copied()
            {
                self.put((job, part), lane, (priority, live + 1));
            }
        }
    }

    /// The part whose turn it is with a worker of this group, but for what was passed over, and its lane.
    pub fn first(&self, group: Group, passed: &Passed) -> Option<(Part, Lane)> {
        let first = self.ready.first(group, &passed.lanes, |(_, part)| passed.parts.contains(part));
        first.map(|((_, part), lane)| (part, lane))
    }

    /// The jobs that have waited for a worker of this group as empty as that.
    pub fn waited_for(&mut self, load: u64, group: Group) -> Vec<JobId> {
        let mut jobs = Vec::new();
        while let Some(((Reverse(below), part), _)) = self.waiting.first(group, &BTreeSet::new(), |_| false)
            && below > load
        {
            self.remove(part);
            jobs.push(part.0);
        }
        jobs
    }
}
