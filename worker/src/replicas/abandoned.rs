//! Work that goes on when nobody waits for it any more, until whoever does it has ended.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use crate::contract::http::Hangup;

/// So long after its time a server's answer is waited for that nobody wants. Whoever takes longer has lost its place, and the
/// connection.
const LINGER: Duration = Duration::from_secs(10);

/// A call of a server. Dropped, the server is told, and what the call holds is held until the server is done with it.
pub(super) struct Work<T: Send + 'static> {
    work: Option<BoxFuture<'static, T>>,
    hangup: Hangup,
    until: Instant,
    /// Counts those that were not even done then.
    overdue: Arc<AtomicUsize>,
}

impl<T: Send + 'static> Work<T> {
    /// Work that has time until then, on whose line `hangup` is. `overdue` counts it if it is not done long after.
    pub(super) fn new(work: BoxFuture<'static, T>, hangup: Hangup, until: Instant, overdue: &Arc<AtomicUsize>) -> Self {
        Self { work: Some(work), hangup, until, overdue: Arc::clone(overdue) }
    }
}

impl<T: Send + 'static> Future for Work<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let done = work.as_mut().poll(context);
        if done.is_ready() {
            self.work = None;
        }
        done
    }
}

impl<T: Send + 'static> Drop for Work<T> {
    fn drop(&mut self) {
        let (Some(work), Ok(runtime)) = (self.work.take(), Handle::try_current()) else { return };
        self.hangup.hang_up();
        let until = self.until + LINGER;
        let overdue = Arc::clone(&self.overdue);
        runtime.spawn(async move {
            if timeout_at(until, work).await.is_err() {
                overdue.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How long something is held by work that takes so long and is given up at once.
    async fn held(takes: Duration) -> Duration {
        let (held, began) = (Arc::new(()), Instant::now());
        let own = Arc::clone(&held);
        let work = Box::pin(async move {
            tokio::time::sleep(takes).await;
            drop(own);
        });
        let until = began + 2 * SECOND;
        drop(tokio::time::timeout(SECOND, Work::new(work, Hangup::default(), until, &Arc::default())).await);
        while Arc::strong_count(&held) > 1 {
            tokio::time::sleep(SECOND / 10).await;
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_up_holds_its_place_until_it_has_ended_but_not_for_ever() {
        assert_eq!(held(SECOND / 2).await, SECOND / 2);
        let four = held(4 * SECOND).await;
        assert!(four >= 4 * SECOND && four < 5 * SECOND, "{four:?}");
        let given_up = held(1_000 * SECOND).await;
        assert!(given_up >= 12 * SECOND && given_up < 13 * SECOND, "{given_up:?}");
    }
}
