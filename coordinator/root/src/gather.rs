//! One shard's part, from whichever replica gives it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use crate::{
    balance::Balance,
    coverage::PartReport,
    topology::{Call, CallError, Candidate, Target, Transport},
};

/// What came of calling one of several replicas.
pub(crate) struct Called<T> {
    pub answer: Result<Bytes, CallError>,
    /// Who answered, or was asked last.
    pub target: Option<Arc<T>>,
}

/// Calls the best replica, and after a failure the next best, until one answers, all have failed, or time runs out.
pub(crate) async fn call_any<T: Target>(
    balance: &Balance<T>,
    transport: &dyn Transport<T>,
    candidates: &[Candidate<T>],
    call: Call,
    until: Instant,
) -> Called<T> {
    let mut tried = Vec::new();
    let mut last = None;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let Some((place, in_flight)) = balance.pick(candidates, &tried) else {
            return last.unwrap_or_else(|| nobody_ready(candidates));
        };
        if left.is_zero() && last.is_some() {
            return last.unwrap_or_else(|| nobody_ready(candidates));
        }
        tried.push(place);
        let target = &candidates[place].target;
        let started = Instant::now();
        let outcome = timeout(left, transport.call(target, call.clone(), left)).await;
        let answer = outcome.unwrap_or_else(|_| Err(CallError::Failed(format!("no answer within {left:.1?}"))));
        let again = matches!(answer, Err(CallError::Busy(_) | CallError::Failed(_)));
        match &answer {
            Err(CallError::Busy(_) | CallError::Failed(_)) => in_flight.failed(),
            Ok(_) | Err(CallError::Refused(_)) => in_flight.answered(started.elapsed()),
        }
        let called = Called { answer, target: Some(Arc::clone(target)) };
        if !again {
            return called;
        }
        last = Some(called);
    }
}

fn nobody_ready<T: Target>(candidates: &[Candidate<T>]) -> Called<T> {
    let reasons: Vec<String> = candidates
        .iter()
        .map(|candidate| {
            let reason = candidate.unready.as_deref().unwrap_or("ready");
            format!("{} {reason}", candidate.target)
        })
        .collect();
    let reasons = if reasons.is_empty() { "none placed".to_owned() } else { reasons.join(", ") };
    Called { answer: Err(CallError::Failed(format!("no ready replica ({reasons})"))), target: None }
}

/// A shard's part, or why there is none.
pub(crate) fn report<T>(shard: u32, called: Called<T>, latency: Duration) -> (PartReport<T>, Option<Bytes>, bool) {
    let refused = matches!(called.answer, Err(CallError::Refused(_)));
    let (part, error) = match called.answer {
        Ok(part) => (Some(part), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let report = PartReport {
        shard,
        error,
        target: called.target,
        latency,
        size: part.as_ref().map_or(0, |part| part.len() as u64),
    };
    (report, part, refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Named, Script, failed, ready, unready};

    /// Calls one of these, within a second.
    async fn called(script: &Arc<Script>, candidates: &[Candidate<Named>]) -> Called<Named> {
        let until = Instant::now() + Duration::from_secs(1);
        call_any(&Balance::default(), &**script, candidates, Call::Leaf(Bytes::new()), until).await
    }

    fn by(called: &Called<Named>) -> Option<&'static str> {
        called.target.as_ref().map(|target| target.0)
    }

    #[tokio::test(start_paused = true)]
    async fn where_one_fails_or_is_busy_the_next_is_called_within_the_time_that_is_left() {
        let script = Script::new();
        script.after(200, "a", Err(failed("broken"))).after(100, "b", Err(CallError::Busy("full".to_owned())));
        let called = called(script.after(5, "c", Ok("part")), &ready("a b c")).await;
        assert_eq!(called.answer.as_deref(), Ok(&b"part"[..]));
        assert_eq!(by(&called), Some("c"));
        let times: Vec<_> = script.asked().into_iter().map(|(name, _, left)| (name, left.as_millis())).collect();
        assert_eq!(times, [("a", 1_000), ("b", 800), ("c", 700)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_everybodys() {
        let refusal = CallError::Refused("no query".to_owned());
        let script = Script::new();
        let called = called(script.after(5, "a", Err(refusal.clone())).after(5, "b", Ok("part")), &ready("a b")).await;
        assert_eq!((called.answer, script.asked_whom()), (Err(refusal), vec!["a"]));
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_the_last_says_why_and_none_is_called_twice() {
        let script = Script::new();
        let called =
            called(script.after(5, "a", Err(failed("one"))).after(5, "b", Err(failed("two"))), &ready("a b")).await;
        assert_eq!((by(&called), called.answer), (Some("b"), Err(failed("two"))));
        assert_eq!(script.asked_whom(), ["a", "b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_answer_is_given_up_when_time_is_up_and_no_other_is_called_then() {
        let (script, began) = (Script::new(), Instant::now());
        let called = called(script.after(5, "b", Ok("part")), &ready("a b")).await;
        assert_eq!((by(&called), called.answer), (Some("a"), Err(failed("no answer within 1.0s"))));
        assert_eq!((script.asked_whom(), script.abandoned()), (vec!["a"], vec!["a"]));
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn when_nobody_is_ready_it_is_said_of_each_why() {
        let script = Script::new();
        let candidates = [unready("1", "is starting"), unready("2", "has failed: exit code 1")];
        let called_none = called(&script, &candidates).await;
        let why = "no ready replica (replica 1 is starting, replica 2 has failed: exit code 1)";
        assert_eq!((by(&called_none), called_none.answer), (None, Err(failed(why))));
        assert_eq!(called(&script, &[]).await.answer, Err(failed("no ready replica (none placed)")));
    }
}
