//! What the oracle knows: followed from inputs and orders alone.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::{
    AttemptId, Clientele, Core, Incarnation, Input, ItemKey, JobId, Now, Outbox, ReplicaKey, Settings, WorkerId,
};

use super::promises::Promises;
use crate::world::kept::Kept;

/// The counts of a stage that must not change unnoticed: items, running, succeeded, failed.
pub(super) type Shown = [u64; 4];

/// One step of the core.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// The core after it.
    pub core: &'a Core,
    /// When.
    pub now: Now,
    /// What happened.
    pub input: &'a Input,
    /// What it answered.
    pub out: &'a Outbox,
}

/// A worker whose lease runs.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) incarnation: Incarnation,
    pub(super) slots: u64,
    pub(super) clientele: Clientele,
    pub(super) connected: bool,
    pub(super) heard_ms: u64,
}

/// The oracle.
#[derive(Debug)]
pub struct Oracle {
    pub(super) settings: Settings,
    pub(super) epoch: u64,
    /// Everything the core has decided, durable or not.
    pub(super) live: Kept,
    /// Every attempt ever given out: what for, and to whom.
    pub(super) given: BTreeMap<AttemptId, (ItemKey, WorkerId)>,
    /// The one attempt of an item that may commit, and who has it.
    pub(super) holders: BTreeMap<ItemKey, (AttemptId, WorkerId)>,
    /// Attempts that were given out to be alone on their workers.
    pub(super) alone: BTreeSet<AttemptId>,
    pub(super) workers: BTreeMap<WorkerId, Known>,
    /// The life of each worker that said hello last.
    pub(super) last: BTreeMap<WorkerId, Incarnation>,
    /// What likely ran on workers that fell silent, with the life they had.
    pub(super) suspects: BTreeMap<WorkerId, (Incarnation, Vec<ItemKey>)>,
    /// Lives that the last step blamed items for, and those whose leases it found to be over.
    pub(super) blamed: Vec<Incarnation>,
    pub(super) silent: Vec<Incarnation>,
    /// Workers from before the start that have not come back.
    pub(super) missed: BTreeSet<WorkerId>,
    pub(super) reunion_until_ms: u64,
    /// What each connected worker was last told to keep.
    pub(super) told: BTreeMap<WorkerId, BTreeSet<ReplicaKey>>,
    /// Where replicas were last seen.
    pub(super) placed: BTreeMap<ReplicaKey, WorkerId>,
    /// Attempts whose end was heard of.
    pub(super) heard_of: BTreeSet<AttemptId>,
    /// What was last shown of each job.
    pub(super) shown: BTreeMap<JobId, Vec<Shown>>,
    /// What clients and workers were told.
    pub promises: Promises,
    /// By when every pause is over.
    pub(super) due_ms: u64,
    pub(super) steps: u64,
}

impl Oracle {
    /// An oracle of a world in which nothing has happened.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            epoch: 0,
            live: Kept::default(),
            given: BTreeMap::new(),
            holders: BTreeMap::new(),
            alone: BTreeSet::new(),
            workers: BTreeMap::new(),
            last: BTreeMap::new(),
            suspects: BTreeMap::new(),
            blamed: Vec::new(),
            silent: Vec::new(),
            missed: BTreeSet::new(),
            reunion_until_ms: 0,
            told: BTreeMap::new(),
            placed: BTreeMap::new(),
            heard_of: BTreeSet::new(),
            shown: BTreeMap::new(),
            promises: Promises::default(),
            due_ms: 0,
            steps: 0,
        }
    }

    /// The lives that items were suspected of having taken down since this was last asked.
    pub fn take_blamed(&mut self) -> Vec<Incarnation> {
        std::mem::take(&mut self.blamed)
    }

    /// The lives whose leases ran out since this was last asked.
    pub fn take_silent(&mut self) -> Vec<Incarnation> {
        std::mem::take(&mut self.silent)
    }

    /// Everything decided so far.
    #[must_use]
    pub fn live(&self) -> &Kept {
        &self.live
    }

    /// Items that some attempt may still commit.
    #[must_use]
    pub fn held_items(&self) -> usize {
        self.holders.len()
    }

    /// The worker, if it is in that life.
    pub(super) fn known(&mut self, worker: WorkerId, incarnation: Incarnation) -> Option<&mut Known> {
        self.workers.get_mut(&worker).filter(|known| known.incarnation == incarnation)
    }

    /// What the worker holds, in the order it was given out.
    pub(super) fn held_by(&self, worker: WorkerId) -> Vec<(AttemptId, ItemKey)> {
        let mut held: Vec<_> = self
            .holders
            .iter()
            .filter(|(_, (_, holder))| *holder == worker)
            .map(|(item, (id, _))| (*id, *item))
            .collect();
        held.sort_unstable();
        held
    }

    /// Whether workers from before the start are still waited for.
    pub(super) fn in_reunion(&self, now: Now) -> bool {
        !self.missed.is_empty() && now.steady_ms < self.reunion_until_ms
    }
}
