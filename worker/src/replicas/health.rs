//! Whether a server that was ready still is.
//!
//! ```text
//! well ──twice no──► unwell: no calls ──yes──► well
//!                      └──no for 15 s──► stuck: it is ended, and started again
//! ```
//!
//! A server may be too busy to answer: silence counts only where it has nothing to do, or has not answered a call long after
//! its time. What it says itself always counts.

use std::time::Duration;

use tokio::time::Instant;

use crate::contract::http::Health;

/// Pause between two looks.
pub(super) const LOOK: Duration = Duration::from_secs(3);

/// Looks in a row that tell of trouble, after which no calls are made.
const LOOKS: u32 = 2;

/// Trouble for so long has no end of its own.
const STUCK: Duration = Duration::from_secs(15);

/// How a server is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// It takes calls.
    Well,
    /// It takes none, for this reason.
    Unwell(String),
    /// It has to be started again, for this reason.
    Stuck(String),
}

/// What was seen of a server since it was well.
#[derive(Debug, Default)]
pub(super) struct Checkup {
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    since: Instant,
    looks: u32,
}

impl Checkup {
    /// Takes in what was seen. `may_be_busy`: the server works on something whose time is not over.
    pub(super) fn look(&mut self, health: Health, may_be_busy: bool, now: Instant) -> Condition {
        let why = match health {
            Health::Well => {
                self.trouble = None;
                return Condition::Well;
            }
            Health::Silent(_) if may_be_busy => {
                self.trouble = None;
                return Condition::Well;
            }
            Health::Unwell(why) | Health::Silent(why) => why,
        };
        let trouble = self.trouble.get_or_insert(Trouble { since: now, looks: 0 });
        trouble.looks += 1;
        if now.duration_since(trouble.since) >= STUCK {
            Condition::Stuck(format!("{why}, for {}s", now.duration_since(trouble.since).as_secs()))
        } else if trouble.looks >= LOOKS {
            Condition::Unwell(why)
        } else {
            Condition::Well
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn no() -> Health {
        Health::Unwell("no".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn one_no_is_none_two_are_trouble_and_in_the_end_it_is_stuck() {
        let (mut checkup, began) = (Checkup::default(), Instant::now());
        assert_eq!(checkup.look(no(), false, began), Condition::Well);
        assert_eq!(checkup.look(no(), true, began + 3 * SECOND), Condition::Unwell("no".to_owned()));
        assert_eq!(checkup.look(Health::Well, false, began + 6 * SECOND), Condition::Well);
        assert_eq!(checkup.look(no(), false, began + 9 * SECOND), Condition::Well, "it begins anew");
        assert_eq!(checkup.look(no(), false, began + 23 * SECOND), Condition::Unwell("no".to_owned()));
        assert_eq!(checkup.look(no(), false, began + 24 * SECOND), Condition::Stuck("no, for 15s".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_of_one_that_may_be_busy_is_no_trouble() {
        let (mut checkup, began) = (Checkup::default(), Instant::now());
        let silent = || Health::Silent("silent".to_owned());
        for look in 0..100 {
            assert_eq!(checkup.look(silent(), true, began + look * SECOND), Condition::Well);
        }
        assert_eq!(checkup.look(silent(), false, began + 100 * SECOND), Condition::Well);
        assert_eq!(checkup.look(silent(), false, began + 101 * SECOND), Condition::Unwell("silent".to_owned()));
    }
}
