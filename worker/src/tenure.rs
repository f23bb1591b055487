//! Whether the coordinator counts on this worker, by CLOCK_BOOTTIME, which goes on while the machine is suspended.
//!
//! What runs goes on without it: an attempt that runs twice commits once. This is for what must be one in the whole cluster:
//! whoever keeps such a thing asks [`Tenure::is_kept`] before each use of it, and ends it when [`Tenure::watch`] says so. How
//! long it lasts, both ends agree on: see [`longshore_proto::tenure`].

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::{sync::watch, time::sleep};

/// How often it is looked whether the time is over, at least: timers do not run while a machine is suspended.
const LOOK: Duration = Duration::from_millis(250);

/// The time since the machine was started, suspended or not.
pub trait Clock: Send + Sync {
    /// It.
    fn now(&self) -> Duration;
}

/// CLOCK_BOOTTIME of the kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct Boottime;

impl Clock for Boottime {
    fn now(&self) -> Duration {
        let now = clock_gettime(ClockId::Boottime);
        // It is never before the start.
        Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
    }
}

/// Whether the coordinator counts on this worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does, until then at least.
    Kept {
        /// On the clock.
        until: Duration,
    },
    /// It may not.
    Alone,
}

/// One worker's tenure.
#[derive(Debug)]
pub struct Tenure<C = Boottime> {
    clock: C,
    terms: Mutex<longshore_proto::Tenure>,
    standing: watch::Sender<Standing>,
}

impl<C: Clock> Tenure<C> {
    /// Of a worker that was never welcome.
    pub fn new(clock: C) -> Self {
        Self { clock, terms: Mutex::default(), standing: watch::Sender::new(Standing::Alone) }
    }

    fn terms(&self) -> MutexGuard<'_, longshore_proto::Tenure> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A hello is about to be sent on a new link.
    pub(crate) fn says_hello(&self) {
        self.terms().says_hello(self.clock.now());
    }

    /// The hello was answered, with the length of the lease.
    pub(crate) fn welcomed(&self, lease: Duration) {
        self.terms().welcomed(lease);
        self.look();
    }

    /// A heartbeat is about to be sent; answers its number, and the newest that was answered.
    pub(crate) fn says_heartbeat(&self) -> (u64, u64) {
        self.terms().says_heartbeat(self.clock.now())
    }

    /// The heartbeat of that number was answered.
    pub(crate) fn answered(&self, number: u64) {
        self.terms().answered(number);
        self.look();
    }

    /// The coordinator has said that it does not count on this worker.
    pub(crate) fn ends(&self) {
        self.terms().ends();
        self.look();
    }

    /// Whether the coordinator counts on this worker, right now.
    pub fn is_kept(&self) -> bool {
        self.terms().is_kept(self.clock.now())
    }

    /// Sees changes. That the time is over is seen a little late; [`Tenure::is_kept`] is exact.
    pub fn watch(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Looks how it stands; answers how long that is so at least.
    fn look(&self) -> Option<Duration> {
        let (until, now) = (self.terms().until(), self.clock.now());
        let until = until.filter(|until| now < *until);
        let standing = until.map_or(Standing::Alone, |until| Standing::Kept { until });
        self.standing.send_if_modified(|known| {
            match (*known, standing) {
                (Standing::Alone, Standing::Kept { .. }) => tracing::info!("the coordinator counts on this worker"),
                (Standing::Kept { .. }, Standing::Alone) => {
                    tracing::warn!("the coordinator may not count on this worker any more; what runs goes on, alone");
                }
                _ => {}
            }
            std::mem::replace(known, standing) != standing
        });
        until.map(|until| until - now)
    }

    /// Looks again and again. Does not end.
    pub(crate) async fn keep_watch(&self) {
        loop {
            sleep(self.look().map_or(LOOK, |left| left.min(LOOK))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::Relaxed))
        }
    }

    const LEASE: Duration = Duration::from_millis(9_000);

    fn goes(tenure: &Tenure<Hand>, ms: u64) {
        tenure.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    #[test]
    fn whoever_asks_knows_at_once_that_it_is_over_and_whoever_watches_when_somebody_has_looked() {
        let tenure = Tenure::new(Hand::default());
        goes(&tenure, 100_000);
        let mut watch = tenure.watch();
        assert_eq!((tenure.is_kept(), *watch.borrow()), (false, Standing::Alone));
        tenure.says_hello();
        goes(&tenure, 500);
        tenure.welcomed(LEASE);
        let until = Duration::from_millis(106_000);
        assert_eq!((tenure.is_kept(), *watch.borrow_and_update()), (true, Standing::Kept { until }));
        goes(&tenure, 5_499);
        assert_eq!((tenure.look(), watch.has_changed().unwrap()), (Some(Duration::from_millis(1)), false));
        goes(&tenure, 60_000);
        assert!(!tenure.is_kept() && !watch.has_changed().unwrap());
        assert_eq!((tenure.look(), *watch.borrow_and_update()), (None, Standing::Alone));
    }

    #[test]
    fn an_answer_after_a_long_sleep_of_the_machine_makes_nothing_kept() {
        let tenure = Tenure::new(Hand::default());
        tenure.says_hello();
        tenure.welcomed(LEASE);
        let (number, _) = tenure.says_heartbeat();
        goes(&tenure, 60_000);
        tenure.answered(number);
        assert_eq!((tenure.is_kept(), *tenure.watch().borrow()), (false, Standing::Alone));
    }

    #[test]
    fn who_is_told_that_another_has_its_place_is_alone_at_once() {
        let tenure = Tenure::new(Hand::default());
        tenure.says_hello();
        tenure.welcomed(LEASE);
        let mut watch = tenure.watch();
        watch.borrow_and_update();
        tenure.ends();
        assert!(watch.has_changed().unwrap() && !tenure.is_kept());
    }

    #[test]
    fn the_kernels_clock_goes() {
        let first = Boottime.now();
        assert!(first > Duration::ZERO && Boottime.now() >= first);
    }
}
