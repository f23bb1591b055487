//! Other lives of workers, which wait until it is known whether the ones that are there still live.

use std::collections::BTreeMap;

use longshore_core::WorkerId;

use crate::{Hello, LinkId, Peer};

/// How long a life may take to answer a ping before another one takes its place, milliseconds: long for a process that
/// runs, on a bad line too, and short for an operator who waits.
pub const ANSWER_MS: u64 = 2_000;

/// A life of a worker that waits to be admitted.
#[derive(Debug)]
pub(crate) struct Newcomer {
    pub peer: Peer,
    pub hello: Hello,
    /// The link on which the life that is there was asked.
    pub asked: LinkId,
    /// What it was asked with.
    pub ping: u64,
    /// When, steady milliseconds.
    pub asked_ms: u64,
    /// When it has taken too long to answer.
    pub due_ms: u64,
}

/// Those that wait: one of a worker at most.
#[derive(Debug, Default)]
pub(crate) struct Newcomers {
    waiting: BTreeMap<WorkerId, Newcomer>,
    pings: u64,
}

impl Newcomers {
    pub fn of(&self, worker: WorkerId) -> Option<&Newcomer> {
        self.waiting.get(&worker)
    }

    pub fn all(&self) -> impl Iterator<Item = &Newcomer> {
        self.waiting.values()
    }

    /// This one waits from now on, while `asked` is asked; answers the ping for that, and who waited before, in whose place
    /// it is: however many come, the life that is there has no longer to answer.
    pub fn wait(&mut self, now_ms: u64, peer: Peer, hello: Hello, asked: LinkId) -> (u64, Option<Peer>) {
        self.pings += 1;
        let due_ms = self.of(peer.worker).map_or(now_ms + ANSWER_MS, |before| before.due_ms);
        let newcomer = Newcomer { peer, hello, asked, ping: self.pings, asked_ms: now_ms, due_ms };
        let before = self.waiting.insert(peer.worker, newcomer);
        (self.pings, before.map(|before| before.peer))
    }

    /// The life that is there has another link now; answers the ping to ask it with there, if somebody waits.
    pub fn ask_on(&mut self, worker: WorkerId, link: LinkId, now_ms: u64) -> Option<u64> {
        let newcomer = self.waiting.get_mut(&worker)?;
        self.pings += 1;
        (newcomer.asked, newcomer.ping, newcomer.asked_ms) = (link, self.pings, now_ms);
        Some(self.pings)
    }

    /// Nobody waits for this worker any more.
    pub fn take(&mut self, worker: WorkerId) -> Option<Newcomer> {
        self.waiting.remove(&worker)
    }
}
