//! The merge: what joins the parts of the leaves into one answer.

use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use longshore_contract::header;

use crate::answer::Answer;
use crate::deadline::{Deadline, number};
use crate::error::AnswerError;

/// One leaf's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The shard it answers for; no two parts of a request have the same.
    pub shard: u32,
    /// What the leaf answered.
    pub bytes: Bytes,
    /// The media type that it gave, if any.
    pub content_type: Option<String>,
}

/// Joins parts as they arrive: a fold, so that waiting for the slow leaf costs no thread.
///
/// `begin` makes the state, `add` takes each part up, `finish` turns the state into the answer. Each call is plain
/// synchronous code on one of at most [`Options::threads`](crate::Options::threads) threads; the calls for one request
/// never overlap. A panic is answered with 500 and leaves the server running.
///
/// Most merges are better written as a [`Partial`](crate::Partial) and served with
/// [`MergePartials`](crate::MergePartials); this trait is for parts in a form of their own.
pub trait Merge: Send + Sync + 'static {
    /// What has been gathered so far.
    type State: Send + 'static;

    /// Begins one request, before its first part.
    fn begin(&self, request: &MergeRequest) -> Self::State;

    /// Takes up one part. Parts come in the order in which they arrive.
    ///
    /// # Errors
    /// End the request at once; the parts still to come are not read.
    fn add(&self, state: &mut Self::State, part: Part) -> Result<(), AnswerError>;

    /// Whether this is all that is needed, though more is to come. It is asked after each part, but only of a request whose parts
    /// come as leaves answer ([`MergeRequest::is_streamed`]): then [`Merge::finish`] answers at once, the leaves that have not
    /// answered are given up, and of the answer it is said which parts are in it.
    fn is_enough(&self, state: &Self::State) -> bool {
        let _ = state;
        false
    }

    /// Answers, after the last part, or after the one that was enough.
    ///
    /// # Errors
    /// The variant of [`AnswerError`] says whether the caller should try again, and where.
    fn finish(&self, state: Self::State) -> Result<Answer, AnswerError>;

    /// Whether requests should come; asked by `GET /healthz`.
    fn ready(&self) -> bool {
        true
    }
}

/// What is known about a request to merge before its parts come.
#[derive(Debug, Clone)]
pub struct MergeRequest {
    headers: HeaderMap,
    shards: Option<u32>,
    deadline: Deadline,
}

impl MergeRequest {
    /// Reads the head of a request.
    pub(crate) fn new(headers: HeaderMap, deadline: Deadline) -> Result<Self, AnswerError> {
        let shards = number(&headers, header::SHARDS)?;
        Ok(Self { headers, shards, deadline })
    }

    /// A header of the request, by its name in lower case: what the query's sender gave it, traces, and those of the interface. `None`
    /// when it is absent, or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether parts come as leaves answer, so that the answer may come before all are there.
    pub fn is_streamed(&self) -> bool {
        self.headers.contains_key(header::STREAMED)
    }

    /// How many shards were asked (header `longshore-shards`). Fewer parts than that may come, when the service takes
    /// partial answers.
    pub fn shards(&self) -> Option<u32> {
        self.shards
    }

    /// How long the caller still waits.
    pub fn remaining(&self) -> Duration {
        self.deadline.remaining()
    }

    /// True once nobody waits for the answer: the time is over or the caller has hung up.
    pub fn abandoned(&self) -> bool {
        self.deadline.abandoned()
    }
}
