//! How busy and how quick each replica is, and the choice between two.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use longshore_core::ReplicaKey;

use crate::topology::Candidate;

/// What a failed call counts as, so that a replica that fails fast does not look quick.
const FAILURE_PENALTY_US: u64 = 5_000_000;

/// Counters per replica.
#[derive(Debug)]
pub(crate) struct Balance {
    began: Instant,
    counters: Mutex<HashMap<ReplicaKey, Arc<Counters>>>,
}

impl Default for Balance {
    fn default() -> Self {
        Self { began: Instant::now(), counters: Mutex::default() }
    }
}

fn millis_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    in_flight: AtomicU64,
    /// Moving average of a call's time, microseconds.
    average_us: AtomicU64,
    /// When it last learned something, milliseconds since the balance began.
    learned_ms: AtomicU64,
}

/// A call that is out. Dropping it takes it off the counters, whatever became of it.
pub(crate) struct InFlight {
    counters: Arc<Counters>,
    began: Instant,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.counters.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl InFlight {
    pub fn answered(&self, after: Duration) {
        self.counters.learn(u64::try_from(after.as_micros()).unwrap_or(u64::MAX), self.began);
    }

    pub fn failed(&self) {
        self.counters.learn(FAILURE_PENALTY_US, self.began);
    }
}

impl Counters {
    fn learn(&self, us: u64, began: Instant) {
        let before = self.average_us(began);
        self.learned_ms.store(millis_since(began), Ordering::Relaxed);
        let after = if before == 0 { us } else { before - before / 8 + us / 8 };
        // Lost updates between two calls only blur an average.
        self.average_us.store(after.max(1), Ordering::Relaxed);
    }

    /// The average, halved for every second without news: one that failed is tried again after a while.
    fn average_us(&self, began: Instant) -> u64 {
        let seconds = millis_since(began).saturating_sub(self.learned_ms.load(Ordering::Relaxed)) / 1_000;
        self.average_us.load(Ordering::Relaxed) >> seconds.min(63)
    }

    fn cost(&self, began: Instant) -> u64 {
        let waiting = self.in_flight.load(Ordering::Relaxed) + 1;
        waiting.saturating_mul(self.average_us(began).max(1))
    }
}

impl Balance {
    fn counters(&self, key: &ReplicaKey) -> Arc<Counters> {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        match counters.get(key) {
            Some(known) => Arc::clone(known),
            None => Arc::clone(counters.entry(key.clone()).or_default()),
        }
    }

    /// The ready candidate with the lowest cost (calls out × average time) among those not tried yet.
    pub fn pick<'a>(&self, candidates: &'a [Candidate], tried: &[u32]) -> Option<(&'a Candidate, InFlight)> {
        let (candidate, counters) = candidates
            .iter()
            .filter(|candidate| candidate.unready.is_none() && !tried.contains(&candidate.target.key.number))
            .map(|candidate| (candidate, self.counters(&candidate.target.key)))
            .min_by_key(|(_, counters)| counters.cost(self.began))?;
        counters.in_flight.fetch_add(1, Ordering::Relaxed);
        Some((candidate, InFlight { counters, began: self.began }))
    }

    /// Forgets replicas that are no more.
    pub fn retain(&self, keep: impl Fn(&ReplicaKey) -> bool) {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| keep(key));
    }
}
