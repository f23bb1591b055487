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
}

impl Fleet {
    /// The worker, if this is the life of it that is known.
    pub fn life(&mut self, worker: WorkerId, incarnation: Incarnation) -> Option<&mut Worker> {
        self.workers.get_mut(&worker).filter(|known| known.incarnation == incarnation)
    }

    pub fn give(&mut self, id: AttemptId, item: ItemKey, worker: WorkerId) {
        self.attempts.insert(id, Live { item, worker, returning: false });
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.attempts.insert(id);
        }
    }

    /// Takes the attempt off its worker, if that is who holds it.
    pub fn take(&mut self, id: AttemptId, from: WorkerId) -> Option<Live> {
        let live = *self.attempts.get(&id).filter(|live| live.worker == from)?;
        self.attempts.remove(&id);
        if let Some(worker) = self.workers.get_mut(&from) {
            worker.attempts.remove(&id);
        }
        Some(live)
    }
}
