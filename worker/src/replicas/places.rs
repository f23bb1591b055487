//! The places of a replica: as many calls as it works on at once, and the queue before them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use longshore_root::CallError;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// Calls that may wait for a place.
const WAITING: usize = 256;

/// A place, until it is dropped: by whoever knows that the work has ended, not by whoever waits for it.
pub(super) type Place = OwnedSemaphorePermit;

/// All places of a replica.
pub(super) struct Places {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Places {
    /// So many.
    pub(super) fn new(count: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(count as usize)), waiting: AtomicUsize::new(0) }
    }

    /// Whether nobody is at work and nobody waits.
    pub(super) fn are_free(&self, count: u32) -> bool {
        self.free.available_permits() == count as usize
    }

    /// The next place, in the order of asking. Dropped, nobody waits any more.
    ///
    /// # Errors
    /// When too many wait already, or time is over first: then nothing of the call has reached the replica.
    pub(super) async fn take(&self, until: Instant) -> Result<Place, CallError> {
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(place);
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= WAITING {
            return Err(CallError::Busy(format!("{WAITING} calls wait for it already")));
        }
        match timeout_at(until, Arc::clone(&self.free).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_closed)) => Err(CallError::Away("its container has ended".to_owned())),
            Err(_elapsed) => Err(CallError::Busy("no place came free in time".to_owned())),
        }
    }

    /// Nobody is given a place any more.
    pub(super) fn close(&self) {
        self.free.close();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_bounded_and_who_has_gone_does_not_count() {
        let places = Arc::new(Places::new(1));
        let until = Instant::now() + SECOND;
        let held = places.take(until).await.unwrap();
        assert!(!places.are_free(1));
        let waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                let places = Arc::clone(&places);
                tokio::spawn(async move { places.take(until).await.map(drop) })
            })
            .collect();
        tokio::time::sleep(SECOND / 10).await;
        assert!(matches!(places.take(until).await, Err(CallError::Busy(_))));
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        tokio::time::sleep(SECOND / 10).await;
        drop(held);
        drop(places.take(until).await.unwrap());
        assert!(places.are_free(1));
    }

    #[tokio::test(start_paused = true)]
    async fn when_time_is_over_it_is_not_waited_for() {
        let places = Places::new(1);
        let _held = places.take(Instant::now()).await.unwrap();
        let began = Instant::now();
        assert!(places.take(began + SECOND).await.is_err());
        assert_eq!(began.elapsed(), SECOND);
        places.close();
        assert!(matches!(places.take(began + 2 * SECOND).await, Err(CallError::Away(_))));
    }
}
