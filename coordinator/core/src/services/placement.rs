//! Which worker keeps which replica: soft state, found again from what workers report.
//!
//! Every replica that a deployed service should have is either placed on one worker or unplaced. What is placed is indexed
//! by worker, and by what the replica is for (its key begins with that), so that a change costs what it changes, however many
//! workers and replicas there are.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    ids::{Namespace, WorkerId},
    input::{ReplicaPhase, ReplicaStatus},
    record::ServiceRecord,
    services::{name::ServiceName, plan::ReplicaKey},
    workers::Clientele,
};

/// Where replicas are.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    placed: BTreeMap<ReplicaKey, Placed>,
    /// The keys of `placed` by worker; none of the lists is empty.
    by_worker: BTreeMap<WorkerId, BTreeSet<ReplicaKey>>,
    /// Where replicas of drained workers are being started, before they go there. Those workers keep them too.
    moves: BTreeMap<ReplicaKey, WorkerId>,
    /// Wanted, and on no worker.
    unplaced: BTreeSet<ReplicaKey>,
    /// Nobody has looked for places since something is unplaced, or since a worker came that may be one.
    stirred: bool,
    /// Workers whose replicas have changed since they were told what to keep, or that have forgotten it.
    untold: BTreeSet<WorkerId>,
}

/// A replica that is placed.
#[derive(Debug)]
pub(crate) struct Placed {
    pub worker: WorkerId,
    pub phase: ReplicaPhase,
    pub message: String,
}

impl Placement {
    /// Nothing is placed of what these services should have.
    pub fn of<'a>(services: impl Iterator<Item = &'a ServiceRecord>) -> Self {
        let mut placement = Self { stirred: true, ..Self::default() };
        for service in services {
            let plan = service.plan.iter();
            placement.unplaced.extend(plan.flat_map(|plan| plan.replicas_of(&service.name, service.generation)));
        }
        placement
    }

    /// Where the replica is.
    pub fn get(&self, key: &ReplicaKey) -> Option<&Placed> {
        self.placed.get(key)
    }

    /// What the worker keeps.
    pub fn on(&self, worker: WorkerId) -> impl ExactSizeIterator<Item = &ReplicaKey> {
        static NONE: BTreeSet<ReplicaKey> = BTreeSet::new();
        self.by_worker.get(&worker).unwrap_or(&NONE).iter()
    }

    /// The services of which the worker keeps something.
    pub fn services_on(&self, worker: WorkerId) -> BTreeSet<ServiceName> {
        self.on(worker).map(|key| key.service.clone()).collect()
    }

    /// Every replica that is wanted, and where it is.
    pub fn wanted(&self) -> impl Iterator<Item = (&ReplicaKey, Option<WorkerId>)> {
        let placed = self.placed.iter().map(|(key, placed)| (key, Some(placed.worker)));
        placed.chain(self.unplaced.iter().map(|key| (key, None)))
    }

    /// These are wanted from now on.
    pub fn want(&mut self, keys: impl Iterator<Item = ReplicaKey>) {
        self.stirred = true;
        self.unplaced.extend(keys);
    }

    /// Nothing of the service is wanted any more.
    pub fn unwant(&mut self, service: &ServiceName) {
        self.unplaced.retain(|key| key.service != *service);
        let first = ReplicaKey::first_of(service);
        let placed = self.placed.range(first..).take_while(|(key, _)| key.service == *service);
        let gone: Vec<ReplicaKey> = placed.map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.displace(&key);
        }
    }

    fn displace(&mut self, key: &ReplicaKey) {
        self.stay(key);
        if let Some(Placed { worker, .. }) = self.placed.remove(key) {
            self.drop_from(worker, key);
        }
    }

    /// The replica does not move.
    fn stay(&mut self, key: &ReplicaKey) {
        if let Some(worker) = self.moves.remove(key) {
            self.drop_from(worker, key);
        }
    }

    fn drop_from(&mut self, worker: WorkerId, key: &ReplicaKey) {
        self.untold.insert(worker);
        if let Some(keys) = self.by_worker.get_mut(&worker) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_worker.remove(&worker);
            }
        }
    }

    fn put(&mut self, key: ReplicaKey, worker: WorkerId) {
        self.untold.insert(worker);
        self.by_worker.entry(worker).or_default().insert(key.clone());
        self.placed.insert(key, Placed { worker, phase: ReplicaPhase::Starting, message: String::new() });
    }

    /// Takes in what a worker of this clientele says it has, as far as it is wanted and not placed elsewhere. Answers the services
    /// that changed.
    pub fn report(
        &mut self,
        worker: WorkerId,
        clientele: &Clientele,
        statuses: &[ReplicaStatus],
    ) -> BTreeSet<ServiceName> {
        let mut changed = BTreeSet::new();
        for status in statuses {
            if clientele.has(&status.key.service.namespace) && self.unplaced.remove(&status.key) {
                self.put(status.key.clone(), worker);
                changed.insert(status.key.service.clone());
            }
            if status.phase == ReplicaPhase::Ready && self.moves.get(&status.key) == Some(&worker) {
                self.arrive(&status.key, worker);
                changed.insert(status.key.service.clone());
            }
            let placed = self.placed.get_mut(&status.key).filter(|placed| placed.worker == worker);
            if let Some(placed) = placed
                && (placed.phase != status.phase || placed.message != status.message)
            {
                placed.phase = status.phase;
                placed.message.clone_from(&status.message);
                changed.insert(status.key.service.clone());
            }
        }
        changed
    }

    /// Replicas that the worker does not have count as starting until it says otherwise. Answers the services that changed.
    pub fn restarting(&mut self, worker: WorkerId, has: &BTreeSet<&ReplicaKey>) -> BTreeSet<ServiceName> {
        let mut changed = BTreeSet::new();
        for key in self.by_worker.get(&worker).into_iter().flatten().filter(|key| !has.contains(key)) {
            if let Some(placed) = self.placed.get_mut(key)
                && placed.worker == worker
                && placed.phase != ReplicaPhase::Starting
            {
                placed.phase = ReplicaPhase::Starting;
                placed.message.clear();
                changed.insert(key.service.clone());
            }
        }
        changed
    }

    /// Replicas that the worker may not keep, being of this clientele, have to go elsewhere. Answers the services that changed.
    pub fn bar(&mut self, worker: WorkerId, clientele: &Clientele) -> BTreeSet<ServiceName> {
        let barred = self.on(worker).filter(|key| !clientele.has(&key.service.namespace));
        let barred: Vec<ReplicaKey> = barred.cloned().collect();
        let (coming, barred): (Vec<_>, Vec<_>) =
            barred.into_iter().partition(|key| self.moves.get(key) == Some(&worker));
        coming.iter().for_each(|key| self.stay(key));
        for key in &barred {
            self.displace(key);
        }
        let changed = barred.iter().map(|key| key.service.clone()).collect();
        self.want(barred.into_iter());
        changed
    }

    /// The worker's replicas have to go elsewhere. Answers the services that changed.
    pub fn lose(&mut self, worker: WorkerId) -> BTreeSet<ServiceName> {
        let changed = self.services_on(worker);
        self.stirred = true;
        for key in self.by_worker.remove(&worker).unwrap_or_default() {
            if self.moves.get(&key) == Some(&worker) {
                self.moves.remove(&key);
                continue;
            }
            self.placed.remove(&key);
            match self.moves.remove(&key) {
                // It is being started there already.
                Some(other) => self.put(key, other),
                None => drop(self.unplaced.insert(key)),
            }
        }
        changed
    }

    /// The worker is here: nothing it was told counts any more.
    pub fn tell_anew(&mut self, worker: WorkerId) {
        self.stirred = true;
        self.untold.insert(worker);
    }

    /// What is told with the replicas of that namespace has changed: whoever keeps any is told again.
    pub fn tell_namespace_anew(&mut self, namespace: &Namespace) {
        let keeps = |keys: &BTreeSet<ReplicaKey>| keys.iter().any(|key| key.service.namespace == *namespace);
        self.untold.extend(self.by_worker.iter().filter(|(_, keys)| keeps(keys)).map(|(worker, _)| *worker));
    }

    /// Whether nothing is left to place that could be, or to tell.
    pub fn is_settled(&self) -> bool {
        !self.stirred && self.untold.is_empty()
    }

    /// Places what is not placed on the worker with the fewest replicas of the same shard, then the fewest of all, among those
    /// that may keep what is of its namespace. Answers the services that changed.
    pub fn settle(&mut self, workers: impl Fn(&Namespace) -> Vec<WorkerId>) -> BTreeSet<ServiceName> {
        self.stirred = false;
        let mut changed = BTreeSet::new();
        let mut whose: Option<Namespace> = None;
        let mut emptiest: BTreeSet<(usize, WorkerId)> = BTreeSet::new();
        // Those of one namespace follow one another.
        for key in std::mem::take(&mut self.unplaced) {
            let namespace = &key.service.namespace;
            if whose.as_ref() != Some(namespace) {
                emptiest = workers(namespace).into_iter().map(|worker| (self.on(worker).len(), worker)).collect();
                whose = Some(namespace.clone());
            }
            let Some((count, worker)) = best(&emptiest, &self.twins(&key)) else {
                self.unplaced.insert(key);
                continue;
            };
            emptiest.remove(&(count, worker));
            emptiest.insert((count + 1, worker));
            changed.insert(key.service.clone());
            self.put(key, worker);
        }
        changed
    }

    /// Replicas of these workers are started elsewhere, where that can be; they go there once they are ready.
    pub fn move_off(&mut self, drained: &[WorkerId], workers: impl Fn(&Namespace) -> Vec<WorkerId>) {
        for from in drained {
            let stays = |key: &&ReplicaKey| {
                !self.moves.contains_key(*key) && self.get(key).is_some_and(|it| it.worker == *from)
            };
            let keys: Vec<ReplicaKey> = self.on(*from).filter(stays).cloned().collect();
            for key in keys {
                let others = workers(&key.service.namespace).into_iter();
                let emptiest = others.map(|worker| (self.on(worker).len(), worker)).collect();
                if let Some((_, worker)) = best(&emptiest, &self.twins(&key)) {
                    self.untold.insert(worker);
                    self.by_worker.entry(worker).or_default().insert(key.clone());
                    self.moves.insert(key, worker);
                }
            }
        }
    }

    /// What the worker has stays there.
    pub fn stay_on(&mut self, worker: WorkerId) {
        let keys: Vec<ReplicaKey> = self.on(worker).cloned().collect();
        let own = |key: &&ReplicaKey| self.get(key).is_some_and(|placed| placed.worker == worker);
        let own: Vec<ReplicaKey> = keys.iter().filter(own).cloned().collect();
        own.iter().for_each(|key| self.stay(key));
    }

    /// The replica is ready where it was to go.
    fn arrive(&mut self, key: &ReplicaKey, worker: WorkerId) {
        self.moves.remove(key);
        self.displace(key);
        self.placed.insert(key.clone(), Placed { worker, phase: ReplicaPhase::Starting, message: String::new() });
    }

    /// How many replicas with the same charge each worker keeps, of those that keep any.
    fn twins(&self, key: &ReplicaKey) -> BTreeMap<WorkerId, usize> {
        let mut twins = BTreeMap::new();
        let (first, last) = (ReplicaKey { number: 0, ..key.clone() }, ReplicaKey { number: u32::MAX, ..key.clone() });
        for placed in self.placed.range(first..=last).map(|(_, placed)| placed) {
            *twins.entry(placed.worker).or_default() += 1;
        }
        twins
    }

    /// The workers that are to be told what to keep; they count as told.
    pub fn untold(&mut self) -> BTreeSet<WorkerId> {
        std::mem::take(&mut self.untold)
    }
}

/// The emptiest worker without twins; when there is none, the one with the fewest. So it looks at no more workers than have
/// twins, and one.
fn best(emptiest: &BTreeSet<(usize, WorkerId)>, twins: &BTreeMap<WorkerId, usize>) -> Option<(usize, WorkerId)> {
    let without = emptiest.iter().find(|(_, worker)| !twins.contains_key(worker));
    let fewest = || emptiest.iter().min_by_key(|(count, worker)| (twins.get(worker), *count, *worker));
    without.or_else(fewest).copied()
}

#[cfg(test)]
mod tests;
