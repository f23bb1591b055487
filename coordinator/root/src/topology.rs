//! What a service looks like at one moment, and how its replicas are called.

use std::{
    fmt::{Debug, Display},
    hash::Hash,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;

/// A replica as whoever uses the engine knows it. It is compared, so that what was learned of one is not taken for
/// another's, and shown to people (`replica 3`); nothing else is asked of it.
pub trait Target: Eq + Hash + Debug + Display + Send + Sync + 'static {}

impl<T: Eq + Hash + Debug + Display + Send + Sync + 'static> Target for T {}

/// A service at one moment. A query uses one topology from its beginning to its end, so it never mixes generations.
#[derive(Debug)]
pub struct Topology<T> {
    /// The replicas of each shard.
    pub shards: Vec<Vec<Candidate<T>>>,
    /// The replicas of the merge container; `None` when parts are joined byte for byte.
    pub merges: Option<Vec<Candidate<T>>>,
}

/// A replica, and whether it takes calls.
#[derive(Debug)]
pub struct Candidate<T> {
    /// Which one.
    pub target: Arc<T>,
    /// Why it takes no calls now; `None` when it does.
    pub unready: Option<String>,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A query for a leaf.
    Leaf(Bytes),
    /// Parts for a merge, each with its shard, in the order of those.
    Merge(Vec<(u32, Bytes)>),
}

/// How calls travel. Dropping the future abandons the call.
pub trait Transport<T>: Send + Sync + 'static {
    /// Calls a replica and waits for its whole answer, at most `timeout`.
    fn call(&self, target: &T, call: Call, timeout: Duration) -> BoxFuture<'static, Result<Bytes, CallError>>;
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
