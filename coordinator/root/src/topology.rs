//! What a service looks like at one moment, and how its replicas are called.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use longshore_core::{ReplicaKey, WorkerId};

/// A service at one moment. A query uses one topology from its beginning to its end, so it never mixes generations.
#[derive(Debug, Clone, Default)]
pub struct Topology {
    /// The replicas of each shard.
    pub shards: Vec<Vec<Candidate>>,
    /// The replicas of the merge container; `None` when parts are joined byte for byte.
    pub merges: Option<Vec<Candidate>>,
}

/// A replica, and whether it takes calls.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Where it is.
    pub target: Arc<Target>,
    /// Why it takes no calls now; `None` when it does.
    pub unready: Option<String>,
}

/// A replica and its worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The replica.
    pub key: ReplicaKey,
    /// Who keeps it.
    pub worker: WorkerId,
    /// Its worker's name, for people.
    pub worker_name: String,
}

/// One call.
#[derive(Debug, Clone)]
pub enum Call {
    /// A query for a leaf.
    Leaf {
        /// The query's body.
        body: Bytes,
    },
    /// Parts for a merge, in the order of their shards.
    Merge {
        /// Shard and part.
        parts: Vec<(u32, Bytes)>,
    },
}

/// How calls travel. Dropping the future abandons the call.
pub trait Transport: Send + Sync + 'static {
    /// Calls a replica and waits for its whole answer, at most `timeout`.
    fn call(&self, target: &Target, call: Call, timeout: Duration) -> BoxFuture<'static, Result<Bytes, CallError>>;
}

/// Why a call brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The input is bad: every replica would say the same.
    #[error("refused the query: {0}")]
    Refused(String),
    /// It has too much to do.
    #[error("is busy: {0}")]
    Busy(String),
    /// It failed; another may not.
    #[error("failed: {0}")]
    Failed(String),
}
