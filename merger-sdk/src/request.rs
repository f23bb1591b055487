//! What a leaf is asked.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;

use crate::deadline::Deadline;
use crate::error::AnswerError;
use crate::place::Place;

/// One request to a leaf.
#[derive(Debug, Clone)]
pub struct Request {
    headers: HeaderMap,
    body: Bytes,
    place: Arc<Place>,
    deadline: Deadline,
}

impl Request {
    pub(crate) fn new(headers: HeaderMap, body: Bytes, place: Arc<Place>, deadline: Deadline) -> Self {
        Self { headers, body, place, deadline }
    }

    /// The query, as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The query as text.
    ///
    /// # Errors
    /// [`AnswerError::BadRequest`] when it is not UTF-8.
    pub fn text(&self) -> Result<&str, AnswerError> {
        std::str::from_utf8(&self.body)
            .map_err(|error| AnswerError::BadRequest(format!("the query is no text: {error}")))
    }

    /// A header of the request, by its name in lower case: `content-type` and others that the query's sender gave it, traces, and
    /// those of the interface. `None` when it is absent, or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The shard this leaf answers for, and its data.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// How long the caller still waits. It travels as the header `longshore-timeout-ms`; without one it is counted
    /// from [`Options::longest`](crate::Options::longest), and without an end it is [`Duration::MAX`].
    pub fn remaining(&self) -> Duration {
        self.deadline.remaining()
    }

    /// True once nobody waits for the answer: the time is over or the caller has hung up. A leaf that computes for
    /// long looks here now and then and returns [`AnswerError::Late`].
    pub fn abandoned(&self) -> bool {
        self.deadline.abandoned()
    }
}
