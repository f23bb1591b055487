//! How many queries may be under way, of all services and of each.
//!
//! A service may have as many under way as there are places left for all: alone it takes half of them, a second one half of the
//! rest, and whoever has none under way always gets in, so that nobody is shut out by others (Choudhury and Hahne's dynamic
//! thresholds, as switches share their memory). Beside that each has a limit of its own, which falls while many of its queries
//! run out of time, for then more would only wait, and grows again while they do not.

use std::{collections::HashMap, hash::Hash, time::Duration};

use crate::standing::Moment;

/// How long queries are counted before a limit is changed.
const WINDOW: Duration = Duration::from_secs(1);

/// A limit falls to this share of itself where more than this share of the queries ran out of time, of so many at least.
const FALL: f64 = 0.7;
const LATE: f64 = 0.1;
const ENOUGH: u32 = 3;

/// It never falls below.
const LEAST: f64 = 2.0;

/// Places for queries.
#[derive(Debug)]
pub struct Admission<K> {
    places: usize,
    under_way: usize,
    shares: HashMap<K, Share>,
}

/// One service's.
#[derive(Debug)]
struct Share {
    under_way: usize,
    limit: f64,
    since: Moment,
    ended: u32,
    late: u32,
    /// It was turned away by its own limit.
    was_full: bool,
}

impl<K: Eq + Hash + Clone> Admission<K> {
    /// So many places.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self { places, under_way: 0, shares: HashMap::new() }
    }

    /// A query of this service begins, if it may.
    pub fn enter(&mut self, service: &K, now: Moment) -> bool {
        let free = self.places.saturating_sub(self.under_way);
        let fresh = || Share {
            under_way: 0,
            #[allow(clippy::cast_precision_loss, reason = "there are not so many places")]
            limit: self.places as f64,
            since: now,
            ended: 0,
            late: 0,
            was_full: false,
        };
        if !self.shares.contains_key(service) {
            self.shares.insert(service.clone(), fresh());
        }
        let Some(share) = self.shares.get_mut(service) else { return false };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a limit is between 2 and the places"
        )]
        let is_below = share.under_way < share.limit as usize;
        share.was_full |= !is_below;
        let enters = share.under_way == 0 || (is_below && share.under_way < free);
        if enters {
            share.under_way += 1;
            self.under_way += 1;
        }
        enters
    }

    /// A query of this service has ended; `late` when it ran out of time.
    pub fn leave(&mut self, service: &K, late: bool, now: Moment) {
        let most = self.places;
        let Some(share) = self.shares.get_mut(service).filter(|share| share.under_way > 0) else { return };
        share.under_way -= 1;
        self.under_way -= 1;
        share.ended += 1;
        share.late += u32::from(late);
        if now.saturating_sub(share.since) >= WINDOW {
            share.adapt(most);
            share.since = now;
        }
        self.forget(now);
    }

    /// Services of which nothing was asked for a while have nothing to remember.
    fn forget(&mut self, now: Moment) {
        if self.shares.len() > self.places {
            self.shares.retain(|_, share| share.under_way > 0 || now.saturating_sub(share.since) < 60 * WINDOW);
        }
    }

    /// Queries of this service that are under way.
    #[must_use]
    pub fn under_way(&self, service: &K) -> usize {
        self.shares.get(service).map_or(0, |share| share.under_way)
    }
}

impl Share {
    fn adapt(&mut self, most: usize) {
        #[allow(clippy::cast_precision_loss, reason = "there are not so many places")]
        let most = most as f64;
        if self.ended >= ENOUGH && f64::from(self.late) > f64::from(self.ended) * LATE {
            self.limit = (self.limit.min(most) * FALL).max(LEAST);
        } else if self.was_full {
            self.limit = (self.limit + (self.limit / 10.0).max(1.0)).min(most);
        }
        (self.ended, self.late, self.was_full) = (0, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn enter_all(admission: &mut Admission<&'static str>, service: &'static str, now: Moment) -> usize {
        (0..1_000).filter(|_| admission.enter(&service, now)).count()
    }

    #[test]
    fn one_alone_takes_half_and_others_always_find_room() {
        let mut admission = Admission::new(256);
        assert_eq!(enter_all(&mut admission, "a", SECOND), 128);
        assert_eq!(enter_all(&mut admission, "b", SECOND), 64);
        assert_eq!(enter_all(&mut admission, "c", SECOND), 32);
        for service in ["d", "e", "f", "g", "h", "i", "j", "k", "l"] {
            assert!(enter_all(&mut admission, service, SECOND) >= 1, "{service}");
        }
    }

    #[test]
    fn a_limit_falls_while_queries_run_out_of_time_and_grows_when_they_do_not() {
        let mut admission = Admission::new(256);
        let mut now = SECOND;
        for _ in 0..20 {
            let entered = enter_all(&mut admission, "a", now);
            now += 2 * SECOND;
            (0..entered).for_each(|_| admission.leave(&"a", true, now));
        }
        let fallen = enter_all(&mut admission, "a", now);
        assert!(fallen <= 4, "{fallen}");
        assert_eq!(enter_all(&mut admission, "b", now), (256 - fallen).div_ceil(2), "it is nobody else's");
        (0..admission.under_way(&"a")).for_each(|_| admission.leave(&"a", false, now));
        for _ in 0..60 {
            now += 2 * SECOND;
            let entered = enter_all(&mut admission, "a", now);
            (0..entered).for_each(|_| admission.leave(&"a", false, now));
        }
        assert!(enter_all(&mut admission, "a", now) > 60);
    }

    proptest! {
        #[test]
        fn nobody_idle_is_turned_away_and_what_entered_leaves(
            steps in prop::collection::vec((0..6_usize, any::<bool>(), any::<bool>(), 0..3_000_u64), 0..600)
        ) {
            let mut admission = Admission::new(8);
            let mut now = Moment::ZERO;
            for (service, enters, late, pause) in steps {
                now += Duration::from_millis(pause);
                if enters {
                    let idle = admission.under_way(&service) == 0;
                    prop_assert!(admission.enter(&service, now) || !idle);
                } else {
                    admission.leave(&service, late, now);
                }
                let sum: usize = (0..6).map(|service| admission.under_way(&service)).sum();
                prop_assert_eq!(sum, admission.under_way);
                prop_assert!(sum <= 8 + 6);
            }
        }
    }
}
