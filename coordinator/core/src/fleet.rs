//! The workers as the core sees them, and the attempts they hold: soft state.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{AttemptId, Incarnation, ItemKey, WorkerId};

/// A worker that has said hello and whose lease runs.
#[derive(Debug)]
pub(crate) struct Worker {
    pub incarnation: Incarnation,
    pub name: String,
    pub slots: u32,
    pub connected: bool,
    /// When it was last heard, steady milliseconds.
    pub heard_ms: u64,
    /// In the order they were given out.
    pub attempts: BTreeSet<AttemptId>,
}

impl Worker {
    /// How full it is, in 1/1024 of its slots.
    pub fn load(&self) -> u64 {
        self.attempts.len() as u64 * 1024 / u64::from(self.slots.max(1))
    }
}

/// An attempt that some worker holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live {
    pub item: ItemKey,
    pub worker: WorkerId,
    /// It was asked back.
    pub returning: bool,
}

/// All workers and attempts.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    pub workers: BTreeMap<WorkerId, Worker>,
    pub attempts: BTreeMap<AttemptId, Live>,
    /// Connected workers, the emptiest first; up to date but for those in `stale`.
    ranking: BTreeSet<(u64, WorkerId)>,
    /// What the ranking knows of each: its load and its slots.
    ranked: BTreeMap<WorkerId, (u64, u32)>,
    /// Slots of all ranked workers.
    slots: u64,
    stale: BTreeSet<WorkerId>,
    /// No worker was heard before that.
    heard_ms: Option<u64>,
}

impl Fleet {
    /// The worker, if this is the life of it that is known.
    pub fn life(&mut self, worker: WorkerId, incarnation: Incarnation) -> Option<&mut Worker> {
        self.workers.get_mut(&worker).filter(|known| known.incarnation == incarnation)
    }

    /// The worker is here, or here again.
    pub fn join(&mut self, id: WorkerId, worker: Worker) {
        self.heard_ms = Some(self.heard_ms.map_or(worker.heard_ms, |heard_ms| heard_ms.min(worker.heard_ms)));
        self.workers.insert(id, worker);
        self.touch(id);
    }

    /// The worker is gone.
    pub fn leave(&mut self, id: WorkerId) -> Option<Worker> {
        self.touch(id);
        self.workers.remove(&id)
    }

    /// The worker's load or link has changed.
    pub fn touch(&mut self, worker: WorkerId) {
        self.stale.insert(worker);
    }

    /// The emptiest connected worker with its load.
    pub fn emptiest(&mut self) -> Option<(u64, WorkerId)> {
        for id in std::mem::take(&mut self.stale) {
            if let Some((load, slots)) = self.ranked.remove(&id) {
                self.ranking.remove(&(load, id));
                self.slots -= u64::from(slots);
            }
            if let Some(worker) = self.workers.get(&id).filter(|worker| worker.connected) {
                let load = worker.load();
                self.ranking.insert((load, id));
                self.ranked.insert(id, (load, worker.slots));
                self.slots += u64::from(worker.slots);
            }
        }
        self.ranking.first().copied()
    }

    /// What falls to a worker of so many items when all connected ones share them, rounded up.
    pub fn share(&self, id: WorkerId, items: u64) -> u64 {
        let slots = self.ranked.get(&id).map_or(0, |(_, slots)| u64::from(*slots));
        (items.saturating_mul(slots)).div_ceil(self.slots.max(1))
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

    pub fn give(&mut self, id: AttemptId, item: ItemKey, worker: WorkerId) {
        self.touch(worker);
        self.attempts.insert(id, Live { item, worker, returning: false });
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.attempts.insert(id);
        }
    }

    /// Takes the attempt off its worker, if that is who holds it.
    pub fn take(&mut self, id: AttemptId, from: WorkerId) -> Option<Live> {
        let live = *self.attempts.get(&id).filter(|live| live.worker == from)?;
        self.attempts.remove(&id);
        self.touch(from);
        if let Some(worker) = self.workers.get_mut(&from) {
            worker.attempts.remove(&id);
        }
        Some(live)
    }
}
