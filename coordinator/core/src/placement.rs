//! Which worker keeps which replica: soft state, computed again whenever workers or services change.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    ids::WorkerId,
    input::{ReplicaPhase, ReplicaStatus},
    service::ReplicaKey,
};

/// Where replicas are.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    placed: BTreeMap<ReplicaKey, Placed>,
    /// What each worker was last told to keep.
    told: BTreeMap<WorkerId, BTreeSet<ReplicaKey>>,
}

#[derive(Debug)]
pub(crate) struct Placed {
    pub worker: WorkerId,
    pub phase: ReplicaPhase,
    pub message: String,
}

impl Placement {
    pub fn get(&self, key: &ReplicaKey) -> Option<&Placed> {
        self.placed.get(key)
    }

    pub fn on(&self, worker: WorkerId) -> impl Iterator<Item = &ReplicaKey> {
        self.placed.iter().filter(move |(_, placed)| placed.worker == worker).map(|(key, _)| key)
    }

    /// Takes in what a worker says it has, as far as it is wanted and not placed elsewhere. Answers the services that
    /// changed.
    pub fn report(
        &mut self,
        worker: WorkerId,
        statuses: &[ReplicaStatus],
        wanted: impl Fn(&ReplicaKey) -> bool,
    ) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        for status in statuses.iter().filter(|status| wanted(&status.key)) {
            let placed = self.placed.entry(status.key.clone()).or_insert_with(|| {
                changed.insert(status.key.service.clone());
                Placed { worker, phase: ReplicaPhase::Starting, message: String::new() }
            });
            if placed.worker == worker && (placed.phase != status.phase || placed.message != status.message) {
                placed.phase = status.phase;
                placed.message.clone_from(&status.message);
                changed.insert(status.key.service.clone());
            }
        }
        changed
    }

    /// The worker is gone, or its replicas are: they count as starting until it says otherwise.
    pub fn restarting(&mut self, worker: WorkerId, has: &BTreeSet<ReplicaKey>) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        for (key, placed) in &mut self.placed {
            if placed.worker == worker && !has.contains(key) && placed.phase != ReplicaPhase::Starting {
                placed.phase = ReplicaPhase::Starting;
                changed.insert(key.service.clone());
            }
        }
        changed
    }

    /// The worker's replicas have to go elsewhere.
    pub fn lose(&mut self, worker: WorkerId) -> BTreeSet<String> {
        self.told.remove(&worker);
        let lost: Vec<ReplicaKey> = self.on(worker).cloned().collect();
        lost.into_iter()
            .map(|key| {
                self.placed.remove(&key);
                key.service
            })
            .collect()
    }

    /// Drops what is no longer wanted and places what is not placed on the worker with the fewest replicas of the same
    /// shard, then the fewest of all. Answers the services that changed.
    pub fn settle(&mut self, wanted: &BTreeSet<ReplicaKey>, workers: &[WorkerId]) -> BTreeSet<String> {
        let mut changed: BTreeSet<String> = BTreeSet::new();
        self.placed.retain(|key, _| {
            let keep = wanted.contains(key);
            if !keep {
                changed.insert(key.service.clone());
            }
            keep
        });
        if workers.is_empty() {
            return changed;
        }
        let mut counts: BTreeMap<WorkerId, u32> = workers.iter().map(|worker| (*worker, 0)).collect();
        for placed in self.placed.values() {
            if let Some(count) = counts.get_mut(&placed.worker) {
                *count += 1;
            }
        }
        for key in wanted {
            if self.placed.contains_key(key) {
                continue;
            }
            let twins: Vec<WorkerId> = self
                .placed
                .iter()
                .filter(|(other, _)| {
                    other.service == key.service && other.generation == key.generation && other.role == key.role
                })
                .map(|(_, placed)| placed.worker)
                .collect();
            let best = counts
                .iter()
                .min_by_key(|(worker, count)| (twins.iter().filter(|twin| twin == worker).count(), **count, **worker))
                .map(|(worker, _)| *worker);
            if let Some(worker) = best {
                *counts.entry(worker).or_default() += 1;
                changed.insert(key.service.clone());
                let placed = Placed { worker, phase: ReplicaPhase::Starting, message: String::new() };
                self.placed.insert(key.clone(), placed);
            }
        }
        changed
    }

    /// What the worker shall keep, if that differs from what it was told last.
    pub fn tell(&mut self, worker: WorkerId) -> Option<Vec<ReplicaKey>> {
        let keep: BTreeSet<ReplicaKey> = self.on(worker).cloned().collect();
        if self.told.get(&worker) == Some(&keep) {
            return None;
        }
        let list = keep.iter().cloned().collect();
        self.told.insert(worker, keep);
        Some(list)
    }

    /// Nothing it was told counts any more.
    pub fn forget_told(&mut self, worker: WorkerId) {
        self.told.remove(&worker);
    }
}
