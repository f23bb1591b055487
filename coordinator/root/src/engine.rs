//! A query from its body to its answer.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, timeout_at};

use crate::{
    balance::Balance,
    coverage::{Coverage, NOT_AWAITED, PartReport},
    gather::{call_any, report},
    require::Require,
    topology::{Call, CallError, Target, Topology, Transport},
};

/// The engine. One for all services, shared by all queries.
pub struct Engine<T> {
    transport: Arc<dyn Transport<T>>,
    balance: Balance<T>,
    limits: Limits,
}

/// Bounds of one query.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of all parts together; a service whose parts are larger has no place in memory.
    pub parts_bytes: u64,
    /// Longest share of the deadline kept for the merge.
    pub merge_reserve: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { parts_bytes: 256 << 20, merge_reserve: Duration::from_secs(1) }
    }
}

/// A query.
#[derive(Debug, Clone)]
pub struct Request {
    /// Given to every leaf.
    pub body: Bytes,
    /// Time for everything.
    pub deadline: Duration,
    /// How complete the answer has to be.
    pub require: Require,
}

/// An answer. Whether it is complete its coverage says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// What the merge made of the parts.
    pub body: Bytes,
    /// What became of every shard.
    pub coverage: Coverage<T>,
    /// Time of the merge.
    pub merge: Duration,
    /// Time of everything.
    pub total: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError<T> {
    /// Too few shards answered.
    #[error("{} of {} shards answered, {required} are required ({})", .coverage.answered(), .coverage.shards(), .coverage.missing())]
    TooFewParts {
        /// How many the rule asks for.
        required: usize,
        /// What became of every shard.
        coverage: Coverage<T>,
        /// Time ran out, rather than shards failing.
        timed_out: bool,
        /// Every shard that failed refused the query itself.
        refused: bool,
    },
    /// The parts are too large together.
    #[error("the parts take more than {limit} bytes together (shard {shard} went over)")]
    PartsTooLarge {
        /// The bound.
        limit: u64,
        /// Whose part went over it.
        shard: u32,
    },
    /// The merge failed.
    #[error("the merge container {cause}")]
    Merge {
        /// Why.
        cause: CallError,
        /// What became of every shard.
        coverage: Coverage<T>,
    },
}

struct Gathered<T> {
    coverage: Coverage<T>,
    parts: Vec<(u32, Bytes)>,
}

impl<T: Target> Engine<T> {
    /// An engine whose calls travel by `transport`.
    pub fn new(transport: Arc<dyn Transport<T>>, limits: Limits) -> Self {
        Self { transport, balance: Balance::default(), limits }
    }

    /// Forgets what it learned of replicas that are no more.
    pub fn forget_replicas(&self, keep: impl Fn(&T) -> bool) {
        self.balance.retain(keep);
    }

    /// Asks every shard once, merges what came, and says how complete it is.
    ///
    /// # Errors
    /// When the rule is not met, or the parts cannot be merged. Never a partial answer that its rule does not allow.
    pub async fn query(&self, topology: &Topology<T>, request: Request) -> Result<Answer<T>, QueryError<T>> {
        let started = Instant::now();
        let until = started + request.deadline;
        let reserve = match topology.merges {
            Some(_) => (request.deadline / 5).min(self.limits.merge_reserve),
            None => Duration::ZERO,
        };
        let Gathered { coverage, parts } = self.gather(topology, &request, started, until - reserve).await?;
        let merging = Instant::now();
        let body = match &topology.merges {
            None => join(&parts),
            Some(merges) => {
                let call = Call::Merge(parts);
                let called = call_any(&self.balance, &*self.transport, merges, call, until).await;
                match called.answer {
                    Ok(body) => body,
                    Err(cause) => return Err(QueryError::Merge { cause, coverage }),
                }
            }
        };
        Ok(Answer { body, coverage, merge: merging.elapsed(), total: started.elapsed() })
    }

    async fn gather(
        &self,
        topology: &Topology<T>,
        request: &Request,
        started: Instant,
        until: Instant,
    ) -> Result<Gathered<T>, QueryError<T>> {
        let shards = topology.shards.len();
        let required = request.require.parts(shards);
        let mut calls: FuturesUnordered<_> = (0_u32..)
            .zip(&topology.shards)
            .map(|(shard, candidates)| {
                let call = Call::Leaf(request.body.clone());
                let called = call_any(&self.balance, &*self.transport, candidates, call, until);
                async move { (shard, called.await) }
            })
            .collect();
        let mut reports: Vec<Option<PartReport<T>>> = (0..shards).map(|_| None).collect();
        let mut parts: Vec<(u32, Bytes)> = Vec::with_capacity(shards);
        let (mut failed, mut refusals, mut bytes) = (0, 0, 0_u64);
        let mut timed_out = false;
        while failed + required <= shards || required > shards {
            let next = timeout_at(until, calls.next()).await;
            let Ok(next) = next else {
                timed_out = true;
                break;
            };
            let Some((shard, called)) = next else { break };
            let (report, part, refused) = report(shard, called, started.elapsed());
            refusals += usize::from(refused);
            match part {
                Some(part) => {
                    bytes += part.len() as u64;
                    if bytes > self.limits.parts_bytes {
                        return Err(QueryError::PartsTooLarge { limit: self.limits.parts_bytes, shard });
                    }
                    parts.push((shard, part));
                }
                None => failed += 1,
            }
            reports[shard as usize] = Some(report);
        }
        drop(calls);
        parts.sort_unstable_by_key(|(shard, _)| *shard);
        timed_out |= Instant::now() >= until;
        let coverage = coverage(reports, timed_out, started.elapsed());
        if parts.len() < required {
            let refused = failed > 0 && refusals == failed;
            return Err(QueryError::TooFewParts { required, coverage, timed_out, refused });
        }
        Ok(Gathered { coverage, parts })
    }
}

fn coverage<T>(reports: Vec<Option<PartReport<T>>>, timed_out: bool, after: Duration) -> Coverage<T> {
    let missing = if timed_out { format!("no answer within {after:.1?}") } else { NOT_AWAITED.to_owned() };
    let parts = (0_u32..)
        .zip(reports)
        .map(|(shard, report)| {
            report.unwrap_or_else(|| PartReport {
                shard,
                error: Some(missing.clone()),
                target: None,
                latency: after,
                size: 0,
            })
        })
        .collect();
    Coverage { parts }
}

fn join(parts: &[(u32, Bytes)]) -> Bytes {
    if let [(_, only)] = parts {
        return only.clone();
    }
    let mut joined = BytesMut::with_capacity(parts.iter().map(|(_, part)| part.len()).sum());
    parts.iter().for_each(|(_, part)| joined.extend_from_slice(part));
    joined.freeze()
}

#[cfg(test)]
mod tests;
