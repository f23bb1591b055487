//! How complete an answer is.

use std::{sync::Arc, time::Duration};

use crate::share::Share;

/// Why a shard is missing that was not at fault.
pub(crate) const NOT_AWAITED: &str = "not waited for, since the rule could not be met any more";

/// What became of every shard of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage<T> {
    /// One report per shard, in order.
    pub parts: Vec<PartReport<T>>,
    /// How much of the parts is in the answer, where the merge says that this is not all.
    pub merge: Option<Share>,
}

/// What became of one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartReport<T> {
    /// The shard.
    pub shard: u32,
    /// What it counts in a share of the service; at least 1.
    pub weight: u64,
    /// Why it is missing, or is there only in part; `None` when its whole part is in the answer.
    pub error: Option<String>,
    /// How much of it is there, where that is not all or nothing.
    pub share: Option<Share>,
    /// Who answered, or was asked last; `None` if nobody was, or nobody's answer was awaited.
    pub target: Option<Arc<T>>,
    /// From the query's start to its part, or to giving up.
    pub latency: Duration,
    /// Bytes of its part.
    pub size: u64,
}

impl<T> PartReport<T> {
    /// The share of this shard that is in the answer.
    fn fraction(&self) -> f64 {
        match (&self.error, &self.share) {
            (None, _) => 1.0,
            (Some(_), Some(share)) => share.fraction(),
            (Some(_), None) => 0.0,
        }
    }
}

impl<T> Coverage<T> {
    /// Shards of the service.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.parts.len()
    }

    /// Shards whose whole part is in the answer.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.parts.iter().filter(|part| part.error.is_none()).count()
    }

    /// Shards of which something is in the answer, but not all.
    #[must_use]
    pub fn in_part(&self) -> usize {
        self.parts.iter().filter(|part| part.share.is_some()).count()
    }

    /// Every shard is in the answer, whole.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.answered() == self.shards() && self.merge.is_none()
    }

    /// The share of the service that is in the answer, by weight: 1 exactly if it is complete.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "weights have at most 53 bits together")]
    pub fn covered(&self) -> f64 {
        if self.is_complete() {
            return 1.0;
        }
        let total: u64 = self.parts.iter().map(|part| part.weight).sum();
        let covered: f64 = self.parts.iter().map(|part| part.weight as f64 * part.fraction()).sum();
        let of_merge = self.merge.as_ref().map_or(1.0, Share::fraction);
        // A sum of almost all must not look like all.
        (covered / (total.max(1) as f64) * of_merge).min(1.0 - f64::EPSILON)
    }

    /// What is missing, shard by shard, each with its reason, in one line. Those that were given up only because of others are
    /// left out: their names would hide who is to blame.
    #[must_use]
    pub fn missing(&self) -> String {
        let shards = self
            .parts
            .iter()
            .filter_map(|part| Some((part.shard, part.error.as_ref()?)))
            .filter(|(_, error)| *error != NOT_AWAITED)
            .map(|(shard, error)| format!("shard {shard}: {error}"));
        let merge = self.merge.iter().map(|share| format!("the merge {}", share.why()));
        shards.chain(merge).collect::<Vec<_>>().join("; ")
    }
}
