//! Which life of each worker was the last to be taken in, since the coordinator's start.
//!
//! A life that is taken in sweeps what earlier ones have left, and does not ask whether they live: so whoever comes back after
//! another was in names attempts that may have been ended under it.

use std::collections::BTreeMap;

use crate::ids::{Incarnation, WorkerId};

/// The last life of each worker: so many as have come since the start.
#[derive(Debug, Default)]
pub(crate) struct Lives(BTreeMap<WorkerId, Incarnation>);

impl Lives {
    /// This life is taken in; answers whether the last one was another.
    pub fn came(&mut self, worker: WorkerId, incarnation: Incarnation) -> bool {
        self.0.insert(worker, incarnation).is_some_and(|last| last != incarnation)
    }
}
