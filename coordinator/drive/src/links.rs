//! Which link speaks for a worker, and what was answered on it.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};

use longshore_core::WorkerId;

/// Answers to heartbeats that are remembered of a link: those of two leases, at the pace that workers are told.
const ANSWERS: usize = 16;

/// One link of a worker, as whoever accepts links numbers them. No two links of a coordinator's life have the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

impl fmt::Debug for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.0)
    }
}

/// The link of each worker's newest hello that was admitted, as long as it is up.
#[derive(Debug, Default)]
pub struct Links(BTreeMap<WorkerId, Up>);

#[derive(Debug)]
struct Up {
    link: LinkId,
    /// The heartbeats that were answered last, and when, steady milliseconds.
    answers: VecDeque<(u64, u64)>,
}

impl Links {
    /// The worker has said hello on this link: it speaks for the worker from now on.
    pub(crate) fn hello(&mut self, worker: WorkerId, link: LinkId) {
        self.0.insert(worker, Up { link, answers: VecDeque::new() });
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
        self.0.get(&worker).map(|up| up.link)
    }

    /// Whether no link is up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this link speaks for the worker.
    #[must_use]
    pub fn speaks(&self, worker: WorkerId, link: LinkId) -> bool {
        self.of(worker) == Some(link)
    }

    /// The worker's heartbeat of this number is being answered on its link.
    pub(crate) fn answer(&mut self, worker: WorkerId, number: u64, now_ms: u64) {
        if let Some(up) = self.0.get_mut(&worker) {
            if up.answers.len() >= ANSWERS {
                up.answers.pop_front();
            }
            up.answers.push_back((number, now_ms));
        }
    }

    /// When the worker's heartbeat of this number was answered on its link, steady milliseconds, if that is remembered.
    pub(crate) fn answered_ms(&self, worker: WorkerId, number: u64) -> Option<u64> {
        let answers = &self.0.get(&worker)?.answers;
        answers.iter().find(|(answered, _)| *answered == number).map(|(_, at_ms)| *at_ms)
    }
}
