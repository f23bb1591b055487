//! Which link speaks for a worker.

use std::{collections::BTreeMap, fmt};

use longshore_core::WorkerId;

/// One link of a worker, as whoever accepts links numbers them. No two links of a coordinator's life have the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

impl fmt::Debug for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.0)
    }
}

/// The link of each worker's newest hello, as long as it is up.
#[derive(Debug, Default)]
pub struct Links(BTreeMap<WorkerId, LinkId>);

impl Links {
    /// The worker has said hello on this link: it speaks for the worker from now on.
    pub(crate) fn hello(&mut self, worker: WorkerId, link: LinkId) {
        self.0.insert(worker, link);
    }

    /// Takes the worker's link off, if it is this one; answers whether it was.
    pub(crate) fn end(&mut self, worker: WorkerId, link: LinkId) -> bool {
        let is = self.speaks(worker, link);
        if is {
            self.0.remove(&worker);
        }
        is
    }

    /// The link that speaks for the worker.
    #[must_use]
    pub fn of(&self, worker: WorkerId) -> Option<LinkId> {
        self.0.get(&worker).copied()
    }

    /// Whether this link speaks for the worker.
    #[must_use]
    pub fn speaks(&self, worker: WorkerId, link: LinkId) -> bool {
        self.of(worker) == Some(link)
    }
}
