//! One call of a replica: what is asked, and why there may be no answer.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use longshore_proto::v1::{Failure, FailureClass};

use crate::contract::failures;

/// What is asked of a replica.
#[derive(Debug, Clone)]
pub enum Ask {
    /// A query, for a leaf.
    Leaf(Bytes),
    /// Parts with their shards, for a merge.
    Merge(Vec<(u32, Bytes)>),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// The input is bad.
    Refused(String),
    /// It has too much to do.
    Busy(String),
    /// It failed.
    Failed(String),
}

/// Containers that are ready to answer. Dropping the future of a call abandons it.
pub(crate) trait Serving: Send + Sync {
    /// Answers one call, within the time given.
    fn call(&self, ask: Ask, within: Duration) -> BoxFuture<'_, Result<Bytes, Unanswered>>;
}

/// What the failure of a run or request is to the caller.
pub(super) fn unanswered(failure: &Failure) -> Unanswered {
    match failure.class() {
        FailureClass::Refused => Unanswered::Refused(failures::in_a_line(failure)),
        // Whoever called knows how long that was.
        FailureClass::Timeout if failure.code == 0 => Unanswered::Failed("no answer in time".to_owned()),
        _ => Unanswered::Failed(failures::in_a_line(failure)),
    }
}

/// The name of a shard's part, for files and headers.
pub(super) fn part_name(shard: u32) -> String {
    format!("shard-{shard:04}")
}
