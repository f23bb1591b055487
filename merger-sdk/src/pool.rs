//! Threads for the user's code: a bounded number, apart from the one that reads and writes sockets.
//!
//! Running it on the server's own thread instead would save two thread switches per request but let one long
//! computation hold up `/healthz` and the acceptance of others; so that is what must be asked for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task;

use crate::deadline::Deadline;
use crate::error::AnswerError;

/// Bounds on what goes on at once.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    /// `None`: no threads, the caller's own.
    threads: Option<Arc<Semaphore>>,
    room: Arc<Semaphore>,
}

impl Pool {
    /// At most `in_flight` requests, the user's code running for at most `threads` of them; 0 runs it
    /// where it is asked for.
    pub(crate) fn new(threads: usize, in_flight: usize) -> Self {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS)));
        Self { threads: (threads > 0).then(|| semaphore(threads)), room: semaphore(in_flight) }
    }

    /// Room for one request, for as long as what is returned is held; [`AnswerError::Busy`] when there is none.
    pub(crate) fn admit(&self) -> Result<OwnedSemaphorePermit, AnswerError> {
        Arc::clone(&self.room).try_acquire_owned().map_err(|_| AnswerError::Busy)
    }

    /// Runs `work` on a thread, once one is free and if somebody still waits for it then.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: &Deadline,
        work: impl FnOnce() -> Result<T, AnswerError> + Send + 'static,
    ) -> Result<T, AnswerError> {
        let permit = match &self.threads {
            Some(threads) => Some(Arc::clone(threads).acquire_owned().await.map_err(|_| AnswerError::Busy)?),
            None => None,
        };
        if deadline.abandoned() {
            return Err(AnswerError::Late);
        }
        let Some(permit) = permit else {
            return guarded(work);
        };
        aside(permit, work).await
    }

    /// The same, always on a thread that may wait: without threads of its own, on one beside them.
    pub(crate) async fn run_aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, AnswerError> + Send + 'static,
    ) -> Result<T, AnswerError> {
        let permit = match &self.threads {
            Some(threads) => Some(Arc::clone(threads).acquire_owned().await.map_err(|_| AnswerError::Busy)?),
            None => None,
        };
        aside(permit, work).await
    }
}

/// The permit goes along: work that nobody waits for any more still occupies its thread.
async fn aside<T: Send + 'static>(
    permit: impl Send + 'static,
    work: impl FnOnce() -> Result<T, AnswerError> + Send + 'static,
) -> Result<T, AnswerError> {
    let running = task::spawn_blocking(move || {
        let _permit = permit;
        guarded(work)
    });
    running.await.unwrap_or_else(|_| Err(panicked()))
}

/// Turns a panic into a failure. What the panic may have left half-done is the user's: a request's own state is
/// dropped, and what requests share is behind `&self`, so behind locks, which are poisoned.
fn guarded<T>(work: impl FnOnce() -> Result<T, AnswerError>) -> Result<T, AnswerError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> AnswerError {
    AnswerError::Failed("the code that answers panicked".to_owned())
}
