//! Whether a worker that is given work takes an item now: the one predicate of those who give out and those who explain.
//!
//! What could never be is looked at once for each kind of worker, see [`mod@crate::fit`], and which items there are for a worker is
//! their queue's to know.

use crate::{
    fit::{Misfit, Needs},
    workers::Worker,
};

/// What is in the way now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Busy {
    /// What is counted does not fit in beside what is under way.
    Room(Misfit),
    /// Nothing is given ahead where something is counted: it would not fit in beside that.
    Beside,
    /// It holds as many as are given ahead of such work.
    Deep,
}

/// Whether the worker, loaded so, takes an item that needs this, of a stage of which each of its slots may hold so many.
pub(crate) fn takes(worker: &Worker, load: u64, needs: Option<&Needs>, depth: u64) -> Result<(), Busy> {
    if worker.counts(needs) {
        worker.fit(needs).map_err(Busy::Room)
    } else if load >= 1024 && worker.is_counted() {
        Err(Busy::Beside)
    } else if load >= depth * 1024 {
        Err(Busy::Deep)
    } else {
        Ok(())
    }
}
