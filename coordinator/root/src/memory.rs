//! The memory that the bytes of queries take together: bodies as they come, parts, answers until they are read.
//!
//! What is held is counted where it is held: whoever takes bytes in asks for room first ([`Account::hold`]) and ties what it was
//! given to the bytes ([`Held::keep`]), so that it is given back when the last of them has gone, whoever had it then. Who finds no
//! room waits for a bounded time, holding what it has.
//!
//! # Why nobody waits for each other
//!
//! A query that holds a part and waits for room for the next may wait for one that does the same. So a share of the limit, as much
//! as one query may ever take (`of_one`), is set aside for one query at a time, the *first*:
//!
//! - whoever is not first takes room only as long as all together stay below `limit - of_one`;
//! - a query that waits becomes first when nobody is, and what all others hold leaves `of_one` within the limit. From then on it
//!   never waits again: it takes at most `of_one`, and others cannot take that. So never more than `limit` is taken;
//! - it stays first until it takes no more (its own [`Account`] is dropped), not until its answer is read.
//!
//! Say that several wait, and nobody is first. What is held belongs to queries that still grow, less than `limit - of_one`, and to
//! answers that are whole, which only get fewer: they are read, or cut off within a bounded time. Without those one that waits
//! becomes first at once. So there is always somebody who goes on, or something that goes away by itself.
//!
//! Beside that each group (a service; for bodies, a caller) may take as much as is left for all, as with [`Admission`]: alone it has
//! half, and whoever comes new finds room. None of a group that has more than that becomes first: the group has it from a first one
//! that is whole now, and goes away by itself. Nor does one of which only the body comes: nobody waits for what it holds.
//!
//! [`Admission`]: crate::Admission

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout_at},
};

/// Longest wait for room. Whoever waits with an answer keeps a place of its replica meanwhile, which others wait for.
const WAIT: Duration = Duration::from_secs(2);

/// Those that may wait, and how many of them are looked at when room comes free.
const WAITING: usize = 1 << 16;
const LOOKED_AT: usize = 64;

/// Most bytes of one query: its body, all parts, and what is made of them.
const OF_ONE: u64 = 512 << 20;

/// The memory of all queries of a process.
pub struct Memory {
    limit: u64,
    of_one: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: u64,
    groups: HashMap<Arc<str>, u64>,
    /// The query that what is set aside is for.
    first: Option<u64>,
    waiting: VecDeque<Waiting>,
    last: u64,
}

struct Waiting {
    whose: Whose,
    bytes: u64,
    granted: oneshot::Sender<Held>,
}

/// Whose bytes are counted.
#[derive(Clone)]
struct Whose {
    query: u64,
    tab: Arc<Tab>,
    group: Arc<str>,
    /// It waits like everybody else and is never first.
    only_body: bool,
}

/// What one query holds.
#[derive(Default)]
struct Tab {
    held: AtomicU64,
    /// Nothing more is given: nobody waits for it.
    over: AtomicBool,
    settled: Notify,
}

/// One query's part of it. Once the query's own is dropped nothing more is given to those that were lent.
pub struct Account {
    memory: Arc<Memory>,
    whose: Whose,
    /// `None` of one that is lent.
    own: Option<Growing>,
}

/// A query that may take more.
struct Growing {
    memory: Arc<Memory>,
    query: u64,
    tab: Arc<Tab>,
}

/// Room for so many bytes, until it is dropped.
pub struct Held {
    memory: Arc<Memory>,
    whose: Whose,
    bytes: u64,
}

/// Bytes, and the room they take.
struct Kept {
    bytes: Bytes,
    _held: Held,
}

/// What a query still holds, whoever has it.
#[derive(Clone)]
pub struct Outstanding(Arc<Tab>);

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoMemory {
    /// Not now.
    #[error("the memory for queries is full: no room for {bytes} bytes more came free in time")]
    Now {
        /// So many were asked for.
        bytes: u64,
    },
    /// Never for one query.
    #[error("one query may take {} MiB of the memory for queries, with its body, parts and answer", .most >> 20)]
    Ever {
        /// So many bytes.
        most: u64,
    },
}

/// What becomes of somebody who asks for room.
enum Verdict {
    Given,
    Waits,
    Never,
}

impl Memory {
    /// So many bytes for all queries; one has half of them at most.
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, of_one: (limit / 2).min(OF_ONE), state: Mutex::default() })
    }

    /// A new query, whose body is of this group.
    #[must_use]
    pub fn account(self: &Arc<Self>, group: &str) -> Account {
        let query = {
            let mut state = self.lock();
            state.last += 1;
            state.last
        };
        let whose = Whose { query, tab: Arc::default(), group: group.into(), only_body: true };
        let own = Some(Growing { memory: Arc::clone(self), query, tab: Arc::clone(&whose.tab) });
        Account { memory: Arc::clone(self), whose, own }
    }

    /// Bytes that are held now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.lock().used
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, state: &mut State, whose: &Whose, bytes: u64) -> Verdict {
        let own = whose.tab.held.load(Ordering::Relaxed);
        if own.saturating_add(bytes) > self.of_one || whose.tab.over.load(Ordering::Relaxed) {
            return Verdict::Never;
        }
        if state.first == Some(whose.query) {
            return Verdict::Given;
        }
        let shared = self.limit - self.of_one;
        let free = shared.saturating_sub(state.used);
        let group = state.groups.get(&whose.group).copied().unwrap_or(0);
        if group + bytes <= free {
            return Verdict::Given;
        }
        let may_be_first = !whose.only_body && group <= shared / 2;
        if may_be_first && state.first.is_none() && state.used - own + self.of_one <= self.limit {
            state.first = Some(whose.query);
            return Verdict::Given;
        }
        Verdict::Waits
    }

    fn book(self: &Arc<Self>, state: &mut State, whose: &Whose, bytes: u64) -> Held {
        state.used += bytes;
        match state.groups.get_mut(&whose.group) {
            Some(used) => *used += bytes,
            None if bytes > 0 => drop(state.groups.insert(Arc::clone(&whose.group), bytes)),
            None => {}
        }
        whose.tab.held.fetch_add(bytes, Ordering::Relaxed);
        Held { memory: Arc::clone(self), whose: whose.clone(), bytes }
    }

    fn release(self: &Arc<Self>, whose: &Whose, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let mut state = self.lock();
        state.used -= bytes;
        if let Some(used) = state.groups.get_mut(&whose.group) {
            *used -= bytes;
            if *used == 0 {
                state.groups.remove(&whose.group);
            }
        }
        if whose.tab.held.fetch_sub(bytes, Ordering::Relaxed) == bytes {
            whose.tab.settled.notify_waiters();
        }
        let next = self.next(&mut state);
        drop(state);
        give(next);
    }

    /// Those that have waited and may go on now.
    fn next(self: &Arc<Self>, state: &mut State) -> Vec<Granted> {
        let before = state.first;
        let mut next = self.serve(state, LOOKED_AT);
        if state.first.is_some() && state.first != before {
            // It waits for nothing from now on.
            next.extend(self.serve(state, usize::MAX));
        }
        next
    }

    fn serve(self: &Arc<Self>, state: &mut State, most: usize) -> Vec<Granted> {
        let (mut next, mut at) = (Vec::new(), 0);
        while at < most
            && let Some(Waiting { whose, bytes, granted }) = state.waiting.get(at)
        {
            let (whose, bytes, has_gone) = (whose.clone(), *bytes, granted.is_closed());
            let verdict = if has_gone { Verdict::Never } else { self.look(state, &whose, bytes) };
            if matches!(verdict, Verdict::Waits) {
                at += 1;
                continue;
            }
            let Some(waiting) = state.waiting.remove(at) else { break };
            if matches!(verdict, Verdict::Given) {
                next.push((waiting.granted, self.book(state, &whose, bytes)));
            }
        }
        next
    }
}

/// Somebody who waited, and what it is given.
type Granted = (oneshot::Sender<Held>, Held);

/// Outside the lock: whoever has gone gives back what it is given.
fn give(next: Vec<Granted>) {
    for (granted, held) in next {
        drop(granted.send(held));
    }
}

impl Account {
    /// A query for itself, that may take what it likes.
    #[must_use]
    pub fn unbounded() -> Self {
        Memory::new(u64::MAX / 2).account("").of("")
    }

    /// The same query, whose further bytes are of this group, and which may become first: it has begun.
    #[must_use]
    pub fn of(mut self, group: &str) -> Self {
        (self.whose.group, self.whose.only_body) = (group.into(), false);
        self
    }

    /// The same, for whoever works for the query.
    #[must_use]
    pub fn lent(&self) -> Self {
        Self { memory: Arc::clone(&self.memory), whose: self.whose.clone(), own: None }
    }

    /// Takes room for so many bytes, or waits for it, until then and a few seconds at most.
    ///
    /// # Errors
    /// When none has come free by then, or none will for one query.
    pub async fn hold(&self, bytes: u64, until: Instant) -> Result<Held, NoMemory> {
        let memory = &self.memory;
        let waits = {
            let mut state = memory.lock();
            match memory.look(&mut state, &self.whose, bytes) {
                Verdict::Given => return Ok(memory.book(&mut state, &self.whose, bytes)),
                Verdict::Never => return Err(NoMemory::Ever { most: memory.of_one }),
                Verdict::Waits if state.waiting.len() >= WAITING => return Err(NoMemory::Now { bytes }),
                Verdict::Waits => {
                    let (granted, waits) = oneshot::channel();
                    state.waiting.push_back(Waiting { whose: self.whose.clone(), bytes, granted });
                    waits
                }
            }
        };
        match timeout_at(until.min(Instant::now() + WAIT), waits).await {
            Ok(Ok(held)) => Ok(held),
            Ok(Err(_never)) => Err(NoMemory::Ever { most: memory.of_one }),
            Err(_elapsed) => Err(NoMemory::Now { bytes }),
        }
    }

    /// Takes room for so many bytes if it is there now.
    ///
    /// # Errors
    /// When it is not.
    pub fn hold_now(&self, bytes: u64) -> Result<Held, NoMemory> {
        let memory = &self.memory;
        let mut state = memory.lock();
        match memory.look(&mut state, &self.whose, bytes) {
            Verdict::Given => Ok(memory.book(&mut state, &self.whose, bytes)),
            Verdict::Waits => Err(NoMemory::Now { bytes }),
            Verdict::Never => Err(NoMemory::Ever { most: memory.of_one }),
        }
    }

    /// What it holds, and whoever has that.
    #[must_use]
    pub fn outstanding(&self) -> Outstanding {
        Outstanding(Arc::clone(&self.whose.tab))
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_lent = self.own.is_none();
        f.debug_struct("Account").field("query", &self.whose.query).field("lent", &is_lent).finish_non_exhaustive()
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        self.tab.over.store(true, Ordering::Relaxed);
        let mut state = self.memory.lock();
        if state.first != Some(self.query) {
            return;
        }
        state.first = None;
        let next = self.memory.next(&mut state);
        drop(state);
        give(next);
    }
}

impl Held {
    /// How much.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes over what the same query holds besides.
    pub fn join(&mut self, mut other: Self) {
        debug_assert_eq!((self.whose.query, &self.whose.group), (other.whose.query, &other.whose.group));
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Gives back what is beyond so many bytes.
    pub fn shrink(&mut self, to: u64) {
        let beyond = self.bytes.saturating_sub(to);
        self.bytes -= beyond;
        self.memory.release(&self.whose, beyond);
    }

    /// These bytes, which hold it until the last of them has gone.
    #[must_use]
    pub fn keep(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Kept { bytes, _held: self })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.release(&self.whose, self.bytes);
    }
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Outstanding {
    /// Waits until it holds nothing any more.
    pub async fn gone(&self) {
        loop {
            let settled = self.0.settled.notified();
            if self.0.held.load(Ordering::Relaxed) == 0 {
                return;
            }
            settled.await;
        }
    }
}

#[cfg(test)]
mod tests;
