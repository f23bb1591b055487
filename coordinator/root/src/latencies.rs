//! How long calls take: their quantiles over the last half minute, and whether everything has become slow.

use std::time::Duration;

use crate::standing::Moment;

/// Buckets of one factor of two: a bound is at most an eighth above what it stands for.
const FINE: u32 = 8;

/// Buckets: what takes longer than 2^36 µs (19 hours) is in the last.
const BUCKETS: usize = (FINE * 34) as usize;

/// Windows, and how long each is.
const WINDOWS: u64 = 6;
const WINDOW: Duration = Duration::from_secs(5);

/// Fewer calls say nothing about the slowest twentieth.
const ENOUGH: u32 = 100;

/// Fewer calls say nothing about a median.
const ENOUGH_FOR_A_MEDIAN: u32 = 10;

/// Fewer calls say nothing about how long nearly all take.
const ENOUGH_FOR_MOST: u32 = 20;

/// Times of calls.
#[derive(Debug)]
pub(crate) struct Latencies {
    /// The newest last; the number of its window beside each.
    windows: Vec<(u64, Box<[u32; BUCKETS]>)>,
}

impl Latencies {
    /// Nothing is known.
    pub fn new() -> Self {
        Self { windows: Vec::new() }
    }

    /// A call has taken so long, or at least so long if it was given up.
    pub fn record(&mut self, took: Duration, now: Moment) {
        let number = window(now);
        if self.windows.last().is_none_or(|(last, _)| *last != number) {
            self.forget_before(number);
            self.windows.push((number, Box::new([0; BUCKETS])));
        }
        if let Some((_, counts)) = self.windows.last_mut() {
            let count = &mut counts[bucket(took)];
            *count = count.saturating_add(1);
        }
    }

    fn forget_before(&mut self, number: u64) {
        self.windows.retain(|(old, _)| *old + WINDOWS > number && *old < number);
    }

    /// How long all but this share of calls take at most; `None` while too few have been seen, or while calls take twice as
    /// long as they did: then it is no single replica that is slow, and more calls would make it worse.
    pub fn all_but(&self, share: f64, now: Moment) -> Option<Duration> {
        let newest = window(now);
        let lately = self.counts(|number| number + 2 > newest && number <= newest);
        let before = self.counts(|number| number + WINDOWS > newest && number + 2 <= newest);
        if let (Some(lately), Some(before)) = (median(&lately), median(&before))
            && lately > before * 2
        {
            return None;
        }
        let all = self.counts(|number| number + WINDOWS > newest);
        (total(&all) >= ENOUGH).then(|| quantile(&all, 1.0 - share))
    }

    /// How long half of all calls take at most; `None` while too few have been seen.
    pub fn median(&self, now: Moment) -> Option<Duration> {
        let newest = window(now);
        median(&self.counts(|number| number + WINDOWS > newest))
    }

    /// How long nineteen of twenty calls take at most, however slow they have become; `None` while too few have been seen.
    pub fn most(&self, now: Moment) -> Option<Duration> {
        let newest = window(now);
        let all = self.counts(|number| number + WINDOWS > newest);
        (total(&all) >= ENOUGH_FOR_MOST).then(|| quantile(&all, 0.95))
    }

    fn counts(&self, of: impl Fn(u64) -> bool) -> [u32; BUCKETS] {
        let mut sum = [0_u32; BUCKETS];
        for (_, counts) in self.windows.iter().filter(|(number, _)| of(*number)) {
            sum.iter_mut().zip(counts.iter()).for_each(|(sum, count)| *sum = sum.saturating_add(*count));
        }
        sum
    }
}

fn window(now: Moment) -> u64 {
    now.as_secs() / WINDOW.as_secs()
}

fn total(counts: &[u32; BUCKETS]) -> u32 {
    counts.iter().fold(0, |sum: u32, count| sum.saturating_add(*count))
}

fn median(counts: &[u32; BUCKETS]) -> Option<Duration> {
    (total(counts) >= ENOUGH_FOR_A_MEDIAN).then(|| quantile(counts, 0.5))
}

fn quantile(counts: &[u32; BUCKETS], share: f64) -> Duration {
    let wanted = f64::from(total(counts)) * share;
    let mut seen = 0.0;
    let found = counts.iter().position(|count| {
        seen += f64::from(*count);
        seen >= wanted
    });
    upper(found.unwrap_or(BUCKETS - 1))
}

/// Where a time is counted: the first eight by microsecond, then eight for every factor of two.
fn bucket(took: Duration) -> usize {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if us < u64::from(FINE) {
        return usize::try_from(us).unwrap_or(0);
    }
    let shift = us.ilog2() - FINE.ilog2();
    let fine = u32::try_from(us >> shift).unwrap_or(FINE) - FINE;
    ((shift + 1) * FINE + fine).min(FINE * 34 - 1) as usize
}

/// The longest time that is counted there.
fn upper(bucket: usize) -> Duration {
    let bucket = bucket as u64;
    let fine = u64::from(FINE);
    if bucket < fine {
        return Duration::from_micros(bucket);
    }
    let (shift, rest) = (bucket / fine - 1, bucket % fine);
    Duration::from_micros(((fine + rest + 1) << shift) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn of(times: impl IntoIterator<Item = (Duration, Moment)>) -> Latencies {
        let mut latencies = Latencies::new();
        times.into_iter().for_each(|(took, now)| latencies.record(took, now));
        latencies
    }

    fn about(found: Option<Duration>, wanted: Duration) -> bool {
        found.is_some_and(|found| found >= wanted && found <= wanted + wanted / 8 + Duration::from_micros(1))
    }

    #[test]
    fn a_quantile_is_at_most_an_eighth_too_long() {
        let latencies = of((1..=100).map(|ms| (ms * MS, SECOND)));
        assert!(about(latencies.all_but(0.05, SECOND), 95 * MS), "{:?}", latencies.all_but(0.05, SECOND));
        assert!(about(latencies.median(SECOND), 50 * MS), "{:?}", latencies.median(SECOND));
    }

    #[test]
    fn too_few_say_nothing_and_what_is_old_is_forgotten() {
        let latencies = of((1..=99).map(|ms| (ms * MS, SECOND)));
        assert_eq!(latencies.all_but(0.05, SECOND), None);
        let latencies = of((1..=100).map(|ms| (ms * MS, SECOND)));
        assert_eq!(latencies.all_but(0.05, 31 * SECOND), None);
    }

    #[test]
    fn when_everything_has_become_slow_nothing_is_said() {
        let mut latencies = of((0..200).map(|_| (10 * MS, SECOND)));
        assert!(latencies.all_but(0.05, 12 * SECOND).is_some());
        for _ in 0..20 {
            latencies.record(50 * MS, 12 * SECOND);
        }
        assert_eq!(latencies.all_but(0.05, 12 * SECOND), None);
    }

    proptest! {
        #[test]
        fn every_time_is_counted_where_its_bound_is(us in 0..1_u64 << 36) {
            let found = upper(bucket(Duration::from_micros(us)));
            prop_assert!(about(Some(found), Duration::from_micros(us)), "{us} {found:?}");
        }
    }
}
