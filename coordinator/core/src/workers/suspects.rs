//! What likely ran on workers that fell silent: should one come back in another life, it went down with these.

use std::collections::BTreeMap;

use crate::ids::{Incarnation, ItemKey, WorkerId};

/// Items by the life of the worker they likely ran on.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    silent: BTreeMap<WorkerId, Silent>,
}

/// A life that fell silent.
#[derive(Debug)]
pub(crate) struct Silent {
    pub incarnation: Incarnation,
    pub name: String,
    /// What likely ran on it.
    pub running: Vec<ItemKey>,
}

impl Suspects {
    /// That life of the worker fell silent.
    pub fn remember(&mut self, worker: WorkerId, silent: Silent) {
        self.silent.insert(worker, silent);
    }

    /// The worker is back; answers the life that had fallen silent, if that is another.
    pub fn back(&mut self, worker: WorkerId, incarnation: Incarnation) -> Option<Silent> {
        self.silent.remove(&worker).filter(|silent| silent.incarnation != incarnation)
    }
}
