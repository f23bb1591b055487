//! Workers and who holds which attempt: soft state, rebuilt from what workers say when they connect.
//!
//! Here alone attempts are numbered, given and taken, so a worker's list of attempts and an attempt's worker always agree.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    clientele::Clientele,
    idle::IdleSlots,
    ranking::{Group, Ranking},
};
use crate::ids::{AttemptId, Incarnation, ItemKey, Namespace, WorkerId};

/// Who says hello.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    pub previous: Option<Incarnation>,
    pub name: String,
    pub slots: u32,
    pub clientele: Clientele,
}

/// A worker that has said hello and whose lease runs.
#[derive(Debug)]
pub(crate) struct Worker {
    pub incarnation: Incarnation,
    pub name: String,
    pub slots: u32,
    /// Whose work it may be given: that of all workers of the group.
    group: Group,
    pub connected: bool,
    /// When it could last be reached, as far as is known, steady milliseconds.
    pub heard_ms: u64,
    /// In the order they were given out.
    pub attempts: BTreeSet<AttemptId>,
}

impl Worker {
    /// How full it is, in 1/1024 of its slots.
    fn load(&self) -> u64 {
        self.attempts.len() as u64 * 1024 / u64::from(self.slots.max(1))
    }

    /// What it holds beyond its slots, the newest first.
    fn queued(&self) -> impl Iterator<Item = AttemptId> {
        self.attempts.iter().skip(self.slots as usize).rev().copied()
    }
}

/// An attempt that some worker holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    item: ItemKey,
    worker: WorkerId,
}

/// A worker that has gone.
#[derive(Debug)]
pub(crate) struct Gone {
    pub incarnation: Incarnation,
    pub slots: u32,
    /// What it held, in the order it was given out.
    pub held: Vec<(AttemptId, ItemKey)>,
}

/// All workers and attempts.
#[derive(Debug)]
pub(crate) struct Fleet {
    workers: BTreeMap<WorkerId, Worker>,
    attempts: BTreeMap<AttemptId, Held>,
    /// Of the attempts those that were asked back.
    returning: BTreeSet<AttemptId>,
    /// The newest attempt that was given out.
    newest: AttemptId,
    /// Up to date but for those in `stale`.
    ranking: Ranking,
    stale: BTreeSet<WorkerId>,
    /// No worker was heard before that.
    heard_ms: Option<u64>,
}

impl Fleet {
    /// Nobody, in an epoch in which nothing was given out.
    pub fn new(epoch: u64) -> Self {
        Self {
            workers: BTreeMap::new(),
            attempts: BTreeMap::new(),
            returning: BTreeSet::new(),
            newest: AttemptId { epoch, number: 0 },
            ranking: Ranking::default(),
            stale: BTreeSet::new(),
            heard_ms: None,
        }
    }

    /// The worker, if its lease runs.
    pub fn worker(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.get(&id)
    }

    /// Every worker whose lease runs.
    pub fn workers(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.workers.iter().map(|(id, worker)| (*id, worker))
    }

    /// Every worker that can be reached.
    pub fn connected(&self) -> impl Iterator<Item = WorkerId> {
        self.workers.iter().filter(|(_, worker)| worker.connected).map(|(id, _)| *id)
    }

    /// Every worker that can be reached and may be given work of this namespace.
    pub fn connected_for(&self, namespace: &Namespace) -> impl Iterator<Item = WorkerId> {
        self.connected().filter(|id| self.clientele(*id).has(namespace))
    }

    /// Whose work the worker may be given.
    pub fn clientele(&self, id: WorkerId) -> &Clientele {
        self.ranking.clientele(self.workers.get(&id).map_or(Group::MAX, |worker| worker.group))
    }

    /// Whether this is the life of the worker that is known.
    pub fn is_life(&self, worker: WorkerId, incarnation: Incarnation) -> bool {
        self.workers.get(&worker).is_some_and(|known| known.incarnation == incarnation)
    }

    fn life(&mut self, worker: WorkerId, incarnation: Incarnation) -> Option<&mut Worker> {
        self.workers.get_mut(&worker).filter(|known| known.incarnation == incarnation)
    }

    /// The worker could be reached then, if this is the life of it that is known.
    pub fn hear(&mut self, worker: WorkerId, incarnation: Incarnation, as_of_ms: u64) {
        if let Some(life) = self.life(worker, incarnation) {
            life.heard_ms = life.heard_ms.max(as_of_ms);
        }
    }

    /// The worker cannot be reached, if this is the life of it that is known; answers whether it is.
    pub fn disconnect(&mut self, worker: WorkerId, incarnation: Incarnation) -> bool {
        let Some(life) = self.life(worker, incarnation) else {
            return false;
        };
        life.connected = false;
        self.stale.insert(worker);
        true
    }

    /// The worker is here, or here again with what it held.
    pub fn join(&mut self, arrival: Arrival, now_ms: u64) {
        let Arrival { worker, incarnation, previous: _, name, slots, clientele } = arrival;
        let group = self.ranking.group(clientele);
        self.heard_ms = Some(self.heard_ms.map_or(now_ms, |heard_ms| heard_ms.min(now_ms)));
        let attempts = self.workers.remove(&worker).map(|known| known.attempts).unwrap_or_default();
        let slots = slots.max(1);
        let life = Worker { incarnation, name, slots, group, connected: true, heard_ms: now_ms, attempts };
        self.workers.insert(worker, life);
        self.stale.insert(worker);
    }

    /// The worker is gone, and holds nothing any more.
    pub fn leave(&mut self, id: WorkerId) -> Option<Gone> {
        self.stale.insert(id);
        let Worker { incarnation, slots, attempts, .. } = self.workers.remove(&id)?;
        let held = attempts.into_iter().filter_map(|attempt| Some((attempt, self.take(attempt, id)?))).collect();
        Some(Gone { incarnation, slots, held })
    }

    /// The emptiest connected worker of each group, with its load and its group.
    pub fn emptiest_of_each(&mut self) -> BTreeSet<(u64, WorkerId, Group)> {
        self.rank();
        self.ranking.emptiest_of_each()
    }

    /// The emptiest connected worker of this group, with its load and its group.
    pub fn emptiest_of(&mut self, group: Group) -> Option<(u64, WorkerId, Group)> {
        self.rank();
        self.ranking.emptiest_of(group)
    }

    /// Brings the ranking up to date.
    fn rank(&mut self) {
        for id in std::mem::take(&mut self.stale) {
            match self.workers.get(&id).filter(|worker| worker.connected) {
                Some(worker) => self.ranking.put(id, worker.group, worker.load(), worker.slots),
                None => self.ranking.remove(id),
            }
        }
    }

    /// How full a worker is, in 1/1024 of its slots.
    pub fn load(&self, id: WorkerId) -> u64 {
        self.workers.get(&id).map_or(u64::MAX, Worker::load)
    }

    /// What falls to a worker of so many items of a namespace when all connected ones that may have them share them, rounded
    /// up.
    pub fn share(&self, id: WorkerId, items: u64, namespace: &Namespace) -> u64 {
        self.ranking.share(id, items, namespace)
    }

    /// A time before which no worker was heard, if there are workers. Exact after [`Fleet::look_at_leases`], and early by
    /// what they have said since.
    pub fn heard_ms(&self) -> Option<u64> {
        self.heard_ms
    }

    /// Looks when each worker was heard; answers those that are silent.
    pub fn look_at_leases(&mut self, silent: impl Fn(&Worker) -> bool) -> Vec<WorkerId> {
        self.heard_ms = self.workers.values().filter(|worker| !silent(worker)).map(|worker| worker.heard_ms).min();
        self.workers.iter().filter(|(_, worker)| silent(worker)).map(|(id, _)| *id).collect()
    }

    /// The item is given to the worker; answers the attempt's id.
    pub fn give(&mut self, item: ItemKey, worker: WorkerId) -> AttemptId {
        self.newest.number += 1;
        self.hold(self.newest, item, worker);
        self.newest
    }

    /// The worker holds an attempt that was given out before.
    pub fn hold(&mut self, id: AttemptId, item: ItemKey, worker: WorkerId) {
        self.stale.insert(worker);
        self.attempts.insert(id, Held { item, worker });
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.attempts.insert(id);
        }
    }

    /// Takes the attempt off its worker, if that is who holds it; answers its item.
    pub fn take(&mut self, id: AttemptId, from: WorkerId) -> Option<ItemKey> {
        let held = *self.attempts.get(&id).filter(|held| held.worker == from)?;
        self.attempts.remove(&id);
        self.returning.remove(&id);
        self.stale.insert(from);
        if let Some(worker) = self.workers.get_mut(&from) {
            worker.attempts.remove(&id);
        }
        Some(held.item)
    }

    /// Who holds the attempt.
    pub fn holder(&self, id: AttemptId) -> Option<WorkerId> {
        self.attempts.get(&id).map(|held| held.worker)
    }

    /// The item of an attempt that is held.
    pub fn item(&self, id: AttemptId) -> Option<ItemKey> {
        self.attempts.get(&id).map(|held| held.item)
    }

    /// Every attempt that is held: its item, and who holds it.
    pub fn attempts(&self) -> impl Iterator<Item = (AttemptId, ItemKey, WorkerId)> {
        self.attempts.iter().map(|(id, held)| (*id, held.item, held.worker))
    }

    /// Whether the attempt may have been given out, and no worker is known to hold it: or a worker that claims what is
    /// another's, or will be, would leave an item behind that nothing ends.
    pub fn is_nobodys(&self, id: AttemptId) -> bool {
        id <= self.newest && !self.attempts.contains_key(&id)
    }

    /// Slots of connected workers for which nothing is held, by whose work they may be given.
    pub fn idle_slots(&self) -> IdleSlots<'_> {
        let mut idle: BTreeMap<Group, u64> = BTreeMap::new();
        for worker in self.workers.values().filter(|worker| worker.connected) {
            let slots = u64::from(worker.slots).saturating_sub(worker.attempts.len() as u64);
            if slots > 0 {
                *idle.entry(worker.group).or_default() += slots;
            }
        }
        IdleSlots::of(idle.into_iter().map(|(group, slots)| (self.ranking.clientele(group), slots)))
    }

    /// What a worker holds beyond its slots, the newest first.
    pub fn queued_on(&self, id: WorkerId) -> impl Iterator<Item = AttemptId> {
        self.workers.get(&id).into_iter().flat_map(Worker::queued)
    }

    /// The item of an attempt that is held and was not asked back.
    pub fn not_asked_back(&self, id: AttemptId) -> Option<ItemKey> {
        self.attempts.get(&id).filter(|_| !self.returning.contains(&id)).map(|held| held.item)
    }

    /// The attempt was asked back.
    pub fn ask_back(&mut self, id: AttemptId) {
        self.returning.insert(id);
    }

    /// The attempt was not asked back, or the order is lost.
    pub fn keep(&mut self, id: AttemptId) {
        self.returning.remove(&id);
    }

    /// The items of attempts that are likely on their way back: those that were asked back of a worker that has others to run
    /// first.
    pub fn coming_back(&self) -> impl Iterator<Item = ItemKey> {
        let queued = self.returning.iter().filter(|id| self.is_queued(**id));
        queued.filter_map(|id| self.attempts.get(id).map(|held| held.item))
    }

    /// Whether the attempt's worker can be reached, and holds enough for its slots that was given out before.
    fn is_queued(&self, id: AttemptId) -> bool {
        let holder = self.holder(id).and_then(|holder| self.workers.get(&holder));
        let connected = holder.filter(|worker| worker.connected);
        connected.is_some_and(|worker| worker.attempts.range(..id).count() >= worker.slots as usize)
    }
}
