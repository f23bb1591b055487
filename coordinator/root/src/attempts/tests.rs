//! One call at a time, over replicas that answer as they are told to.

use super::*;
use crate::scripted::{Named, Script, failed, lost, ready, unready};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A service whose queries are asked one after the other.
struct World {
    script: Arc<Script>,
    balance: Balance<Named>,
    experience: Experience,
    candidates: Vec<Candidate<Named>>,
}

impl World {
    fn of(script: &Arc<Script>, candidates: Vec<Candidate<Named>>) -> Self {
        let (balance, experience) = (Balance::new(7), Experience::default());
        Self { script: Arc::clone(script), balance, experience, candidates }
    }

    /// Calls one of these, within a second.
    async fn ask(&self, query: &'static str) -> Called<Named> {
        let (query, account) = (Bytes::from_static(query.as_bytes()), &Account::unbounded());
        let means = Means {
            balance: &self.balance,
            transport: &*self.script,
            experience: &self.experience,
            query: &query,
            account,
        };
        call_any(&means, &self.candidates, Call::Leaf(query.clone().into()), Instant::now() + SECOND).await
    }

    /// Who is asked for one more query.
    async fn whom(&self, query: &'static str) -> Vec<&'static str> {
        let before = self.script.asked().len();
        self.ask(query).await;
        self.script.asked_whom().split_off(before)
    }
}

async fn called(script: &Arc<Script>, candidates: Vec<Candidate<Named>>) -> Called<Named> {
    World::of(script, candidates).ask("query").await
}

fn by(called: &Called<Named>) -> Option<&'static str> {
    called.target.as_ref().map(|target| target.0)
}

#[tokio::test(start_paused = true)]
async fn where_one_fails_or_is_busy_the_next_is_called_within_the_time_that_is_left() {
    let script = Script::new();
    script.after(200, "a", Err(failed("broken"))).after(5, "b", Ok("part"));
    let answered = called(&script, ready("a b")).await;
    assert_eq!((&answered.answer, by(&answered)), (&Ok(Bytes::from("part").into()), Some("b")));
    let times: Vec<_> = script.asked().into_iter().map(|(name, _, left)| (name, left.as_millis())).collect();
    assert_eq!(times, [("a", 1_000), ("b", 800)]);
    let script = Script::new();
    script.after(5, "a", Err(CallError::Busy("full".to_owned()))).after(5, "b", Ok("part"));
    assert_eq!(by(&called(&script, ready("a b")).await), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_everybodys() {
    let refusal = CallError::Refused("no query".to_owned());
    let script = Script::new();
    let called = called(script.after(5, "a", Err(refusal.clone())).after(5, "b", Ok("part")), ready("a b")).await;
    assert_eq!((called.answer, script.asked_whom()), (Err(refusal), vec!["a"]));
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_the_last_says_why_and_none_is_called_twice() {
    let script = Script::new();
    let called = called(script.after(5, "a", Err(failed("one"))).after(5, "b", Err(failed("two"))), ready("a b")).await;
    assert_eq!((by(&called), called.answer), (Some("b"), Err(failed("two"))));
    assert_eq!(script.asked_whom(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_answer_is_given_up_when_time_is_up_and_no_other_is_called_then() {
    let (script, began) = (Script::new(), Instant::now());
    let called = called(script.after(5, "b", Ok("part")), ready("a b")).await;
    assert_eq!((by(&called), called.answer), (Some("a"), Err(CallError::Late("no answer within 1.0s".to_owned()))));
    assert_eq!((script.asked_whom(), script.abandoned()), (vec!["a"], vec!["a"]));
    assert_eq!(began.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn when_nobody_is_ready_it_is_said_of_each_why() {
    let script = Script::new();
    let candidates = vec![unready("1", "is starting"), unready("2", "has failed: exit code 1")];
    let called_none = called(&script, candidates).await;
    let why = "no ready replica (replica 1 is starting, replica 2 has failed: exit code 1)";
    assert_eq!((by(&called_none), called_none.answer), (None, Err(failed(why))));
    assert_eq!(called(&script, Vec::new()).await.answer, Err(failed("no ready replica (none placed)")));
}

#[tokio::test(start_paused = true)]
async fn a_hung_replica_costs_one_query_its_time_and_no_more() {
    let script = Script::new();
    let world = World::of(script.after(5, "b", Ok("part")), ready("a b"));
    let mut failures = 0;
    for _ in 0..100 {
        failures += u32::from(world.ask("query").await.answer.is_err());
    }
    assert_eq!(failures, 1);
}

#[tokio::test(start_paused = true)]
async fn repetitions_of_failures_end_with_the_budget() {
    let script = Script::new();
    let world = World::of(script.after(0, "a", Err(failed("a"))).after(0, "b", Err(failed("b"))), ready("a b"));
    for _ in 0..100 {
        assert!(world.ask("query").await.answer.is_err());
    }
    let repeated = script.asked().len() - 100;
    assert!((14..=15).contains(&repeated), "the reserve, and a twentieth of what was asked: {repeated}");
}

#[tokio::test(start_paused = true)]
async fn whoever_was_never_reached_costs_nothing_and_says_nothing_against_it() {
    let script = Script::new();
    script.after(0, "a", Err(CallError::Away("not ready".to_owned()))).after(1, "b", Ok("part"));
    let world = World::of(&script, ready("a b"));
    for _ in 0..100 {
        assert_eq!(by(&world.ask("query").await), Some("b"));
    }
}

#[tokio::test(start_paused = true)]
async fn slow_calls_are_copied_to_another_as_far_as_was_earned() {
    let script = Script::new();
    let world = World::of(script.after(10, "a", Ok("part")).after(10, "b", Ok("part")), ready("a b"));
    for _ in 0..200 {
        world.ask("query").await.answer.unwrap();
    }
    assert_eq!(script.asked().len(), 200, "nobody was slow");
    script.after(900, "a", Ok("part")).after(11, "b", Ok("part"));
    let began = Instant::now();
    let (answered, asked) = (world.ask("query").await, script.asked_whom().split_off(200));
    assert_eq!((by(&answered), asked), (Some("b"), vec!["a", "b"]));
    assert!(began.elapsed() < 30 * MS, "{:?}", began.elapsed());
    assert_eq!(script.abandoned(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_query_that_ends_its_leaf_is_tried_once_more_and_then_not_again_for_a_while() {
    let script = Script::new();
    for name in ["a", "b", "c"] {
        script.after(5, name, Err(lost("exit code 139")));
    }
    let world = World::of(&script, ready("a b c"));
    let first = world.ask("poison").await;
    assert_eq!((first.answer, script.asked().len()), (Err(lost("exit code 139")), 2));
    let again = world.ask("poison").await.answer.unwrap_err();
    assert_eq!(again.again(), Again::Never, "{again}");
    assert!(again.to_string().contains("2 replicas have ended over the same query"), "{again}");
    assert_eq!(script.asked().len(), 2, "nobody was asked");
    for name in ["a", "b", "c"] {
        script.after(5, name, Ok("part"));
    }
    assert_eq!(world.whom("another").await.len(), 1);
    tokio::time::advance(61 * SECOND).await;
    world.ask("poison").await.answer.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_last_ready_replica_is_spared() {
    let script = Script::new();
    script.after(5, "a", Err(lost("exit code 1"))).after(5, "b", Ok("part"));
    let mut world = World::of(&script, ready("a b"));
    let error = world.ask("poison").await.answer.unwrap_err().to_string();
    assert!(error.contains("the last ready replica is not asked after that"), "{error}");
    world.candidates[0].unready = Some("has failed".to_owned());
    assert!(world.ask("poison").await.answer.is_err(), "nor later");
    assert_eq!(script.asked_whom(), ["a"]);
    world.ask("another").await.answer.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_query_that_was_only_near_when_a_replica_ended_is_answered_by_another_and_cleared() {
    let script = Script::new();
    script.after(5, "a", Err(lost("exit code 1"))).after(5, "b", Ok("part")).after(5, "c", Ok("part"));
    let world = World::of(&script, ready("a b c"));
    for _ in 0..20 {
        world.ask("query").await.answer.unwrap();
    }
}
