//! Other lives of workers, which wait until it is known whether the ones that are there still live.

use std::{collections::BTreeMap, ops::RangeInclusive};

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
    /// What it was asked with there, since somebody waits.
    pub pings: RangeInclusive<u64>,
    /// When the first of these went, steady milliseconds.
    pub asked_ms: u64,
    /// When it has taken too long to answer.
    pub due_ms: u64,
    /// It cannot have been asked yet: what comes first on that link has not left.
    pub is_put_off: bool,
    /// Further links on which it may take as long again.
    again: u32,
    /// There were more: nothing puts off any more what is due.
    is_hurried: bool,
}

impl Newcomer {
    /// Whether that answers what was asked, and so that somebody lives who was there when this one came, or whoever waited in
    /// its place before.
    pub fn is_answered_by(&self, link: LinkId, ping: u64) -> bool {
        self.asked == link && self.pings.contains(&ping)
    }
}

/// Links on which a life may take as long again to answer, while others wait: one that breaks is no silence, and one that breaks
/// again and again is no life worth waiting for.
const AGAIN: u32 = 1;

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
        let (mut first, mut asked_ms, mut due_ms) = (self.pings, now_ms, now_ms + ANSWER_MS);
        let (mut is_put_off, mut again, mut is_hurried) = (false, AGAIN, false);
        let before = self.take(peer.worker);
        if let Some(before) = &before {
            (due_ms, is_put_off) = (before.due_ms, before.is_put_off);
            (again, is_hurried) = (before.again, before.is_hurried);
            if before.asked == asked {
                (first, asked_ms) = (*before.pings.start(), before.asked_ms);
            }
        }
        let pings = first..=self.pings;
        let newcomer = Newcomer { peer, hello, asked, pings, asked_ms, due_ms, is_put_off, again, is_hurried };
        self.waiting.insert(peer.worker, newcomer);
        (self.pings, before.map(|before| before.peer))
    }

    /// The life that is there has another link now; answers the ping to ask it with there, if somebody waits.
    pub fn ask_on(&mut self, worker: WorkerId, link: LinkId, now_ms: u64) -> Option<u64> {
        let newcomer = self.waiting.get_mut(&worker)?;
        self.pings += 1;
        (newcomer.asked, newcomer.pings, newcomer.asked_ms) = (link, self.pings..=self.pings, now_ms);
        if newcomer.again > 0 {
            newcomer.again -= 1;
            newcomer.due_ms = now_ms + ANSWER_MS;
        } else {
            (newcomer.is_hurried, newcomer.is_put_off) = (true, false);
        }
        Some(self.pings)
    }

    /// Time has passed: as long as what comes first on a link has not left, nobody is silent there.
    pub fn put_off(&mut self, now_ms: u64, waits: impl Fn(LinkId) -> bool) {
        for newcomer in self.waiting.values_mut().filter(|newcomer| !newcomer.is_hurried) {
            let was = std::mem::replace(&mut newcomer.is_put_off, waits(newcomer.asked));
            if was || newcomer.is_put_off {
                newcomer.due_ms = now_ms + ANSWER_MS;
            }
        }
    }

    /// Nobody waits for this worker any more.
    pub fn take(&mut self, worker: WorkerId) -> Option<Newcomer> {
        self.waiting.remove(&worker)
    }
}
