//! Who is called: of two candidates the one that costs less, among those that are not avoided.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tokio::time::Instant;

use crate::{
    standing::{Ending, Moment, Place, Standing},
    topology::{Candidate, Target},
};

/// What is known of every replica.
#[derive(Debug)]
pub(crate) struct Balance<T> {
    began: Instant,
    known: Arc<Mutex<Known<T>>>,
}

#[derive(Debug)]
struct Known<T> {
    standings: HashMap<Arc<T>, Standing>,
    random: SmallRng,
}

/// Who was picked.
pub(crate) struct Picked<T: Target> {
    /// Its place among the candidates.
    pub place: usize,
    /// The call that goes there.
    pub out: Out<T>,
    /// It was out, and this call shall find out whether it answers again.
    pub on_trial: bool,
}

/// A call that is out. Dropped without a word it counts as abandoned after its time.
pub(crate) struct Out<T: Target> {
    target: Arc<T>,
    known: Arc<Mutex<Known<T>>>,
    began: Instant,
    started: Instant,
    told: bool,
}

impl<T: Target> Out<T> {
    /// How it ended.
    pub fn ended(mut self, ending: Ending) {
        self.tell(ending);
    }

    /// When it went out.
    pub fn started(&self) -> Instant {
        self.started
    }

    fn tell(&mut self, ending: Ending) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let (took, now) = (self.started.elapsed(), self.began.elapsed());
        // A replica that was forgotten meanwhile learns nothing.
        if let Some(standing) = lock(&self.known).standings.get_mut(&self.target) {
            standing.ended(ending, took, now);
        }
    }
}

impl<T: Target> Drop for Out<T> {
    fn drop(&mut self) {
        self.tell(Ending::Abandoned);
    }
}

fn lock<T>(known: &Mutex<Known<T>>) -> MutexGuard<'_, Known<T>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Target> Balance<T> {
    /// Nothing is known yet; chance begins with `seed`.
    pub fn new(seed: u64) -> Self {
        let known = Known { standings: HashMap::new(), random: SmallRng::seed_from_u64(seed) };
        Self { began: Instant::now(), known: Arc::new(Mutex::new(known)) }
    }

    /// Now, as the rules are told it.
    pub fn now(&self) -> Moment {
        self.began.elapsed()
    }

    /// A ready candidate whose place was not tried yet: one that was out and may be tried again, if nobody has been tried; else
    /// of two that are not avoided the one with the lower cost.
    pub fn pick(&self, candidates: &[Candidate<T>], tried: &[usize]) -> Option<Picked<T>> {
        let now = self.now();
        let mut known = lock(&self.known);
        let known = &mut *known;
        let (place, on_trial) = known.choose(candidates, tried, now)?;
        Some(self.send(known, candidates, place, on_trial))
    }

    /// A candidate for a copy of a call that is out at `first`: not avoided, and not costlier.
    pub fn pick_beside(&self, candidates: &[Candidate<T>], tried: &[usize], first: usize) -> Option<Picked<T>> {
        let now = self.now();
        let mut known = lock(&self.known);
        let known = &mut *known;
        let (place, _) = known.choose(candidates, tried, now)?;
        let others = known.usual(candidates, now);
        // The first has one call more out than a new one would find.
        let worth = known.place(&candidates[place].target, now) == Place::In
            && known.cost(&candidates[place].target, now, others) <= known.cost(&candidates[first].target, now, others);
        worth.then(|| self.send(known, candidates, place, false))
    }

    fn send(&self, known: &mut Known<T>, candidates: &[Candidate<T>], place: usize, on_trial: bool) -> Picked<T> {
        let target = Arc::clone(&candidates[place].target);
        known.standings.entry(Arc::clone(&target)).or_default().began();
        let (known, began) = (Arc::clone(&self.known), self.began);
        Picked { place, out: Out { target, known, began, started: Instant::now(), told: false }, on_trial }
    }

    /// Forgets replicas that are no more.
    pub fn retain(&self, keep: impl Fn(&T) -> bool) {
        lock(&self.known).standings.retain(|key, _| keep(key));
    }
}

impl<T: Target> Known<T> {
    fn place(&self, target: &Arc<T>, now: Moment) -> Place {
        self.standings.get(target).map_or(Place::In, |standing| standing.place(now))
    }

    fn cost(&self, target: &Arc<T>, now: Moment, others_us: u64) -> u64 {
        self.standings.get(target).map_or(others_us, |standing| standing.cost(now, others_us))
    }

    /// Where two cost the same, the one with fewer strikes goes first, then the one of which nothing is known.
    fn rank(&self, target: &Arc<T>, now: Moment, others_us: u64) -> (u64, u32, bool) {
        let standing = self.standings.get(target);
        let is_known = standing.is_some_and(|standing| standing.average(now).is_some());
        (self.cost(target, now, others_us), standing.map_or(0, Standing::strikes), is_known)
    }

    /// The average of those that have one: what is expected of one that has none, so that it is neither flooded nor shunned.
    fn usual(&self, candidates: &[Candidate<T>], now: Moment) -> u64 {
        let averages = candidates.iter().filter_map(|candidate| self.standings.get(&candidate.target)?.average(now));
        let mut averages: Vec<u64> = averages.collect();
        averages.sort_unstable();
        averages.get(averages.len() / 2).copied().unwrap_or(1)
    }

    fn choose(&mut self, candidates: &[Candidate<T>], tried: &[usize], now: Moment) -> Option<(usize, bool)> {
        let ready = || (0..).zip(candidates).filter(|(_, candidate)| candidate.unready.is_none());
        let others = self.usual(candidates, now);
        let (mut there, mut out): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        for (place, candidate) in ready() {
            match self.place(&candidate.target, now) {
                Place::In => there.push(place),
                Place::OnTrial if tried.is_empty() => return Some((place, true)),
                Place::OnTrial | Place::Out => out.push(place),
            }
        }
        // Half of those that are ready are never avoided, however they stand: it would be too much for the others.
        let enough = (there.len() + out.len()).div_ceil(2);
        if there.len() < enough {
            out.sort_by_key(|place| self.rank(&candidates[*place].target, now, others));
            let missing = enough - there.len();
            there.extend(out.drain(..missing));
        }
        there.retain(|place| !tried.contains(place));
        out.retain(|place| !tried.contains(place));
        let among = if there.is_empty() { &out } else { &there };
        let two = self.two_of(among);
        let rank = |place: &usize| self.rank(&candidates[*place].target, now, others);
        two.into_iter().min_by_key(rank).map(|place| (place, false))
    }

    /// Two of them by chance, the first before the second; all when there are no more.
    fn two_of(&mut self, places: &[usize]) -> Vec<usize> {
        if places.len() <= 2 {
            return places.to_vec();
        }
        let first = self.random.random_range(0..places.len());
        let second = self.random.random_range(0..places.len() - 1);
        let second = if second >= first { second + 1 } else { second };
        vec![places[first], places[second]]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;
    use crate::scripted::{Named, ready, unready};

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    struct World {
        balance: Balance<Named>,
        candidates: Vec<Candidate<Named>>,
    }

    impl World {
        fn of(candidates: Vec<Candidate<Named>>) -> Self {
            Self { balance: Balance::new(7), candidates }
        }

        fn pick(&self) -> (&'static str, Picked<Named>) {
            let picked = self.balance.pick(&self.candidates, &[]).unwrap();
            (self.candidates[picked.place].target.0, picked)
        }

        /// Calls this one, which ends so after that time.
        async fn call(&self, place: usize, ending: Ending, took: Duration) {
            let others: Vec<usize> = (0..self.candidates.len()).filter(|other| *other != place).collect();
            let picked = self.balance.pick(&self.candidates, &others).unwrap();
            assert_eq!(picked.place, place);
            advance(took).await;
            picked.out.ended(ending);
        }

        fn names(&self, calls: usize) -> Vec<&'static str> {
            let picked: Vec<_> = (0..calls).map(|_| self.pick()).collect();
            picked.iter().map(|(name, _)| *name).collect()
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
        world.call(0, Ending::Answered, 100 * MS).await;
        world.call(1, Ending::Answered, 30 * MS).await;
        assert_eq!(world.names(5), ["quick", "quick", "quick", "slow", "quick"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_is_taken_for_as_quick_as_the_others() {
        let world = World::of(ready("known new"));
        world.call(0, Ending::Answered, 10 * MS).await;
        assert_eq!(world.names(4), ["new", "known", "new", "known"], "neither flooded nor shunned");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_is_avoided_although_nobody_waits_for_it_to_the_end() {
        let world = World::of(ready("hung well"));
        world.call(0, Ending::Answered, MS).await;
        world.call(1, Ending::Answered, MS).await;
        let (name, picked) = world.pick();
        assert_eq!(name, "hung");
        advance(400 * MS).await;
        drop(picked);
        assert_eq!(world.names(20), ["well"; 20]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_fast_looks_slow_and_is_out_after_three_failures() {
        let world = World::of(ready("bad well"));
        world.call(1, Ending::Answered, MS).await;
        for _ in 0..3 {
            world.call(0, Ending::Failed, Duration::ZERO).await;
        }
        assert_eq!(world.names(500), ["well"; 500]);
        advance(2 * SECOND).await;
        let (name, picked) = world.pick();
        assert_eq!((name, picked.on_trial), ("bad", true));
        assert_eq!(world.pick().0, "well", "one call is enough for a trial");
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_is_never_avoided() {
        let world = World::of(vec![ready("bad").remove(0), unready("away", "is starting")]);
        for _ in 0..9 {
            world.call(0, Ending::Failed, Duration::ZERO).await;
        }
        assert_eq!(world.pick().0, "bad");
        let world = World::of(ready("a b c d"));
        for place in 0..4 {
            for _ in 0..3 {
                world.call(place, Ending::Failed, Duration::ZERO).await;
            }
        }
        let mut names = world.names(100);
        names.sort_unstable();
        names.dedup();
        assert!(names.len() >= 2, "half of them stay: {names:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_those_with_less_to_do_are_called_more_often_and_all_are() {
        let world = World::of(ready("a b c d"));
        let held: Vec<_> = (0..400).map(|_| world.pick()).collect();
        for name in ["a", "b", "c", "d"] {
            let count = held.iter().filter(|(held, _)| *held == name).count();
            assert!((95..=105).contains(&count), "{name}: {count}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_are_not_ready_or_tried_are_not_called() {
        let world = World::of(vec![unready("a", "is starting"), ready("b").remove(0)]);
        assert_eq!(world.pick().0, "b");
        assert!(world.balance.pick(&world.candidates, &[1]).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_goes_to_nobody_who_is_avoided_or_costs_more() {
        let world = World::of(ready("slow quick"));
        world.call(0, Ending::Answered, 100 * MS).await;
        world.call(1, Ending::Answered, 10 * MS).await;
        let picked = world.pick().1;
        assert!(world.balance.pick_beside(&world.candidates, &[picked.place], picked.place).is_none());
        let slow = world.balance.pick(&world.candidates, &[1]).unwrap();
        assert_eq!(world.balance.pick_beside(&world.candidates, &[0], slow.place).unwrap().place, 1);
    }
}
