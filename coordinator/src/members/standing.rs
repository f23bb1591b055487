//! How long somebody is known: whatever they have opened ends with it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{sync::watch, time::sleep};

/// Longest sleep until the wall clock is looked at again: it may have been set.
const LOOK: Duration = Duration::from_secs(60);

/// For whoever lets somebody in: until when they are known. Dropped, they are known no more.
#[derive(Debug)]
pub struct Term {
    end_ms: watch::Sender<u64>,
    /// Connections on which they are known.
    seats: Arc<AtomicUsize>,
}

impl Term {
    /// Until then, unix milliseconds; 0 means for ever.
    pub fn until(end_ms: u64) -> Self {
        Self { end_ms: watch::Sender::new(end(end_ms)), seats: Arc::default() }
    }

    /// From now on until then, unix milliseconds; 0 means for ever.
    pub fn set(&self, end_ms: u64) {
        self.end_ms.send_replace(end(end_ms));
    }

    /// They are known no more.
    pub fn end(&self) {
        self.end_ms.send_replace(0);
    }

    /// What they are let in on.
    pub fn standing(&self) -> Standing {
        Standing { end_ms: self.end_ms.subscribe(), seats: Arc::clone(&self.seats) }
    }
}

fn end(end_ms: u64) -> u64 {
    if end_ms == 0 { u64::MAX } else { end_ms }
}

/// How long whoever has made a request is known. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Standing {
    end_ms: watch::Receiver<u64>,
    seats: Arc<AtomicUsize>,
}

/// A connection that is counted as theirs, until this is dropped.
#[derive(Debug)]
pub struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Standing {
    /// Whether they are known still.
    pub fn stands(&self) -> bool {
        *self.end_ms.borrow() > now_ms() && self.end_ms.has_changed().is_ok()
    }

    /// Whether both are of the same token or member.
    pub fn is_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.seats, &other.seats)
    }

    /// Counts another connection as theirs; `None` if there are so many already.
    pub fn seat(&self, most: usize) -> Option<Seat> {
        let more = |taken| (taken < most).then_some(taken + 1);
        self.seats.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Seat(Arc::clone(&self.seats)))
    }

    /// Until they are known no more.
    pub async fn ended(mut self) {
        loop {
            let left_ms = self.end_ms.borrow_and_update().saturating_sub(now_ms());
            if left_ms == 0 {
                return;
            }
            tokio::select! {
                () = sleep(Duration::from_millis(left_ms).min(LOOK)) => {}
                changed = self.end_ms.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    }
}

/// The wall clock, unix milliseconds.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn it_ends_when_it_is_ended_or_forgotten_or_its_time_has_come() {
        let (ended, forgotten) = (Term::until(0), Term::until(0));
        let standings = [ended.standing(), forgotten.standing()];
        assert!(standings.iter().all(|standing| standing.clone().ended().now_or_never().is_none()));
        ended.end();
        drop(forgotten);
        for standing in standings {
            standing.ended().await;
        }
        Term::until(now_ms() + 20).standing().ended().await;
        assert!(Term::until(1).standing().ended().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_term_that_is_made_shorter_or_longer_counts_at_once() {
        let term = Term::until(0);
        let standing = term.standing();
        let waiting = tokio::spawn(standing.clone().ended());
        term.set(now_ms() + 10);
        waiting.await.unwrap();
        term.set(0);
        assert!(standing.ended().now_or_never().is_none());
    }
}
