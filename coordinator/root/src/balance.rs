//! How busy and how quick each replica is, and the choice between two.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::topology::{Candidate, Target};

/// What a failed call counts as, so that a replica that fails fast does not look quick.
const FAILURE_PENALTY_US: u64 = 5_000_000;

/// Counters per replica.
#[derive(Debug)]
pub(crate) struct Balance<T> {
    began: Instant,
    counters: Mutex<HashMap<Arc<T>, Arc<Counters>>>,
}

impl<T> Default for Balance<T> {
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

impl<T: Target> Balance<T> {
    fn counters(&self, target: &Arc<T>) -> Arc<Counters> {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        match counters.get(target) {
            Some(known) => Arc::clone(known),
            None => Arc::clone(counters.entry(Arc::clone(target)).or_default()),
        }
    }

    /// The place of the ready candidate with the lowest cost (calls out × average time) among those whose places were not
    /// tried yet.
    pub fn pick(&self, candidates: &[Candidate<T>], tried: &[usize]) -> Option<(usize, InFlight)> {
        let (place, counters) = candidates
            .iter()
            .enumerate()
            .filter(|(place, candidate)| candidate.unready.is_none() && !tried.contains(place))
            .map(|(place, candidate)| (place, self.counters(&candidate.target)))
            .min_by_key(|(_, counters)| counters.cost(self.began))?;
        counters.in_flight.fetch_add(1, Ordering::Relaxed);
        Some((place, InFlight { counters, began: self.began }))
    }

    /// Forgets replicas that are no more.
    pub fn retain(&self, keep: impl Fn(&T) -> bool) {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| keep(key));
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::scripted::{Named, ready, unready};

    const SECOND: Duration = Duration::from_secs(1);

    struct World {
        balance: Balance<Named>,
        candidates: Vec<Candidate<Named>>,
    }

    impl World {
        fn of(candidates: Vec<Candidate<Named>>) -> Self {
            Self { balance: Balance::default(), candidates }
        }

        fn pick(&self) -> (&'static str, InFlight) {
            let (place, call) = self.balance.pick(&self.candidates, &[]).unwrap();
            (self.candidates[place].target.0, call)
        }

        /// Calls this one, with that result.
        fn call(&self, place: usize, then: impl FnOnce(&InFlight)) {
            let others: Vec<usize> = (0..self.candidates.len()).filter(|other| *other != place).collect();
            then(&self.balance.pick(&self.candidates, &others).unwrap().1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_go_where_the_fewest_are_out() {
        let world = World::of(ready("a b"));
        let (first, one) = world.pick();
        let (second, _two) = world.pick();
        assert_eq!((first, second), ("a", "b"));
        // Dropped, whatever became of it, a call is not out any more.
        drop(one);
        assert_eq!(world.pick().0, "a");
    }

    #[tokio::test(start_paused = true)]
    async fn the_quicker_one_has_more_calls_out_before_the_slower_has_one() {
        let world = World::of(ready("slow quick"));
        world.call(0, |call| call.answered(Duration::from_millis(100)));
        world.call(1, |call| call.answered(Duration::from_millis(30)));
        let calls: Vec<(&str, InFlight)> = (0..5).map(|_| world.pick()).collect();
        let names: Vec<&str> = calls.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["quick", "quick", "quick", "slow", "quick"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_average_moves_by_an_eighth() {
        let world = World::of(ready("a b"));
        world.call(0, |call| call.answered(Duration::from_millis(80)));
        world.call(0, |call| call.answered(Duration::ZERO));
        world.call(1, |call| call.answered(Duration::from_millis(71)));
        assert_eq!(world.pick().0, "a");
        world.call(1, |call| call.answered(Duration::from_millis(50)));
        assert_eq!(world.pick().0, "b");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_fast_does_not_look_quick_and_is_tried_again_after_a_while() {
        let world = World::of(ready("failing slow"));
        world.call(0, InFlight::failed);
        world.call(1, |call| call.answered(2 * SECOND));
        assert_eq!(world.pick().0, "slow");
        advance(8 * SECOND).await;
        world.call(1, |call| call.answered(2 * SECOND));
        assert_eq!(world.pick().0, "failing");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_ready_or_was_tried_is_not_picked() {
        let balance = Balance::default();
        let mut candidates = vec![unready("a", "is starting")];
        candidates.extend(ready("b c"));
        let place = |tried: &[usize]| balance.pick(&candidates, tried).map(|(place, _)| place);
        assert_eq!([place(&[]), place(&[1]), place(&[1, 2])], [Some(1), Some(2), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn of_one_that_is_no_more_nothing_is_remembered() {
        let world = World::of(ready("a b"));
        world.call(0, InFlight::failed);
        world.call(1, InFlight::failed);
        world.balance.retain(|target| target.0 == "a");
        assert_eq!(world.pick().0, "b");
        assert_eq!(world.balance.counters.lock().unwrap().len(), 2);
    }
}
