//! A query from its body to its answer.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::HeaderMap;
use tokio::time::{Instant, timeout_at};

use crate::{
    arriving::Feed,
    attempts::{Means, call_any},
    balance::Balance,
    coverage::Coverage,
    gathering::{Arrived, Gathered, Gathering, TooFew},
    memory::Account,
    message::{Message, Part},
    require::{Require, Required},
    share::Share,
    topology::{Call, CallError, Candidate, Target, Topology, Transport},
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
}

impl Default for Limits {
    fn default() -> Self {
        Self { parts_bytes: 256 << 20 }
    }
}

/// A query.
#[derive(Debug, Clone)]
pub struct Request {
    /// Given to every leaf.
    pub body: Bytes,
    /// What its sender says of it, for every leaf; and what of that is for a merge.
    pub head: Heads,
    /// Time for everything.
    pub deadline: Duration,
    /// How complete the answer has to be.
    pub require: Require,
}

/// What the sender of a query says of it, as it is passed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heads {
    /// To leaves.
    pub leaf: HeaderMap,
    /// To a merge, whose body is another.
    pub merge: HeaderMap,
}

/// An answer. Whether it is complete its coverage says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// What is said of its bytes.
    pub head: HeaderMap,
    /// What the merge made of the parts: these bytes, one after the other.
    pub pieces: Vec<Bytes>,
    /// What became of every shard.
    pub coverage: Coverage<T>,
    /// Time of the merge.
    pub merge: Duration,
    /// Time of everything.
    pub total: Duration,
}

impl<T> Answer<T> {
    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }

    /// All of it in one; several pieces are copied.
    #[must_use]
    pub fn whole(&self) -> Bytes {
        match &self.pieces[..] {
            [only] => only.clone(),
            pieces => pieces.concat().into(),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QueryError<T> {
    /// Too few shards answered.
    #[error("{} of {} shards answered, {required} ({})", .coverage.answered(), .coverage.shards(), .coverage.missing())]
    TooFewParts {
        /// What the rule asks for.
        required: Required,
        /// What became of every shard.
        coverage: Coverage<T>,
        /// Time ran out, rather than shards failing.
        timed_out: bool,
        /// Every shard that failed refused the query itself.
        refused: bool,
        /// A part found no room in memory.
        no_room: bool,
    },
    /// The parts are too large together.
    #[error("the parts take more than {limit} bytes together (shard {shard} went over)")]
    PartsTooLarge {
        /// The bound.
        limit: u64,
        /// Whose part went over it.
        shard: u32,
    },
    /// The parts cannot be joined.
    #[error("{why}")]
    Join {
        /// Why.
        why: String,
        /// What became of every shard.
        coverage: Coverage<T>,
    },
    /// The merge failed; it was late, where the cause says so.
    #[error("the merge container {cause}")]
    Merge {
        /// Why.
        cause: CallError,
        /// What became of every shard.
        coverage: Coverage<T>,
    },
}

impl<T: Target> Engine<T> {
    /// An engine whose calls travel by `transport`.
    pub fn new(transport: Arc<dyn Transport<T>>, limits: Limits) -> Self {
        Self { transport, balance: Balance::new(rand::random()), limits }
    }

    /// Forgets what it learned of replicas that are no more.
    pub fn forget_replicas(&self, keep: impl Fn(&T) -> bool) {
        self.balance.retain(keep);
    }

    /// Asks every shard once, merges what came, and says how complete it is. Parts and answer take memory that is the account's.
    ///
    /// # Errors
    /// When the rule is not met, or the parts cannot be merged. Never a partial answer that its rule does not allow.
    pub async fn query(
        &self,
        topology: &Topology<T>,
        request: Request,
        account: &Account,
    ) -> Result<Answer<T>, QueryError<T>> {
        let started = Instant::now();
        let until = started + request.deadline;
        let reserve = match topology.merges {
            Some(_) => topology.experience.merge_reserve(request.deadline, self.balance.now()),
            None => Duration::ZERO,
        };
        if let Some(merges) = topology.merges.as_deref().filter(|_| topology.streams) {
            let times = (started, until - reserve, until);
            return self.query_streamed((topology, merges), request, account, times).await;
        }
        let Gathered { mut coverage, parts } =
            self.gather(topology, &request, account, (started, until - reserve)).await?;
        let merging = Instant::now();
        let (head, pieces) = match &topology.merges {
            None => match topology.join.finish(parts) {
                Ok(joined) => joined,
                Err(why) => return Err(QueryError::Join { why, coverage }),
            },
            Some(merges) => {
                let parts = parts.into_iter().filter_map(|(shard, part)| Some((shard, part.into_message()?)));
                let call = Call::Merge { head: request.head.merge, parts: parts.collect() };
                let called = call_any(&self.means(topology, &request.body, account), merges, call, until).await;
                match called.answer {
                    Ok(Part { message: Message { head, body }, share, .. }) => {
                        coverage.merge = share;
                        (head, vec![body])
                    }
                    Err(cause) => return Err(QueryError::Merge { cause: in_time(cause, until), coverage }),
                }
            }
        };
        Ok(Answer { head, pieces, coverage, merge: merging.elapsed(), total: started.elapsed() })
    }

    fn means<'a>(&'a self, topology: &'a Topology<T>, query: &'a Bytes, account: &'a Account) -> Means<'a, T> {
        let (balance, transport) = (&self.balance, &*self.transport);
        Means { balance, transport, experience: &topology.experience, query, account }
    }

    async fn gather(
        &self,
        topology: &Topology<T>,
        request: &Request,
        account: &Account,
        (started, until): (Instant, Instant),
    ) -> Result<Gathered<T>, QueryError<T>> {
        let means = self.means(topology, &request.body, account);
        let mut calls = leaf_calls(&means, topology, request, until);
        let mut gathering = Gathering::new(topology, request.require, started, until);
        while gathering.goes_on() {
            let Ok(next) = timeout_at(gathering.waits_until(), calls.next()).await else { break };
            let Some((shard, arrived)) = next else { break };
            gathering.take(shard, arrived);
            if gathering.bytes() > self.limits.parts_bytes {
                return Err(QueryError::PartsTooLarge { limit: self.limits.parts_bytes, shard });
            }
        }
        drop(calls);
        ended(gathering)
    }

    /// The same with a merge that takes parts up as they come. Its call begins with the first part; once it answers, nobody else is
    /// waited for, and what it has read is what is in the answer. The rule holds for that as for any answer.
    async fn query_streamed(
        &self,
        (topology, merges): (&Topology<T>, &[Candidate<T>]),
        request: Request,
        account: &Account,
        (started, gathered_by, until): (Instant, Instant, Instant),
    ) -> Result<Answer<T>, QueryError<T>> {
        let means = self.means(topology, &request.body, account);
        let mut calls = leaf_calls(&means, topology, &request, gathered_by);
        let mut gathering = Gathering::new(topology, request.require, started, gathered_by);
        let (feed, arriving) = Feed::new();
        let call = Call::Streamed { head: request.head.merge.clone(), parts: arriving };
        let mut merge = pin!(call_any(&means, merges, call, until));
        let mut handed = Vec::new();
        let mut answered = None;
        while gathering.goes_on() {
            tokio::select! {
                biased;
                next = timeout_at(gathering.waits_until(), calls.next()) => {
                    let Ok(Some((shard, arrived))) = next else { break };
                    if let Some(message) = arrived.message() {
                        feed.add(shard, message.clone());
                        handed.push(shard);
                    }
                    gathering.take(shard, arrived);
                    if gathering.bytes() > self.limits.parts_bytes {
                        return Err(QueryError::PartsTooLarge { limit: self.limits.parts_bytes, shard });
                    }
                }
                called = &mut merge, if !handed.is_empty() => {
                    answered = Some(called);
                    break;
                }
            }
        }
        drop(calls);
        gathering.close();
        let (merging, is_early) = (Instant::now(), answered.is_some());
        let called = match answered {
            Some(called) => called,
            None if gathering.is_met() => {
                feed.end();
                merge.await
            }
            None => {
                let Gathered { coverage, .. } = ended(gathering)?;
                return Err(QueryError::Join { why: "there are no parts".to_owned(), coverage });
            }
        };
        let Part { message: Message { head, body }, mut share, read } = match called.answer {
            Ok(part) => part,
            Err(cause) => {
                let coverage = gathering.end().0.coverage;
                return Err(QueryError::Merge { cause: in_time(cause, until), coverage });
            }
        };
        match read {
            Some(read) => gathering.merge_had_enough(&handed[..handed.len().min(read as usize)]),
            // Nobody knows what is in it.
            None if is_early => {
                gathering.merge_had_enough(&handed);
                share = share.or(Share::said(
                    true,
                    None,
                    "it answered before it had all parts, and did not say which it has",
                ));
            }
            None => {}
        }
        let mut coverage = ended(gathering)?.coverage;
        coverage.merge = share;
        let (merge, total) = (merging.elapsed(), started.elapsed());
        Ok(Answer { head, pieces: vec![body], coverage, merge, total })
    }
}

/// What has come, if it is enough.
fn ended<T>(gathering: Gathering<T>) -> Result<Gathered<T>, QueryError<T>> {
    match gathering.end() {
        (gathered, Ok(())) => Ok(gathered),
        (Gathered { coverage, .. }, Err(TooFew { required, timed_out, refused, no_room })) => {
            Err(QueryError::TooFewParts { required, coverage, timed_out, refused, no_room })
        }
    }
}

/// A call of each shard, all at once.
fn leaf_calls<'a, T: Target>(
    means: &'a Means<'a, T>,
    topology: &'a Topology<T>,
    request: &Request,
    until: Instant,
) -> FuturesUnordered<impl Future<Output = (u32, Arrived<T>)> + use<'a, T>> {
    let message = Message { head: request.head.leaf.clone(), body: request.body.clone() };
    let reads = topology.merges.is_none().then_some(&topology.join);
    let call = |(shard, candidates): (u32, &'a Vec<Candidate<T>>)| {
        let called = call_any(means, candidates, Call::Leaf(message.clone()), until);
        async move { (shard, called.await.prepared(reads).await) }
    };
    (0_u32..).zip(&topology.shards).map(call).collect()
}

/// Whatever a merge failed of when there was no time left, that there was none is the cause.
fn in_time(cause: CallError, until: Instant) -> CallError {
    match cause {
        CallError::Busy(why) | CallError::Failed(why) if Instant::now() >= until => CallError::Late(why),
        cause => cause,
    }
}

#[cfg(test)]
mod tests;
