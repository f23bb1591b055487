//! The turns of queries: each service has its own, within those of all, and waits for them for a while.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use longshore_core::ServiceName;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use crate::{error::Error, limits};

/// Turns of all services.
pub struct Admission {
    began: Instant,
    state: Mutex<State>,
}

struct State {
    places: longshore_root::Admission<ServiceName>,
    waiting: HashMap<ServiceName, VecDeque<oneshot::Sender<Turn>>>,
}

/// A query's turn, until it is dropped.
pub struct Turn {
    admission: Arc<Admission>,
    service: ServiceName,
    late: bool,
}

impl Turn {
    /// The query ran out of time.
    pub fn was_late(&mut self) {
        self.late = true;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let admission = Arc::clone(&self.admission);
        let now = admission.began.elapsed();
        let mut state = admission.lock();
        state.places.leave(&self.service, self.late, now);
        let next = state.next(&admission, now);
        drop(state);
        for (waiting, turn) in next {
            // Whoever has gone gives its turn back by dropping it.
            let _ = waiting.send(turn);
        }
    }
}

impl State {
    /// Those that may begin now: one of each service, as long as there are any.
    fn next(&mut self, admission: &Arc<Admission>, now: Duration) -> Vec<(oneshot::Sender<Turn>, Turn)> {
        let mut next = Vec::new();
        loop {
            let before = next.len();
            for (service, waiting) in &mut self.waiting {
                while waiting.front().is_some_and(oneshot::Sender::is_closed) {
                    waiting.pop_front();
                }
                if waiting.is_empty() || !self.places.enter(service, now) {
                    continue;
                }
                let turn = Turn { admission: Arc::clone(admission), service: service.clone(), late: false };
                next.extend(waiting.pop_front().map(|waiting| (waiting, turn)));
            }
            self.waiting.retain(|_, waiting| !waiting.is_empty());
            if next.len() == before {
                return next;
            }
        }
    }
}

impl Admission {
    /// As many as [`limits`] says.
    pub fn new() -> Arc<Self> {
        let places = longshore_root::Admission::new(limits::QUERIES);
        Arc::new(Self { began: Instant::now(), state: Mutex::new(State { places, waiting: HashMap::new() }) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn of a query, which is waited for at most so long.
    ///
    /// # Errors
    /// When it has not come by then, or too many wait for one already.
    pub async fn turn(self: &Arc<Self>, service: &ServiceName, wait: Duration) -> Result<Turn, Error> {
        let waiting = {
            let mut state = self.lock();
            let is_first = !state.waiting.contains_key(service);
            if is_first && state.places.enter(service, self.began.elapsed()) {
                return Ok(Turn { admission: Arc::clone(self), service: service.clone(), late: false });
            }
            let under_way = state.places.under_way(service);
            let queue = state.waiting.entry(service.clone()).or_default();
            queue.retain(|waiting| !waiting.is_closed());
            if queue.len() >= limits::QUERIES_WAITING {
                return Err(busy(service, under_way, queue.len()));
            }
            let (waiting, turn) = oneshot::channel();
            queue.push_back(waiting);
            turn
        };
        match timeout(wait, waiting).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(busy(service, self.lock().places.under_way(service), 0)),
        }
    }
}

fn busy(service: &ServiceName, under_way: usize, waiting: usize) -> Error {
    let waiting = if waiting > 0 { format!(", and {waiting} wait for their turn") } else { String::new() };
    Error::busy(format!(
        "service {:?} has {under_way} queries under way{waiting}; ask again in a moment, or give it more replicas",
        service.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn named(name: &str) -> ServiceName {
        ServiceName::in_default(name)
    }

    async fn fill(admission: &Arc<Admission>, service: &ServiceName) -> Vec<Turn> {
        let mut held = Vec::new();
        while let Ok(turn) = admission.turn(service, Duration::ZERO).await {
            held.push(turn);
        }
        held
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_is_full_waits_for_itself_and_no_other_waits_for_it() {
        let admission = Admission::new();
        let (full, idle) = (named("full"), named("idle"));
        let mut held = fill(&admission, &full).await;
        assert_eq!(held.len(), limits::QUERIES / 2);
        drop(admission.turn(&idle, Duration::ZERO).await.unwrap());
        let (waits, service) = (Arc::clone(&admission), full.clone());
        let waiting = tokio::spawn(async move { waits.turn(&service, SECOND).await.map(drop) });
        tokio::task::yield_now().await;
        held.pop();
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_and_who_has_gone_takes_nobodys_turn() {
        let admission = Admission::new();
        let full = named("full");
        let mut held = fill(&admission, &full).await;
        let began = Instant::now();
        let told = admission.turn(&full, SECOND).await.map(drop).unwrap_err().to_string();
        assert_eq!(began.elapsed(), SECOND);
        assert!(told.contains("128 queries under way"), "{told}");
        for _ in 0..1_000 {
            drop(timeout(Duration::ZERO, admission.turn(&full, SECOND)).await);
        }
        held.pop();
        drop(admission.turn(&full, Duration::ZERO).await.unwrap());
    }
}
