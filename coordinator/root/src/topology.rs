//! What a service looks like at one moment, and how its replicas are called.

use std::{
    fmt::{Debug, Display},
    hash::Hash,
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::HeaderMap;

use crate::{
    arriving::Arriving,
    experience::Experience,
    join::Join,
    memory::{Account, NoMemory},
    message::{Message, Part},
};

/// A replica as whoever uses the engine knows it. It is compared, so that what was learned of one is not taken for
/// another's, and shown to people (`replica 3`); nothing else is asked of it.
pub trait Target: Eq + Hash + Debug + Display + Send + Sync + 'static {}

impl<T: Eq + Hash + Debug + Display + Send + Sync + 'static> Target for T {}

/// A service at one moment. A query uses one topology from its beginning to its end, so it never mixes generations.
#[derive(Debug)]
pub struct Topology<T> {
    /// The replicas of each shard.
    pub shards: Vec<Vec<Candidate<T>>>,
    /// What each shard counts in a share of the service; at least 1, also for those that are not said. A shard that is a tree
    /// itself weighs what its shards weigh together, so that shares add up.
    pub weights: Vec<u64>,
    /// The replicas of the merge container; `None` when the engine joins parts itself.
    pub merges: Option<Vec<Candidate<T>>>,
    /// Whether a merge is given parts as they come, and may answer before all are there.
    pub streams: bool,
    /// How it joins them then.
    pub join: Join,
    /// What its queries have taught, which stays when its replicas change.
    pub experience: Arc<Experience>,
}

impl<T> Default for Topology<T> {
    fn default() -> Self {
        Self {
            shards: Vec::new(),
            weights: Vec::new(),
            merges: None,
            streams: false,
            join: Join::default(),
            experience: Arc::default(),
        }
    }
}

impl<T> Topology<T> {
    /// What a shard weighs.
    pub(crate) fn weight(&self, shard: usize) -> u64 {
        self.weights.get(shard).copied().unwrap_or(1).max(1)
    }
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
    Leaf(Message),
    /// Parts for a merge.
    Merge {
        /// What the query's sender says, as far as it is of use to a merge.
        head: HeaderMap,
        /// Each with its shard, in the order of those.
        parts: Vec<(u32, Message)>,
    },
    /// Parts for a merge, as they come.
    Streamed {
        /// As of a merge that is given them together.
        head: HeaderMap,
        /// Each with its shard.
        parts: Arriving,
    },
}

/// How calls travel. Dropping the future abandons the call.
pub trait Transport<T>: Send + Sync + 'static {
    /// Calls a replica and waits for its whole answer, at most `timeout`. What the answer takes of this process's memory is the
    /// account's.
    fn call(
        &self,
        target: &T,
        call: Call,
        timeout: Duration,
        account: &Account,
    ) -> BoxFuture<'static, Result<Part, CallError>>;
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
    /// Its time was over. Another has no more.
    #[error("failed: {0}")]
    Late(String),
    /// It failed; another may not.
    #[error("failed: {0}")]
    Failed(String),
    /// Nothing of the call has reached it: another is asked as if this one had not been.
    #[error("failed: {0}")]
    Away(String),
    /// It ended while it worked on the call, which may be why.
    #[error("ended while it worked on the query: {0}")]
    Lost(String),
    /// Its answer found no room in memory. That of another would find no more.
    #[error("has an answer for which there is no room: {0}")]
    NoRoom(String),
}

/// Whether a call that failed is made again, of another replica. Nothing but the answer decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Everybody would say the same.
    Never,
    /// Nobody has worked on it: at once.
    Free,
    /// As far as the budget goes.
    Paid,
    /// Once more at most, and never of the last that is ready.
    Warily,
}

impl CallError {
    /// What follows from it.
    pub(crate) fn again(&self) -> Again {
        match self {
            Self::Refused(_) | Self::NoRoom(_) => Again::Never,
            Self::Away(_) => Again::Free,
            Self::Busy(_) | Self::Late(_) | Self::Failed(_) => Again::Paid,
            Self::Lost(_) => Again::Warily,
        }
    }
}

impl From<NoMemory> for CallError {
    fn from(error: NoMemory) -> Self {
        match error {
            NoMemory::Now { .. } => Self::NoRoom(error.to_string()),
            NoMemory::Ever { .. } => Self::Failed(error.to_string()),
        }
    }
}
