//! Whole queries, over replicas that answer as they are told to.

use super::*;
use crate::scripted::{Named, Script, failed, ready, unready};

const SECOND: Duration = Duration::from_secs(1);

/// A service of shards, each with replicas of these names; and of merges, if there are any.
fn service(shards: &[&'static str], merges: Option<&'static str>) -> Topology<Named> {
    Topology { shards: shards.iter().map(|names| ready(names)).collect(), merges: merges.map(ready) }
}

fn request(require: Require) -> Request {
    Request { body: Bytes::from("query"), deadline: 10 * SECOND, require }
}

async fn ask(
    script: &Arc<Script>,
    topology: &Topology<Named>,
    require: Require,
) -> Result<Answer<Named>, QueryError<Named>> {
    let transport: Arc<Script> = Arc::clone(script);
    Engine::new(transport, Limits::default()).query(topology, request(require)).await
}

/// For every shard: who answered or was asked last, and why it is missing.
fn told(coverage: &Coverage<Named>) -> Vec<(Option<&'static str>, Option<&str>)> {
    let parts = coverage.parts.iter();
    parts.map(|part| (part.target.as_ref().map(|target| target.0), part.error.as_deref())).collect()
}

#[tokio::test(start_paused = true)]
async fn every_shard_is_asked_at_once_and_parts_are_joined_in_the_order_of_shards() {
    let script = Script::new();
    script.after(300, "a", Ok("one ")).after(100, "b", Ok("two ")).after(200, "c", Ok("three"));
    let answer = ask(&script, &service(&["a", "b", "c"], None), Require::All).await.unwrap();
    assert_eq!(answer.body, "one two three");
    assert!(answer.coverage.is_complete());
    assert_eq!(answer.total, Duration::from_millis(300));
    let latencies: Vec<u128> = answer.coverage.parts.iter().map(|part| part.latency.as_millis()).collect();
    assert_eq!(latencies, [300, 100, 200]);
    let leaf = |name| (name, Call::Leaf(Bytes::from("query")), 10 * SECOND);
    assert_eq!(script.asked(), ["a", "b", "c"].map(leaf));
}

#[tokio::test(start_paused = true)]
async fn a_shard_whose_replica_fails_is_answered_by_another() {
    let script = Script::new();
    script.after(5, "a1", Err(failed("broken"))).after(5, "a2", Ok("one ")).after(5, "b", Ok("two"));
    let answer = ask(&script, &service(&["a1 a2", "b"], None), Require::All).await.unwrap();
    assert_eq!(answer.body, "one two");
    assert_eq!(told(&answer.coverage), [(Some("a2"), None), (Some("b"), None)]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_met_any_more_is_not_waited_for() {
    let (script, began) = (Script::new(), Instant::now());
    script.after(50, "b", Err(failed("broken")));
    let error = ask(&script, &service(&["a", "b"], None), Require::All).await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_millis(50));
    assert_eq!(script.abandoned(), ["a"]);
    assert_eq!(error.to_string(), "0 of 2 shards answered, 2 are required (shard 1: failed: broken)");
    let QueryError::TooFewParts { required: 2, coverage, timed_out: false, refused: false } = error else {
        panic!("{error:?}");
    };
    assert_eq!(told(&coverage), [(None, Some(NOT_AWAITED)), (Some("b"), Some("failed: broken"))]);
}

#[tokio::test(start_paused = true)]
async fn a_partial_answer_says_what_is_missing_and_waits_for_everybody_there_is_time_for() {
    let script = Script::new();
    script.after(50, "a", Err(failed("broken"))).after(9_000, "b", Ok("two")).after(5, "c", Ok("three"));
    let half = ask(&script, &service(&["a", "b", "c"], None), Require::Fraction(0.5)).await.unwrap();
    assert_eq!(half.body, "twothree");
    assert_eq!((half.coverage.answered(), half.coverage.is_complete()), (2, false));
    assert_eq!(half.coverage.missing(), "shard 0: failed: broken");
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_what_has_come_is_the_answer() {
    let script = Script::new();
    script.after(5, "b", Ok("two"));
    let topology = service(&["a", "b"], None);
    let answer = ask(&script, &topology, Require::Deadline).await.unwrap();
    assert_eq!((answer.body, answer.total), (Bytes::from("two"), 10 * SECOND));
    assert!(answer.coverage.missing().ends_with("no answer within 10.0s"), "{:?}", answer.coverage);
    // And it is too little for whoever wants all.
    let error = ask(&script, &topology, Require::All).await.unwrap_err();
    assert!(matches!(error, QueryError::TooFewParts { timed_out: true, refused: false, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_not_enough_at_the_deadline_either() {
    let error = ask(&Script::new(), &service(&["a", "b"], None), Require::Deadline).await.unwrap_err();
    assert!(matches!(error, QueryError::TooFewParts { required: 1, timed_out: true, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_query_is_refused_when_all_that_failed_refused_it() {
    let refusal = || Err(CallError::Refused("no query".to_owned()));
    let script = Script::new();
    script.after(5, "a", refusal()).after(5, "b", Ok("two")).after(6, "c", refusal());
    let topology = service(&["a", "b", "c"], None);
    let error = ask(&script, &topology, Require::Count(2)).await.unwrap_err();
    assert!(matches!(error, QueryError::TooFewParts { refused: true, .. }), "{error:?}");
    let error = ask(script.after(5, "a", Err(failed("broken"))), &topology, Require::Count(2)).await.unwrap_err();
    assert!(matches!(error, QueryError::TooFewParts { refused: false, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_shard_with_no_replica_says_so() {
    let script = Script::new();
    let topology = Topology { shards: vec![vec![unready("a", "is starting")], ready("b")], merges: None };
    let answer = ask(script.after(5, "b", Ok("two")), &topology, Require::Count(1)).await.unwrap();
    let why = "failed: no ready replica (replica a is starting)";
    assert_eq!(told(&answer.coverage), [(None, Some(why)), (Some("b"), None)]);
}

#[tokio::test(start_paused = true)]
async fn a_merge_is_given_the_parts_there_are_and_another_is_asked_when_it_fails() {
    let script = Script::new();
    script.after(20, "a", Ok("one")).after(5, "b", Err(failed("broken"))).after(10, "c", Ok("three"));
    script.after(100, "m1", Err(failed("lost"))).after(200, "m2", Ok("merged"));
    let answer = ask(&script, &service(&["a", "b", "c"], Some("m1 m2")), Require::Count(2)).await.unwrap();
    assert_eq!(answer.body, "merged");
    assert_eq!((answer.merge, answer.total), (Duration::from_millis(300), Duration::from_millis(320)));
    assert_eq!(answer.coverage.answered(), 2);
    let parts = Call::Merge(vec![(0, Bytes::from("one")), (2, Bytes::from("three"))]);
    let left = |millis| 10 * SECOND - Duration::from_millis(millis);
    assert_eq!(script.asked()[3..], [("m1", parts.clone(), left(20)), ("m2", parts, left(120))]);
}

#[tokio::test(start_paused = true)]
async fn parts_that_nobody_can_merge_are_no_answer() {
    let script = Script::new();
    script.after(5, "a", Ok("one")).after(5, "m1", Err(failed("lost"))).after(5, "m2", Err(failed("lost too")));
    let error = ask(&script, &service(&["a"], Some("m1 m2")), Require::All).await.unwrap_err();
    assert_eq!(error.to_string(), "the merge container failed: lost too");
    let QueryError::Merge { coverage, .. } = error else { panic!("{error:?}") };
    assert!(coverage.is_complete());
}

#[tokio::test(start_paused = true)]
async fn time_for_the_merge_is_kept() {
    let script = Script::new();
    script.after(5, "a", Ok("one")).after(900, "m", Ok("merged"));
    let topology = service(&["a", "b"], Some("m"));
    let answer = ask(&script, &topology, Require::Deadline).await.unwrap();
    assert_eq!((answer.total, answer.body), (Duration::from_millis(9_900), Bytes::from("merged")));
    assert_eq!(script.asked()[0].2, 9 * SECOND);
    // Of a short deadline only a fifth.
    let engine = Engine::new(Arc::clone(&script) as Arc<dyn Transport<Named>>, Limits::default());
    let short = Request { deadline: SECOND, ..request(Require::Deadline) };
    assert!(engine.query(&topology, short).await.is_err());
    assert_eq!(script.asked()[3].2, Duration::from_millis(800));
}

#[tokio::test(start_paused = true)]
async fn parts_that_are_too_large_together_end_the_query() {
    let script = Script::new();
    script.after(5, "a", Ok("12345")).after(10, "b", Ok("67890"));
    let limits = Limits { parts_bytes: 9, ..Limits::default() };
    let engine = Engine::new(Arc::clone(&script) as Arc<dyn Transport<Named>>, limits);
    let error = engine.query(&service(&["a", "b", "c"], None), request(Require::All)).await.unwrap_err();
    assert_eq!(error, QueryError::PartsTooLarge { limit: 9, shard: 1 });
    assert_eq!(script.abandoned(), ["c"]);
}

#[tokio::test(start_paused = true)]
async fn a_query_that_is_dropped_abandons_its_calls() {
    let script = Script::new();
    let topology = service(&["a", "b"], None);
    let asked = tokio::time::timeout(SECOND, ask(&script, &topology, Require::All)).await;
    assert!(asked.is_err());
    let mut abandoned = script.abandoned();
    abandoned.sort_unstable();
    assert_eq!(abandoned, ["a", "b"]);
}
