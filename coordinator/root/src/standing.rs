//! What is known of one replica: how much is out, how quick it is, and whether it is avoided.
//!
//! ```text
//! in ──three strikes in a row──► out ──its time is over──► on trial ──an answer──► in
//!                                 ▲                           │
//!                                 └──────────a strike─────────┘ for twice as long
//! ```
//!
//! A strike is a failure, or a call that was given up although it had taken far longer than calls there take. Who avoids
//! whom when too few are left is the balance's to say.

use std::time::Duration;

/// A moment, as the time since the engine began.
pub(crate) type Moment = Duration;

/// What a failed call counts as, so that a replica that fails fast does not look quick.
const FAILURE_PENALTY_US: u64 = 5_000_000;

/// Strikes in a row after which a replica is out.
const STRIKES: u32 = 3;

/// A call given up before is no news: clients go for many reasons.
const SILENCE_US: u64 = 100_000;

/// So many times as long as calls take is too long.
const TOO_LONG: u64 = 4;

/// How long a replica is out the first time, and the longest it gets by doubling.
const OUT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With an answer.
    Answered,
    /// Without one.
    Failed,
    /// Nobody waited for it any more.
    Abandoned,
    /// It never reached the replica.
    Unmade,
}

/// Whether a replica is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// As any other.
    In,
    /// One call may find out whether it answers again.
    OnTrial,
    /// Not while others can be.
    Out,
}

/// What is known of one replica.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    in_flight: u32,
    /// Moving average of a call's time, microseconds; 0 as long as there is none.
    average_us: u64,
    learned: Moment,
    strikes: u32,
    out: Option<Out>,
}

#[derive(Debug, Clone, Copy)]
struct Out {
    until: Moment,
    time: Duration,
}

impl Standing {
    /// A call goes out.
    pub fn began(&mut self) {
        self.in_flight += 1;
    }

    /// A call that was out has ended so, after this time.
    pub fn ended(&mut self, ending: Ending, took: Duration, now: Moment) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let average = self.average_us(now);
        match ending {
            Ending::Unmade => {}
            Ending::Answered => {
                (self.strikes, self.out) = (0, None);
                self.learn(us, now);
            }
            Ending::Failed => {
                self.learn(FAILURE_PENALTY_US, now);
                self.strike(now);
            }
            Ending::Abandoned => {
                // It would have taken at least as long.
                if us > average {
                    (self.average_us, self.learned) = (us, now);
                }
                if us >= SILENCE_US && us > average.saturating_mul(TOO_LONG) {
                    self.strike(now);
                }
            }
        }
    }

    fn learn(&mut self, us: u64, now: Moment) {
        let before = self.average_us(now);
        self.learned = now;
        self.average_us = if before == 0 { us } else { (before - before / 8 + us / 8).max(1) };
    }

    fn strike(&mut self, now: Moment) {
        self.strikes += 1;
        let time = match self.out {
            Some(out) if now >= out.until => (out.time * 2).min(OUT.1),
            // Calls of before it was out are no further news.
            Some(_) => return,
            None if self.strikes >= STRIKES => OUT.0,
            None => return,
        };
        self.out = Some(Out { until: now + time, time });
    }

    /// Whether it is called now.
    pub fn place(&self, now: Moment) -> Place {
        match self.out {
            None => Place::In,
            Some(out) if now >= out.until && self.in_flight == 0 => Place::OnTrial,
            Some(_) => Place::Out,
        }
    }

    /// The average, halved for every second without news: one that failed is tried again after a while. `None` as long as
    /// nothing is known.
    pub fn average(&self, now: Moment) -> Option<u64> {
        (self.average_us > 0).then(|| self.average_us(now).max(1))
    }

    fn average_us(&self, now: Moment) -> u64 {
        self.average_us >> now.saturating_sub(self.learned).as_secs().min(63)
    }

    /// What a further call would cost: calls out × average time, where an unknown one is as quick as the others are.
    pub fn cost(&self, now: Moment, others_us: u64) -> u64 {
        u64::from(self.in_flight + 1).saturating_mul(self.average(now).unwrap_or(others_us))
    }

    /// Failures in a row.
    pub fn strikes(&self) -> u32 {
        self.strikes
    }

    /// Calls that are out.
    #[cfg(test)]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn ended(standing: &mut Standing, ending: Ending, took: Duration, now: Moment) {
        standing.began();
        standing.ended(ending, took, now);
    }

    #[test]
    fn an_average_moves_by_an_eighth_and_is_halved_by_every_second_without_news() {
        let mut standing = Standing::default();
        assert_eq!(standing.average(SECOND), None);
        ended(&mut standing, Ending::Answered, MS, SECOND);
        assert_eq!(standing.average(SECOND), Some(1_000));
        ended(&mut standing, Ending::Answered, 9 * MS, SECOND);
        assert_eq!(standing.average(SECOND), Some(2_000));
        assert_eq!(standing.average(2 * SECOND), Some(1_000));
        ended(&mut standing, Ending::Failed, MS, SECOND);
        assert_eq!(standing.average(SECOND), Some(2_000 - 250 + FAILURE_PENALTY_US / 8));
    }

    #[test]
    fn what_was_not_waited_for_teaches_how_long_it_was_at_least() {
        let mut standing = Standing::default();
        ended(&mut standing, Ending::Answered, MS, SECOND);
        ended(&mut standing, Ending::Abandoned, 400 * MS, SECOND);
        assert_eq!(standing.average(SECOND), Some(400_000));
        ended(&mut standing, Ending::Abandoned, MS, SECOND);
        assert_eq!(standing.average(SECOND), Some(400_000), "one given up early is no quick one");
    }

    #[test]
    fn three_strikes_in_a_row_and_it_is_out_and_a_trial_decides() {
        let mut standing = Standing::default();
        for _ in 0..2 {
            ended(&mut standing, Ending::Failed, MS, SECOND);
        }
        ended(&mut standing, Ending::Answered, MS, SECOND);
        for _ in 0..2 {
            ended(&mut standing, Ending::Failed, MS, SECOND);
            assert_eq!(standing.place(SECOND), Place::In);
        }
        ended(&mut standing, Ending::Failed, MS, SECOND);
        assert_eq!(standing.place(3 * SECOND - MS), Place::Out);
        assert_eq!(standing.place(3 * SECOND), Place::OnTrial);
        standing.began();
        assert_eq!(standing.place(3 * SECOND), Place::Out, "one call at a time");
        standing.ended(Ending::Failed, MS, 3 * SECOND);
        assert_eq!(standing.place(7 * SECOND - MS), Place::Out, "for twice as long");
        ended(&mut standing, Ending::Answered, MS, 7 * SECOND);
        assert_eq!(standing.place(7 * SECOND), Place::In);
    }

    #[test]
    fn clients_that_go_early_or_wait_as_long_as_it_takes_are_no_strikes() {
        let mut standing = Standing::default();
        ended(&mut standing, Ending::Answered, 200 * MS, SECOND);
        for _ in 0..9 {
            ended(&mut standing, Ending::Abandoned, 50 * MS, SECOND);
            ended(&mut standing, Ending::Abandoned, 700 * MS, SECOND);
            ended(&mut standing, Ending::Unmade, MS, SECOND);
        }
        assert_eq!(standing.place(SECOND), Place::In);
    }

    proptest! {
        #[test]
        fn nothing_is_out_for_longer_than_the_longest_time(
            calls in prop::collection::vec((0..4_u8, 0..3_000_u64, 0..5_000_u64), 0..200)
        ) {
            let mut standing = Standing::default();
            let mut now = Moment::ZERO;
            for (ending, took, pause) in calls {
                now += Duration::from_millis(pause);
                let ending = [Ending::Answered, Ending::Failed, Ending::Abandoned, Ending::Unmade][usize::from(ending)];
                ended(&mut standing, ending, Duration::from_millis(took), now);
                prop_assert_eq!(standing.in_flight(), 0);
                prop_assert_ne!(standing.place(now + OUT.1), Place::Out);
            }
        }
    }
}
