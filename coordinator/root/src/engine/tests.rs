//! Whole queries, over replicas that answer as they are told to.

use super::*;
use crate::{
    coverage::NOT_AWAITED,
    join::Join,
    scripted::{Named, Script, failed, ready, unready},
    share::Share,
};

const SECOND: Duration = Duration::from_secs(1);

/// A service of shards, each with replicas of these names; and of merges, if there are any.
fn service(shards: &[&'static str], merges: Option<&'static str>) -> Topology<Named> {
    Topology {
        shards: shards.iter().map(|names| ready(names)).collect(),
        merges: merges.map(ready),
        ..Topology::default()
    }
}

fn request(require: Require) -> Request {
    Request { body: Bytes::from("query"), head: Heads::default(), deadline: 10 * SECOND, require }
}

async fn ask(
    script: &Arc<Script>,
    topology: &Topology<Named>,
    require: Require,
) -> Result<Answer<Named>, QueryError<Named>> {
    let transport: Arc<Script> = Arc::clone(script);
    Engine::new(transport, Limits::default()).query(topology, request(require), &Account::unbounded()).await
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
    assert_eq!(answer.whole(), "one two three");
    assert!(answer.coverage.is_complete());
    assert_eq!(answer.total, Duration::from_millis(300));
    let latencies: Vec<u128> = answer.coverage.parts.iter().map(|part| part.latency.as_millis()).collect();
    assert_eq!(latencies, [300, 100, 200]);
    let leaf = |name| (name, Call::Leaf(Bytes::from("query").into()), 10 * SECOND);
    assert_eq!(script.asked(), ["a", "b", "c"].map(leaf));
}

#[tokio::test(start_paused = true)]
async fn a_shard_whose_replica_fails_is_answered_by_another() {
    let script = Script::new();
    script.after(5, "a1", Err(failed("broken"))).after(5, "a2", Ok("one ")).after(5, "b", Ok("two"));
    let answer = ask(&script, &service(&["a1 a2", "b"], None), Require::All).await.unwrap();
    assert_eq!(answer.whole(), "one two");
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
    let QueryError::TooFewParts {
        required: Required::Parts(2),
        coverage,
        timed_out: false,
        refused: false,
        no_room: false,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(told(&coverage), [(None, Some(NOT_AWAITED)), (Some("b"), Some("failed: broken"))]);
}

#[tokio::test(start_paused = true)]
async fn once_there_is_enough_the_rest_is_waited_for_as_long_again_and_no_longer() {
    let script = Script::new();
    script.after(50, "a", Err(failed("broken"))).after(190, "b", Ok("two")).after(100, "c", Ok("three"));
    let topology = service(&["a", "b", "c", "hangs"], None);
    let half = ask(&script, &topology, Require::Count(1)).await.unwrap();
    assert_eq!((half.whole(), half.total), (Bytes::from("twothree"), Duration::from_millis(200)));
    assert_eq!((half.coverage.answered(), half.coverage.is_complete()), (2, false));
    let missing = "shard 0: failed: broken; shard 3: no answer within 200.0ms, 100ms after there was enough";
    assert_eq!(half.coverage.missing(), missing);
    assert_eq!(script.abandoned(), ["hangs"]);
    // Whoever wants whatever there is by the deadline, waits for it.
    assert_eq!(ask(&script, &topology, Require::Deadline).await.unwrap().total, 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn when_all_have_answered_nobody_waits() {
    let script = Script::new();
    script.after(50, "a", Err(failed("broken"))).after(100, "b", Ok("two"));
    let half = ask(&script, &service(&["a", "b"], None), Require::Fraction(0.5)).await.unwrap();
    assert_eq!((half.total, half.coverage.missing().as_str()), (Duration::from_millis(100), "shard 0: failed: broken"));
}

/// A part that says itself that it has so much of so much.
fn in_part(text: &'static str, amount: &str) -> Result<Part, CallError> {
    Ok(Part { message: Bytes::from(text).into(), share: Share::said(true, Some(amount), "shard 1: dead"), read: None })
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_partial_itself_is_no_whole_one() {
    let script = Script::new();
    script.after_part(5, "a", in_part("half", "1/2")).after(5, "b", Ok("whole"));
    let topology = service(&["a", "b"], None);
    let refused = ask(&script, &topology, Require::All).await.unwrap_err().to_string();
    assert!(refused.contains("2 are required (shard 0: answered in part (1/2): shard 1: dead)"), "{refused}");
    let partial = ask(&script, &topology, Require::Fraction(0.75)).await.unwrap();
    assert_eq!(partial.whole(), "halfwhole");
    let Coverage { parts, .. } = &partial.coverage;
    assert_eq!((partial.coverage.is_complete(), partial.coverage.answered(), parts[0].size), (false, 1, 4));
    assert!((partial.coverage.covered() - 0.75).abs() < 1e-9);
    assert!(ask(&script, &topology, Require::Fraction(0.76)).await.is_err());
    assert!(ask(&script, &topology, Require::Count(2)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_merge_that_says_it_left_something_out_makes_the_answer_partial() {
    let script = Script::new();
    script.after(5, "a", Ok("one")).after_part(5, "m", in_part("some", "3/4"));
    let answer = ask(&script, &service(&["a"], Some("m")), Require::All).await.unwrap();
    assert!(!answer.coverage.is_complete());
    assert!((answer.coverage.covered() - 0.75).abs() < 1e-9);
    assert_eq!(answer.coverage.missing(), "the merge answered in part (3/4): shard 1: dead");
}

#[tokio::test(start_paused = true)]
async fn a_heavy_shard_counts_for_more() {
    let script = Script::new();
    script.after(5, "a", Ok("heavy")).after(5, "b", Err(failed("broken")));
    let topology = Topology { weights: vec![9, 1], ..service(&["a", "b"], None) };
    let answer = ask(&script, &topology, Require::Fraction(0.9)).await.unwrap();
    assert!((answer.coverage.covered() - 0.9).abs() < 1e-9);
    let refused = ask(&script, &topology, Require::Fraction(0.95)).await.unwrap_err().to_string();
    assert!(refused.contains("1 of 2 shards answered, a share of 0.95 by weight is required"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn parts_that_cannot_be_read_are_missing_from_what_is_joined_as_json() {
    let script = Script::new();
    script.after(5, "a", Ok("[1, 2]")).after(5, "b", Ok("oops")).after(5, "c", Ok("3"));
    let topology = Topology { join: Join::Array, ..service(&["a", "b", "c"], None) };
    let answer = ask(&script, &topology, Require::Count(2)).await.unwrap();
    assert_eq!((answer.whole(), answer.coverage.answered()), (Bytes::from("[1,2,3]"), 2));
    assert_eq!(answer.head[http::header::CONTENT_TYPE], "application/json");
    let missing = answer.coverage.missing();
    assert!(missing.starts_with("shard 1: its answer cannot be merged (json-array): it is no JSON"), "{missing}");
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_bytes_goes_with_them() {
    let head = |value| HeaderMap::from_iter([(http::header::CONTENT_TYPE, http::HeaderValue::from_static(value))]);
    let part = |kind| Ok(Part { message: Message { head: head(kind), body: Bytes::from("x") }, ..Part::default() });
    let script = Script::new();
    script.after_part(5, "a", part("text/csv")).after_part(5, "m", part("text/html"));
    let heads = Heads { leaf: head("query/leaf"), merge: head("query/merge") };
    let engine = Engine::new(Arc::clone(&script) as Arc<dyn Transport<Named>>, Limits::default());
    let asked = Request { head: heads.clone(), ..request(Require::All) };
    let answer = engine.query(&service(&["a"], Some("m")), asked, &Account::unbounded()).await.unwrap();
    assert_eq!(answer.head, head("text/html"));
    let asked = script.asked();
    assert_eq!(asked[0].1, Call::Leaf(Message { head: heads.leaf, body: Bytes::from("query") }));
    let parts = vec![(0, Message { head: head("text/csv"), body: Bytes::from("x") })];
    assert_eq!(asked[1].1, Call::Merge { head: heads.merge, parts });
}

#[tokio::test(start_paused = true)]
async fn a_merge_that_takes_too_long_is_late() {
    let script = Script::new();
    script.after(5, "a", Ok("one")).after(9_900, "m1", Err(failed("lost")));
    for merges in ["m", "m1"] {
        let error = ask(&script, &service(&["a"], Some(merges)), Require::All).await.unwrap_err();
        let late = matches!(error, QueryError::Merge { cause: CallError::Late(_), .. });
        assert_eq!(late, merges == "m", "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_what_has_come_is_the_answer() {
    let script = Script::new();
    script.after(5, "b", Ok("two"));
    let topology = service(&["a", "b"], None);
    let answer = ask(&script, &topology, Require::Deadline).await.unwrap();
    assert_eq!((answer.whole(), answer.total), (Bytes::from("two"), 10 * SECOND));
    assert!(answer.coverage.missing().ends_with("no answer within 10.0s"), "{:?}", answer.coverage);
    // And it is too little for whoever wants all.
    let error = ask(&script, &topology, Require::All).await.unwrap_err();
    assert!(matches!(error, QueryError::TooFewParts { timed_out: true, refused: false, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_not_enough_at_the_deadline_either() {
    let error = ask(&Script::new(), &service(&["a", "b"], None), Require::Deadline).await.unwrap_err();
    assert!(
        matches!(error, QueryError::TooFewParts { required: Required::Parts(1), timed_out: true, .. }),
        "{error:?}"
    );
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
    let topology = Topology { shards: vec![vec![unready("a", "is starting")], ready("b")], ..Topology::default() };
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
    assert_eq!(answer.whole(), "merged");
    assert_eq!((answer.merge, answer.total), (Duration::from_millis(300), Duration::from_millis(320)));
    assert_eq!(answer.coverage.answered(), 2);
    let parts = Call::Merge {
        head: HeaderMap::new(),
        parts: vec![(0, Bytes::from("one").into()), (2, Bytes::from("three").into())],
    };
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
    assert_eq!((answer.total, answer.whole()), (Duration::from_millis(9_900), Bytes::from("merged")));
    assert_eq!(script.asked()[0].2, 9 * SECOND);
    // Of a short deadline only a fifth.
    let engine = Engine::new(Arc::clone(&script) as Arc<dyn Transport<Named>>, Limits::default());
    let short = Request { deadline: SECOND, ..request(Require::Deadline) };
    assert!(engine.query(&topology, short, &Account::unbounded()).await.is_err());
    assert_eq!(script.asked()[3].2, Duration::from_millis(800));
}

#[tokio::test(start_paused = true)]
async fn parts_that_are_too_large_together_end_the_query() {
    let script = Script::new();
    script.after(5, "a", Ok("12345")).after(10, "b", Ok("67890"));
    let limits = Limits { parts_bytes: 9 };
    let engine = Engine::new(Arc::clone(&script) as Arc<dyn Transport<Named>>, limits);
    let error =
        engine.query(&service(&["a", "b", "c"], None), request(Require::All), &Account::unbounded()).await.unwrap_err();
    assert_eq!(error, QueryError::PartsTooLarge { limit: 9, shard: 1 });
    assert_eq!(script.abandoned(), ["c"]);
}

/// A merge that takes parts up as they come.
fn streaming(shards: &[&'static str], merges: &'static str) -> Topology<Named> {
    Topology { streams: true, ..service(shards, Some(merges)) }
}

/// It answers with what it was given, of which it has read so many.
fn has_read(parts: u32) -> Result<Part, CallError> {
    Ok(Part { read: Some(parts), ..Part::default() })
}

#[tokio::test(start_paused = true)]
async fn a_merge_that_streams_is_given_parts_as_they_come_and_answers_after_the_last() {
    let script = Script::new();
    script.after(300, "a", Ok("one ")).after(100, "b", Ok("two ")).after(20, "m", Ok(""));
    let answer = ask(&script, &streaming(&["a", "b"], "m"), Require::All).await.unwrap();
    assert_eq!((answer.whole(), answer.total), (Bytes::from("two one "), Duration::from_millis(320)));
    assert!(answer.coverage.is_complete());
    // It was asked with the first part, not with the last.
    assert_eq!(script.asked()[2].2, 10 * SECOND - Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn once_a_merge_has_had_enough_the_others_are_given_up_and_only_what_it_read_is_in_the_answer() {
    let script = Script::new();
    script.after(100, "a", Ok("one ")).after(50, "b", Ok("two ")).after(101, "late", Ok("late "));
    script.after_part(5, "m", has_read(2)).reads("m", 2);
    let topology = streaming(&["a", "b", "hangs", "late"], "m");
    let answer = ask(&script, &topology, Require::Deadline).await.unwrap();
    assert_eq!((answer.whole(), answer.total), (Bytes::from("two one "), Duration::from_millis(105)));
    assert_eq!(script.abandoned(), ["hangs"]);
    assert_eq!((answer.coverage.answered(), answer.coverage.is_complete()), (2, false));
    let missing = "shard 2: not waited for, since the merge had enough; shard 3: it came when the merge had enough";
    assert_eq!(answer.coverage.missing(), missing);
    assert!((answer.coverage.covered() - 0.5).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn the_rule_holds_for_what_a_merge_has_read() {
    let script = Script::new();
    script.after(100, "a", Ok("one ")).after(50, "b", Ok("two ")).after_part(5, "m", has_read(1)).reads("m", 1);
    let refused = ask(&script, &streaming(&["a", "b"], "m"), Require::All).await.unwrap_err().to_string();
    assert!(refused.starts_with("1 of 2 shards answered, 2 are required (shard 0: not waited for"), "{refused}");
    // Also where all were there when it answered.
    script.after_part(500, "m", has_read(1));
    let refused = ask(&script, &streaming(&["a", "b"], "m"), Require::All).await.unwrap_err().to_string();
    assert!(refused.contains("shard 0: it came when the merge had enough"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_merge_that_answers_early_without_a_word_is_never_taken_for_a_whole_answer() {
    let script = Script::new();
    script.after(50, "a", Ok("one ")).after(5, "m", Ok("")).reads("m", 1);
    let answer = ask(&script, &streaming(&["a", "hangs"], "m"), Require::Count(1)).await.unwrap();
    assert!(!answer.coverage.is_complete() && answer.coverage.covered() < 1e-9, "{:?}", answer.coverage);
    assert!(answer.coverage.missing().contains("did not say which it has"), "{:?}", answer.coverage.missing());
}

#[tokio::test(start_paused = true)]
async fn a_merge_that_fails_in_the_middle_is_followed_by_another_that_reads_all_parts_again() {
    let script = Script::new();
    script.after(50, "a", Ok("one ")).after(200, "b", Ok("two "));
    script.after(10, "m1", Err(failed("lost"))).reads("m1", 1).after(10, "m2", Ok(""));
    for merges in ["m1 m2", "m1"] {
        let answer = ask(&script, &streaming(&["a", "b"], merges), Require::All).await;
        match answer {
            Ok(answer) => assert_eq!((merges, answer.whole()), ("m1 m2", Bytes::from("one two "))),
            Err(error) => assert_eq!((merges, &*error.to_string()), ("m1", "the merge container failed: lost")),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_too_few_shards_answer_no_merge_that_streams_is_waited_for() {
    let script = Script::new();
    script.after(50, "a", Ok("one ")).after(60, "b", Err(failed("broken"))).after(5, "m", Ok(""));
    let began = Instant::now();
    let error = ask(&script, &streaming(&["a", "b"], "m"), Require::All).await.unwrap_err();
    assert!(matches!(error, QueryError::TooFewParts { timed_out: false, .. }), "{error:?}");
    assert_eq!((began.elapsed().as_millis(), script.abandoned()), (60, vec!["m"]));
    // Nobody's part has come: no merge is asked.
    let script = Script::new();
    script.after(60, "b", Err(failed("broken")));
    assert!(ask(&script, &streaming(&["b"], "m"), Require::All).await.is_err());
    assert_eq!(script.asked_whom(), ["b"]);
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
