//! How complete an answer is.

use std::{sync::Arc, time::Duration};

/// Why a shard is missing that was not at fault.
pub(crate) const NOT_AWAITED: &str = "not waited for, since the rule could not be met any more";

/// What became of every shard of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage<T> {
    /// One report per shard, in order.
    pub parts: Vec<PartReport<T>>,
}

/// What became of one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartReport<T> {
    /// The shard.
    pub shard: u32,
    /// Why it is missing; `None` when its part is in the answer.
    pub error: Option<String>,
    /// Who answered, or was asked last; `None` if nobody was, or nobody's answer was awaited.
    pub target: Option<Arc<T>>,
    /// From the query's start to its part, or to giving up.
    pub latency: Duration,
    /// Bytes of its part.
    pub size: u64,
}

impl<T> Coverage<T> {
    /// Shards of the service.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.parts.len()
    }

    /// Shards whose part is in the answer.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.parts.iter().filter(|part| part.error.is_none()).count()
    }

    /// Every shard is in the answer.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.answered() == self.shards()
    }

    /// The missing shards, each with its reason, in one line. Those that were given up only because of others are left
    /// out: their names would hide who is to blame.
    #[must_use]
    pub fn missing(&self) -> String {
        let missing: Vec<String> = self
            .parts
            .iter()
            .filter_map(|part| Some((part.shard, part.error.as_ref()?)))
            .filter(|(_, error)| *error != NOT_AWAITED)
            .map(|(shard, error)| format!("shard {shard}: {error}"))
            .collect();
        missing.join("; ")
    }
}
