//! The parts of one query as they come, until there are enough, cannot be enough, or time is up.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    coverage::{Coverage, NOT_AWAITED, PartReport},
    gather::Called,
    join::{Join, Prepared},
    message::Message,
    patience::patience,
    require::{Require, Required},
    share::Share,
    tally::{State, Tally},
    topology::{CallError, Topology},
};

/// Why shards are missing from an answer whose merge needed no more.
const HAD_ENOUGH: &str = "not waited for, since the merge had enough";
const LEFT_OUT: &str = "it came when the merge had enough";

/// What came of one shard.
pub(crate) struct Arrived<T> {
    /// Its part, or why there is none.
    part: Result<Prepared, String>,
    share: Option<Share>,
    refused: bool,
    no_room: bool,
    target: Option<Arc<T>>,
    size: u64,
}

impl<T> Called<T> {
    /// What is of use of it, where parts are read by the engine itself.
    pub(crate) async fn prepared(self, join: Option<&Join>) -> Arrived<T> {
        let Self { answer, target } = self;
        let refused = matches!(answer, Err(CallError::Refused(_)));
        let no_room = matches!(answer, Err(CallError::NoRoom(_)));
        let (message, share) = match answer {
            Ok(part) => (Ok(part.message), part.share),
            Err(error) => (Err(error.to_string()), None),
        };
        let size = message.as_ref().map_or(0, |message: &Message| message.body.len() as u64);
        let part = match (message, join) {
            (Ok(message), Some(join)) => join.prepare(message).await,
            (Ok(message), None) => Ok(Prepared::Whole(message)),
            (Err(why), _) => Err(why),
        };
        Arrived { part, share, refused, no_room, target, size }
    }
}

impl<T> Arrived<T> {
    /// The part, where it is there as it came.
    pub fn message(&self) -> Option<&Message> {
        match &self.part {
            Ok(Prepared::Whole(message)) => Some(message),
            _ => None,
        }
    }
}

/// What has come of a query, in the order of shards.
pub(crate) struct Gathered<T> {
    pub coverage: Coverage<T>,
    pub parts: Vec<(u32, Prepared)>,
}

/// Why what has come is not enough.
pub(crate) struct TooFew {
    pub required: Required,
    /// Time ran out, rather than shards failing.
    pub timed_out: bool,
    /// Every shard that failed refused the query itself.
    pub refused: bool,
    /// A part found no room in memory.
    pub no_room: bool,
}

/// A query whose shards are asked.
pub(crate) struct Gathering<T> {
    require: Require,
    tally: Tally,
    weights: Vec<u64>,
    reports: Vec<Option<PartReport<T>>>,
    parts: Vec<(u32, Prepared)>,
    bytes: u64,
    refusals: usize,
    no_room: bool,
    started: Instant,
    until: Instant,
    /// When the rule was met, and until when the rest is waited for.
    enough: Option<(Instant, Instant)>,
    /// When nothing more was waited for.
    closed: Option<Instant>,
    /// The merge needs no more.
    had_enough: bool,
}

impl<T> Gathering<T> {
    /// Nothing has come yet.
    pub fn new(topology: &Topology<T>, require: Require, started: Instant, until: Instant) -> Self {
        let shards = topology.shards.len();
        let weights: Vec<u64> = (0..shards).map(|shard| topology.weight(shard)).collect();
        Self {
            require,
            tally: Tally::of(&weights),
            weights,
            reports: (0..shards).map(|_| None).collect(),
            parts: Vec::with_capacity(shards),
            bytes: 0,
            refusals: 0,
            no_room: false,
            started,
            until,
            enough: None,
            closed: None,
            had_enough: false,
        }
    }

    /// Whether there is something to wait for.
    pub fn goes_on(&self) -> bool {
        self.tally.out() > 0 && self.require.can_be_met(&self.tally)
    }

    /// Until when.
    pub fn waits_until(&self) -> Instant {
        self.enough.map_or(self.until, |(_, until)| until)
    }

    /// Bytes of all parts so far, as they came.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes in what came of a shard.
    pub fn take(&mut self, shard: u32, arrived: Arrived<T>) {
        let Arrived { part, share, refused, no_room, target, size } = arrived;
        self.no_room |= no_room;
        self.bytes += size;
        self.refusals += usize::from(refused);
        let (state, error, share) = match (&part, share) {
            (Ok(_), None) => (State::Whole, None, None),
            (Ok(_), Some(share)) => (State::InPart(share.fraction()), Some(share.why()), Some(share)),
            (Err(why), _) => (State::Missing, Some(why.clone()), None),
        };
        self.tally.note(shard, state);
        let latency = self.started.elapsed();
        let weight = self.weights[shard as usize];
        self.reports[shard as usize] = Some(PartReport { shard, weight, error, share, target, latency, size });
        if let Ok(part) = part {
            self.parts.push((shard, part));
        }
        if self.enough.is_none() && self.require.ends_early() && self.require.is_met(&self.tally) {
            let now = Instant::now();
            let left = self.until.saturating_duration_since(now);
            self.enough = Some((now, now + patience(latency, left)));
        }
    }

    /// Whether what has come is enough.
    pub fn is_met(&self) -> bool {
        self.require.is_met(&self.tally)
    }

    /// Nothing more is waited for.
    pub fn close(&mut self) {
        self.closed.get_or_insert_with(Instant::now);
    }

    /// The merge has read the parts of these shards, and needs no more: what else has come is in no answer.
    pub fn merge_had_enough(&mut self, read: &[u32]) {
        self.had_enough = true;
        self.tally = Tally::of(&self.weights);
        for report in self.reports.iter_mut().flatten() {
            let state = match (&report.error, &report.share) {
                (None, _) | (_, Some(_)) if !read.contains(&report.shard) => {
                    (report.error, report.share) = (Some(LEFT_OUT.to_owned()), None);
                    State::Missing
                }
                (None, _) => State::Whole,
                (_, Some(share)) => State::InPart(share.fraction()),
                (Some(_), None) => State::Missing,
            };
            self.tally.note(report.shard, state);
        }
    }

    /// What has come is all there is.
    pub fn end(mut self) -> (Gathered<T>, Result<(), TooFew>) {
        let now = self.closed.unwrap_or_else(Instant::now);
        let after = now - self.started;
        let timed_out = now >= self.until;
        let unawaited = match self.enough {
            _ if self.had_enough => HAD_ENOUGH.to_owned(),
            Some((since, _)) if self.tally.out() > 0 => {
                format!("no answer within {after:.1?}, {:.0?} after there was enough", now - since)
            }
            _ if timed_out => format!("no answer within {after:.1?}"),
            _ => NOT_AWAITED.to_owned(),
        };
        self.parts.sort_unstable_by_key(|(shard, _)| *shard);
        let met = self.is_met();
        let failed = self.tally.shards() - self.tally.out() - self.tally.parts();
        let too_few = TooFew {
            required: self.require.asks(self.tally.shards(), self.weights.iter().sum()),
            timed_out,
            refused: failed > 0 && self.refusals == failed,
            no_room: self.no_room,
        };
        let coverage = coverage(self.reports, &self.weights, &unawaited, after);
        (Gathered { coverage, parts: self.parts }, if met { Ok(()) } else { Err(too_few) })
    }
}

fn coverage<T>(reports: Vec<Option<PartReport<T>>>, weights: &[u64], unawaited: &str, after: Duration) -> Coverage<T> {
    let missing = |shard: u32, weight: u64| PartReport {
        shard,
        weight,
        error: Some(unawaited.to_owned()),
        share: None,
        target: None,
        latency: after,
        size: 0,
    };
    let reports = (0_u32..).zip(reports).zip(weights);
    let parts = reports.map(|((shard, report), weight)| report.unwrap_or_else(|| missing(shard, *weight))).collect();
    Coverage { parts, merge: None }
}

#[cfg(test)]
mod tests;
