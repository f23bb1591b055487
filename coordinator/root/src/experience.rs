//! What the queries of one service have taught: how long calls take, what further calls may cost, what not to try again.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    budget::{Budget, SHARE},
    latencies::Latencies,
    poison::{Poison, Verdict},
    standing::Moment,
};

/// No copy is made before, whatever was learned: timers are no finer.
const SOONEST: Duration = Duration::from_millis(1);

/// When somebody else is asked beside a replica on trial, where nothing is known of how long calls take.
const TRIAL: Duration = Duration::from_millis(20);

/// What is kept for a merge of which nothing is known, beside a fifth of the time; and what is kept beside what merges take.
const UNKNOWN_RESERVE: Duration = Duration::from_secs(1);
const LEAST_RESERVE: Duration = Duration::from_millis(5);

/// Which kind of call: their times have nothing to do with one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Leaf,
    Merge,
}

/// What was learned of a service. It is the service's as long as it is deployed, whatever becomes of its replicas.
#[derive(Debug)]
pub struct Experience(Mutex<Learned>);

#[derive(Debug)]
struct Learned {
    leaves: Latencies,
    merges: Latencies,
    /// When copies of leaves' and merges' calls are worth making, as of which second.
    delays: [Option<(u64, Option<Duration>)>; 2],
    budget: Budget,
    poison: Poison,
}

impl Default for Experience {
    fn default() -> Self {
        let (leaves, merges) = (Latencies::new(), Latencies::new());
        let delays = [None; 2];
        Self(Mutex::new(Learned { leaves, merges, delays, budget: Budget::new(), poison: Poison::default() }))
    }
}

impl Learned {
    fn latencies(&mut self, kind: Kind) -> &mut Latencies {
        match kind {
            Kind::Leaf => &mut self.leaves,
            Kind::Merge => &mut self.merges,
        }
    }

    /// Looked up once a second.
    fn delay(&mut self, kind: Kind, now: Moment) -> Option<Duration> {
        let second = now.as_secs();
        if let Some((of, delay)) = self.delays[kind as usize]
            && of == second
        {
            return delay;
        }
        let delay = self.latencies(kind).all_but(SHARE, now);
        self.delays[kind as usize] = Some((second, delay));
        delay
    }
}

impl Experience {
    fn lock(&self) -> MutexGuard<'_, Learned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A first call is made. When a copy of it is worth making, at the earliest; `None` when it is not.
    pub(crate) fn first(&self, kind: Kind, left: Duration, now: Moment) -> Option<Duration> {
        let mut learned = self.lock();
        learned.budget.earn(now);
        let delay = learned.delay(kind, now)?.max(SOONEST);
        (delay <= left / 2).then_some(delay)
    }

    /// When somebody else is asked too, where the first is on trial.
    pub(crate) fn trial(&self, kind: Kind, now: Moment) -> Duration {
        self.lock().latencies(kind).median(now).map_or(TRIAL, |median| (median * 2).max(SOONEST))
    }

    /// How much of a query's time is kept for its merge: what nearly all merges take and a little more, within bounds of the time.
    /// Merges that were given up count as having taken as long as that, so that what is too little grows.
    pub(crate) fn merge_reserve(&self, deadline: Duration, now: Moment) -> Duration {
        match self.lock().merges.most(now) {
            Some(most) => (most * 5 / 4 + LEAST_RESERVE).min(deadline / 2),
            None => (deadline / 5).min(UNKNOWN_RESERVE),
        }
    }

    /// Pays for a copy, if it can.
    pub(crate) fn copy(&self, now: Moment) -> bool {
        self.lock().budget.copy(now)
    }

    /// Pays for a repetition, if it can.
    pub(crate) fn repeat(&self, now: Moment) -> bool {
        self.lock().budget.repeat(now)
    }

    /// A call was answered after this time, or given up then.
    pub(crate) fn took(&self, kind: Kind, took: Duration, now: Moment) {
        self.lock().latencies(kind).record(took, now);
    }

    /// What is thought of a query.
    pub(crate) fn verdict(&self, query: &[u8], now: Moment) -> Verdict {
        self.lock().poison.verdict(query, now)
    }

    /// A replica has ended over a query. What is thought of it now.
    pub(crate) fn lost(&self, query: &[u8], now: Moment) -> Verdict {
        self.lock().poison.lost(query, now)
    }

    /// A query was answered.
    pub(crate) fn answered(&self, query: &[u8]) {
        self.lock().poison.answered(query);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_kept_for_a_merge_is_what_merges_take_within_bounds() {
        let millis = Duration::from_millis;
        let (experience, now) = (Experience::default(), Moment::from_secs(100));
        let reserve = |deadline| experience.merge_reserve(deadline, now);
        assert_eq!((reserve(millis(1_000)), reserve(millis(60_000))), (millis(200), millis(1_000)), "nothing is known");
        (0..20).for_each(|_| experience.took(Kind::Merge, millis(8), now));
        let learned = reserve(millis(1_000));
        assert!(learned > millis(14) && learned < millis(17), "{learned:?}");
        assert_eq!(reserve(millis(10)), millis(5), "half of the time at most");
        (0..20).for_each(|_| experience.took(Kind::Merge, millis(3_000), now));
        let slow = reserve(millis(60_000));
        assert!(slow > millis(3_700) && slow < millis(4_300), "{slow:?}");
    }
}
