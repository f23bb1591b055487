//! How busy and how quick each replica is, and the choice between two.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use longshore_core::ReplicaKey;

use crate::topology::Candidate;

/// What a failed call counts as, so that a replica that fails fast does not look quick.
const FAILURE_PENALTY_US: u64 = 5_000_000;

/// Counters per replica.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    counters: Mutex<HashMap<ReplicaKey, Arc<Counters>>>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    in_flight: AtomicU64,
    /// Moving average of a call's time, microseconds.
    average_us: AtomicU64,
}

/// A call that is out. Dropping it takes it off the counters, whatever became of it.
pub(crate) struct InFlight(Arc<Counters>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl InFlight {
    pub fn answered(&self, after: Duration) {
        self.0.learn(u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
    }

    pub fn failed(&self) {
        self.0.learn(FAILURE_PENALTY_US);
    }
}

impl Counters {
    fn learn(&self, us: u64) {
        let before = self.average_us.load(Ordering::Relaxed);
        let after = if before == 0 { us } else { before - before / 8 + us / 8 };
        // Lost updates between two calls only blur an average.
        self.average_us.store(after.max(1), Ordering::Relaxed);
    }

    fn cost(&self) -> u64 {
        let waiting = self.in_flight.load(Ordering::Relaxed) + 1;
        waiting.saturating_mul(self.average_us.load(Ordering::Relaxed).max(1))
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
            .min_by_key(|(_, counters)| counters.cost())?;
        counters.in_flight.fetch_add(1, Ordering::Relaxed);
        Some((candidate, InFlight(counters)))
    }

    /// Forgets replicas that are no more.
    pub fn retain(&self, keep: impl Fn(&ReplicaKey) -> bool) {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| keep(key));
    }
}
