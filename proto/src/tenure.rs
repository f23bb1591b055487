//! How long a worker may count on the coordinator to count on it.
//!
//! The coordinator's lease runs from the newest answer to a heartbeat that it knows to have arrived. A worker works out the
//! same from its own end, from times before those, and stops counting on it a third of the lease earlier: so it holds itself
//! alone before the coordinator can give anything of it to others. The clocks of both need not agree, only go alike.
//!
//! It says nothing of a coordinator that starts anew, or lets another life of the worker in: what must be one in the whole
//! cluster is given away only a lease after either.

use std::{collections::VecDeque, time::Duration};

/// Heartbeats that are remembered while their answers may come.
const SAID: usize = 32;

/// What a worker works out. Times are of its own clock, which must go on while the machine is suspended.
#[derive(Debug, Default)]
pub struct Tenure {
    lease: Duration,
    said: VecDeque<Said>,
    /// The newest number that was said on the link that is up.
    newest: u64,
    /// The newest number that was answered.
    answered: u64,
    until: Option<Duration>,
}

/// A hello (number 0) or a heartbeat.
#[derive(Debug, Clone, Copy)]
struct Said {
    number: u64,
    at: Duration,
    /// When that was said of which the coordinator knows from this that the answer has arrived.
    proves: Duration,
}

impl Tenure {
    /// A hello is about to be sent on a new link.
    pub fn says_hello(&mut self, now: Duration) {
        *self = Self { until: self.until, ..Self::default() };
        self.said.push_back(Said { number: 0, at: now, proves: now });
    }

    /// The hello was answered, with the length of the lease.
    pub fn welcomed(&mut self, lease: Duration) {
        self.lease = lease;
        self.answered(0);
    }

    /// A heartbeat is about to be sent; answers its number, and the newest that was answered.
    pub fn says_heartbeat(&mut self, now: Duration) -> (u64, u64) {
        self.newest += 1;
        let (number, answered) = (self.newest, self.answered);
        let proves = self.said.iter().find(|said| said.number == answered).map_or(Duration::ZERO, |said| said.at);
        if self.said.len() >= SAID {
            // What was answered last is told of as long as nothing newer is.
            let gone = usize::from(self.said.front().is_some_and(|said| said.number == answered));
            self.said.remove(gone);
        }
        self.said.push_back(Said { number, at: now, proves });
        (number, answered)
    }

    /// The heartbeat of that number was answered.
    pub fn answered(&mut self, number: u64) {
        let Some(said) = self.said.iter().find(|said| said.number == number).copied() else { return };
        self.answered = self.answered.max(number);
        let oldest = self.answered;
        self.said.retain(|said| said.number >= oldest);
        self.until = self.until.max(Some(said.proves + self.lease * 2 / 3));
    }

    /// The coordinator has said that it does not count on this worker.
    pub fn ends(&mut self) {
        self.until = None;
    }

    /// Until when the coordinator counts on this worker at least, if it ever did.
    #[must_use]
    pub fn until(&self) -> Option<Duration> {
        self.until
    }

    /// Whether it does now.
    #[must_use]
    pub fn is_kept(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(9);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// One that was welcome to a hello at 100 s.
    fn welcome() -> Tenure {
        let mut tenure = Tenure::default();
        tenure.says_hello(s(100));
        tenure.welcomed(LEASE);
        tenure
    }

    #[test]
    fn it_is_over_two_thirds_of_a_lease_after_the_hello_was_sent() {
        assert_eq!(Tenure::default().until(), None);
        let tenure = welcome();
        assert_eq!(tenure.until(), Some(s(106)));
        assert!(tenure.is_kept(s(105)) && !tenure.is_kept(s(106)));
    }

    #[test]
    fn it_counts_from_what_the_coordinator_knows_to_have_been_answered() {
        let mut tenure = welcome();
        assert_eq!(tenure.says_heartbeat(s(101)), (1, 0));
        tenure.answered(1);
        assert_eq!(tenure.until(), Some(s(106)), "the coordinator does not know that it was answered");
        assert_eq!(tenure.says_heartbeat(s(102)), (2, 1));
        tenure.answered(2);
        assert_eq!(tenure.until(), Some(s(107)), "two thirds from when the first was sent");
    }

    #[test]
    fn heartbeats_that_nobody_answers_prolong_nothing_nor_do_answers_to_nothing() {
        let mut tenure = welcome();
        for number in 1..=100 {
            assert_eq!(tenure.says_heartbeat(s(101)), (number, 0));
            tenure.answered(101);
            tenure.answered(u64::MAX);
        }
        assert!(tenure.said.len() <= SAID);
        tenure.answered(100);
        assert_eq!(tenure.until(), Some(s(106)), "it told of the hello only");
        assert_eq!(tenure.says_heartbeat(s(105)), (101, 100));
        tenure.answered(101);
        assert_eq!(tenure.until(), Some(s(107)));
    }

    #[test]
    fn numbers_begin_anew_on_each_link_and_what_is_kept_stays() {
        let mut tenure = welcome();
        tenure.says_heartbeat(s(101));
        tenure.says_hello(s(104));
        tenure.answered(1);
        assert_eq!(tenure.until(), Some(s(106)), "there was no such heartbeat on this link");
        tenure.welcomed(LEASE);
        assert_eq!((tenure.until(), tenure.says_heartbeat(s(105))), (Some(s(110)), (1, 0)));
        tenure.ends();
        assert!(!tenure.is_kept(s(105)));
    }
}
