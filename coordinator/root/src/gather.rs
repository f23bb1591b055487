//! One shard's part, from whichever replica gives it.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::{
    balance::Balance,
    coverage::PartReport,
    topology::{Call, CallError, Candidate, Transport},
};

/// What came of calling one of several replicas.
pub(crate) struct Called {
    pub answer: Result<Bytes, CallError>,
    pub worker: String,
    pub replica: u32,
}

/// Calls the best replica, and after a failure the next best, until one answers, all have failed, or time runs out.
pub(crate) async fn call_any(
    balance: &Balance,
    transport: &dyn Transport,
    candidates: &[Candidate],
    call: Call,
    until: Instant,
) -> Called {
    let mut tried = Vec::new();
    let mut last = None;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let Some((candidate, in_flight)) = balance.pick(candidates, &tried) else {
            return last.unwrap_or_else(|| nobody_ready(candidates));
        };
        if left.is_zero() && last.is_some() {
            return last.unwrap_or_else(|| nobody_ready(candidates));
        }
        tried.push(candidate.target.key.number);
        let started = Instant::now();
        let outcome = tokio::time::timeout(left, transport.call(&candidate.target, call.clone(), left)).await;
        let answer = outcome.unwrap_or_else(|_| Err(CallError::Failed(format!("no answer within {left:.1?}"))));
        let again = matches!(answer, Err(CallError::Busy(_) | CallError::Failed(_)));
        match &answer {
            Err(CallError::Busy(_) | CallError::Failed(_)) => in_flight.failed(),
            Ok(_) | Err(CallError::Refused(_)) => in_flight.answered(started.elapsed()),
        }
        let called =
            Called { answer, worker: candidate.target.worker_name.clone(), replica: candidate.target.key.number };
        if !again {
            return called;
        }
        last = Some(called);
    }
}

fn nobody_ready(candidates: &[Candidate]) -> Called {
    let reasons: Vec<String> = candidates
        .iter()
        .map(|candidate| {
            let reason = candidate.unready.as_deref().unwrap_or("ready");
            format!("replica {} {reason}", candidate.target.key.number)
        })
        .collect();
    let reasons = if reasons.is_empty() { "none placed".to_owned() } else { reasons.join(", ") };
    Called {
        answer: Err(CallError::Failed(format!("no ready replica ({reasons})"))),
        worker: String::new(),
        replica: 0,
    }
}

/// A shard's part, or why there is none.
pub(crate) fn report(shard: u32, called: Called, latency: Duration) -> (PartReport, Option<Bytes>, bool) {
    let refused = matches!(called.answer, Err(CallError::Refused(_)));
    let (part, error) = match called.answer {
        Ok(part) => (Some(part), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let report = PartReport {
        shard,
        error,
        worker: called.worker,
        replica: called.replica,
        latency,
        size: part.as_ref().map_or(0, |part| part.len() as u64),
    };
    (report, part, refused)
}
