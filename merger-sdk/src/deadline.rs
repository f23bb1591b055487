//! How long anybody still waits for an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hyper::HeaderMap;
use longshore_contract::header;

use crate::error::AnswerError;

/// The end of a request's time, and whether the caller has left before it.
#[derive(Debug, Clone)]
pub(crate) struct Deadline {
    /// None when nobody named an end.
    at: Option<Instant>,
    left: Arc<AtomicBool>,
}

impl Deadline {
    /// Reads the deadline of a request that arrives now; without the header, and at most, `longest` from now. A time beyond
    /// what the clock can tell is no end.
    pub(crate) fn of(headers: &HeaderMap, longest: Duration) -> Result<Self, AnswerError> {
        let asked = number(headers, header::TIMEOUT_MS)?.map_or(longest, Duration::from_millis);
        Ok(Self { at: Instant::now().checked_add(asked.min(longest)), left: Arc::default() })
    }

    /// Waits until the time is over.
    pub(crate) async fn over(&self) {
        match self.at {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    }

    /// The time left; [`Duration::MAX`] without an end.
    pub(crate) fn remaining(&self) -> Duration {
        self.at.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
    }

    /// Nobody waits any more.
    pub(crate) fn abandoned(&self) -> bool {
        self.left.load(Ordering::Relaxed) || self.remaining().is_zero()
    }

    /// A guard held by whoever serves the request: once it is dropped nobody waits. The server drops it when the
    /// caller hangs up, which is how code on another thread gets to know.
    pub(crate) fn waiting(&self) -> Waiting {
        Waiting(Arc::clone(&self.left))
    }
}

/// See [`Deadline::waiting`].
pub(crate) struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A header that is a number; `None` when it is absent.
pub(crate) fn number<N: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Result<Option<N>, AnswerError> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    number.map(Some).ok_or_else(|| AnswerError::BadRequest(format!("header {name} is not a number: {value:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(60);

    fn headers(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::TIMEOUT_MS.parse().unwrap(), hyper::header::HeaderValue::from_static(value))])
    }

    #[test]
    fn the_header_can_shorten_the_time_but_not_lengthen_it() {
        assert!(Deadline::of(&headers("1000"), LONGEST).unwrap().remaining() <= Duration::from_secs(1));
        assert_eq!(Deadline::of(&HeaderMap::new(), Duration::MAX).unwrap().remaining(), Duration::MAX);
        let max = u64::MAX.to_string().leak();
        assert!(Deadline::of(&headers(max), LONGEST).unwrap().remaining() <= LONGEST);
        assert!(Deadline::of(&HeaderMap::new(), LONGEST).unwrap().remaining() > Duration::from_secs(50));
    }

    #[test]
    fn a_header_that_is_no_number_is_a_bad_request() {
        let error = Deadline::of(&headers("soon"), LONGEST).unwrap_err();
        assert!(error.to_string().contains("longshore-timeout-ms"), "{error}");
    }

    #[test]
    fn a_dropped_guard_and_a_passed_deadline_both_mean_abandoned() {
        let deadline = Deadline::of(&HeaderMap::new(), LONGEST).unwrap();
        let waiting = deadline.waiting();
        assert!(!deadline.abandoned());
        drop(waiting);
        assert!(deadline.abandoned());
        assert!(Deadline::of(&headers("0"), LONGEST).unwrap().abandoned());
    }
}
