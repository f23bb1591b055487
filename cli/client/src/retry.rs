//! Waiting for a coordinator that is away, and asking again.
//!
//! Only for calls that are harmless twice. A coordinator that restarts is back within seconds; for how long one that is away is
//! waited for, and who is told of it, is its caller's to say.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use longshore_way::Heard;
use tokio::time::Instant;

/// The pauses before the second and each further try: from a tenth of a second to two, each twice the one before.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_factor(2.0)
    .with_max_delay(Duration::from_secs(2))
    .without_max_times();

/// How often it is looked whether anything comes while a call is under way.
const LOOK: Duration = Duration::from_secs(1);

/// From when on silence is told: the connection is probed more often than that, so somebody alive is heard of.
const SILENCE: Duration = Duration::from_secs(8);

/// What somebody who waits is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting<'a> {
    /// Nobody answers, or the connection was lost; it is tried again.
    Away {
        /// For how long.
        since: Duration,
        /// For how long it is waited for.
        bound: Duration,
        /// Why.
        why: &'a str,
    },
    /// The connection is there, and nothing comes.
    Silent {
        /// For how long.
        since: Duration,
    },
    /// It answers again.
    Back {
        /// How long it was away.
        after: Duration,
    },
}

/// For how long a coordinator is waited for that is away, and who is told.
#[derive(Clone)]
pub struct Patience {
    first: Duration,
    bound: Duration,
    tell: Arc<dyn Fn(Waiting<'_>) + Send + Sync>,
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patience").field("first", &self.first).field("bound", &self.bound).finish_non_exhaustive()
    }
}

impl Default for Patience {
    /// As long as a restart takes, and nobody is told.
    fn default() -> Self {
        Self::new(Duration::from_secs(12), |_| {})
    }
}

impl Patience {
    /// For so long after the first failure; `tell` is called at each try that failed, and each second in which nothing comes.
    pub fn new(bound: Duration, tell: impl Fn(Waiting<'_>) + Send + Sync + 'static) -> Self {
        Self { first: bound, bound, tell: Arc::new(tell) }
    }

    /// The same, but a coordinator that has not answered yet is waited for only so long: perhaps there is none.
    pub fn at_first(self, first: Duration) -> Self {
        Self { first, ..self }
    }

    /// For a coordinator that has not answered yet.
    pub(crate) fn before_the_first_answer(&self) -> Self {
        Self { bound: self.first, ..self.clone() }
    }

    /// Calls until it succeeds, fails for good, or has failed for too long.
    pub(crate) async fn again<T, E, F>(&self, heard: Option<&Heard>, mut call: impl FnMut() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: Transient,
    {
        let mut trouble = Trouble::default();
        loop {
            match self.listening(heard, call()).await {
                Ok(done) => {
                    trouble.over(self);
                    return Ok(done);
                }
                Err(error) => trouble.met(self, error).await?,
            }
        }
    }

    /// Waits for an answer, and tells when nothing comes.
    pub(crate) async fn listening<T>(&self, heard: Option<&Heard>, call: impl Future<Output = T>) -> T {
        let Some(heard) = heard else { return call.await };
        let mut call = std::pin::pin!(call);
        loop {
            match tokio::time::timeout(LOOK, &mut call).await {
                Ok(done) => return done,
                Err(_) if heard.ago() >= SILENCE => (self.tell)(Waiting::Silent { since: heard.ago() }),
                Err(_) => {}
            }
        }
    }
}

/// A coordinator that is away, for how long, and the pauses between tries.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Option<(Instant, backon::ExponentialBackoff)>);

impl Trouble {
    /// Waits before the next try.
    ///
    /// # Errors
    /// The same, if it does not pass by itself, or has not for too long.
    pub async fn met<E: Transient>(&mut self, patience: &Patience, error: E) -> Result<(), E> {
        if !error.is_transient() {
            return Err(error);
        }
        let (since, pauses) = self.0.get_or_insert_with(|| (Instant::now(), PAUSES.build()));
        let left = patience.bound.saturating_sub(since.elapsed());
        if left.is_zero() {
            return Err(error);
        }
        (patience.tell)(Waiting::Away { since: since.elapsed(), bound: patience.bound, why: &error.why() });
        tokio::time::sleep(pauses.next().unwrap_or(LOOK).min(left)).await;
        Ok(())
    }

    /// It answers again.
    pub fn over(&mut self, patience: &Patience) {
        if let Some((since, _)) = self.0.take() {
            (patience.tell)(Waiting::Back { after: since.elapsed() });
        }
    }
}

/// An error that may pass by itself.
pub(crate) trait Transient {
    /// Whether asking again, unchanged, is reasonable.
    fn is_transient(&self) -> bool;

    /// What it is, in a line.
    fn why(&self) -> String;
}

impl Transient for crate::CallError {
    fn is_transient(&self) -> bool {
        crate::CallError::is_transient(self)
    }

    fn why(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, sync::Mutex};

    use super::*;

    /// An error that passes, or does not.
    #[derive(Debug, PartialEq)]
    struct Fault {
        passes: bool,
    }

    impl Transient for Fault {
        fn is_transient(&self) -> bool {
            self.passes
        }

        fn why(&self) -> String {
            "a fault".to_owned()
        }
    }

    /// How a call ends that fails so often, by somebody who waits for a minute; how long that took, and what was told.
    async fn called(failures: u32, passes: bool) -> (Result<(), Fault>, Duration, Vec<String>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let into = told.clone();
        let tell = move |waiting: Waiting<'_>| into.lock().unwrap().push(format!("{waiting:?}"));
        let (calls, begun) = (Cell::new(0), Instant::now());
        let patience = Patience::new(Duration::from_secs(60), tell);
        let ended = patience.again(None, || {
            calls.set(calls.get() + 1);
            std::future::ready(if calls.get() > failures { Ok(()) } else { Err(Fault { passes }) })
        });
        let ended = ended.await;
        let told = told.lock().unwrap().clone();
        (ended, begun.elapsed(), told)
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_that_passes_is_waited_for_and_told() {
        let (ended, _, told) = called(0, true).await;
        assert!(ended.is_ok() && told.is_empty(), "{told:?}");
        let (ended, took, told) = called(8, true).await;
        assert_eq!(ended, Ok(()));
        assert!(took < Duration::from_secs(10), "{took:?}");
        assert!(told.len() == 9 && told[0].contains("a fault") && told[8].starts_with("Back"), "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_that_does_not_pass_is_given_up_after_the_bound() {
        let (ended, took, _) = called(u32::MAX, true).await;
        assert_eq!(ended, Err(Fault { passes: true }));
        assert!((Duration::from_secs(60)..Duration::from_secs(61)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_that_stays_is_told_at_once() {
        let (ended, took, told) = called(1, false).await;
        assert_eq!((ended, took, told), (Err(Fault { passes: false }), Duration::ZERO, Vec::new()));
    }
}
