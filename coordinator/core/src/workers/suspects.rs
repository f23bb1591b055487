//! What likely ran on workers that fell silent: should one come back started anew, it went down with these.

use std::collections::BTreeMap;

use crate::ids::{Incarnation, ItemKey, WorkerId};

/// Items by the life of the worker they likely ran on.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    silent: BTreeMap<WorkerId, (Incarnation, Vec<ItemKey>)>,
}

impl Suspects {
    /// That life fell silent with these running.
    pub fn remember(&mut self, worker: WorkerId, incarnation: Incarnation, running: Vec<ItemKey>) {
        self.silent.insert(worker, (incarnation, running));
    }

    /// The worker is back, in a life that was started after `previous` had ended; answers what that one went down with.
    pub fn back(&mut self, worker: WorkerId, previous: Option<Incarnation>) -> Vec<ItemKey> {
        match self.silent.remove(&worker) {
            Some((silent, items)) if Some(silent) == previous => items,
            _ => Vec::new(),
        }
    }
}
