//! Exactly one commit: whatever runs twice, late, or elsewhere.

use longshore_core::{Assignment, Blame, End, Fault, Finished, Input, Notice, Outbox, Record};

use crate::stage::{Stage, gather, given, job_id, life, map, only, outcomes, settled, spec, worker_id};

/// A stage on which one attempt runs on worker 1.
fn running() -> (Stage, Assignment) {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    let attempt = only(&out);
    (it, attempt)
}

#[test]
fn a_completion_is_kept_before_it_is_settled() {
    let (mut it, attempt) = running();
    let out = it.succeeds(1, &attempt, 1);
    assert_eq!(outcomes(&out), 1);
    assert_eq!(settled(&out), [attempt.id]);
}

#[test]
fn a_repeated_completion_is_settled_without_effect() {
    let (mut it, attempt) = running();
    it.succeeds(1, &attempt, 1);
    let out = it.succeeds(1, &attempt, 1);
    assert!(out.records.is_empty());
    assert_eq!(settled(&out), [attempt.id]);
}

#[test]
fn late_completion_is_discarded() {
    let (mut it, attempt) = running();
    it.now_ms += 1_001;
    it.join(2, 1);
    let out = it.step(Input::Tick);
    let second = only(&out);
    it.hello(1, 1, 1, &[attempt], &[]);
    let out = it.succeeds(1, &attempt, 1);
    assert!(out.records.is_empty());
    assert_eq!(settled(&out), [attempt.id]);
    let out = it.succeeds(2, &second, 1);
    assert_eq!(outcomes(&out), 1);
}

#[test]
fn a_completion_by_another_worker_is_discarded() {
    let (mut it, attempt) = running();
    it.join(2, 1);
    let out = it.succeeds(2, &attempt, 1);
    assert!(out.records.is_empty());
    assert_eq!(it.counts(1, 0).running, 1);
}

#[test]
fn a_completion_of_an_earlier_life_is_ignored() {
    let (mut it, attempt) = running();
    it.hello(1, 2, 1, &[], &[]);
    let out = it.succeeds(1, &attempt, 1);
    assert_eq!((out.records.len(), out.orders.len()), (0, 0));
}

#[test]
fn a_completion_that_names_another_item_commits_nothing() {
    let (mut it, attempt) = running();
    let mut other = attempt;
    other.item.index = 7;
    let out = it.succeeds(1, &other, 1);
    assert_eq!(outcomes(&out), 0);
    assert_eq!(settled(&out), [attempt.id]);
    assert_eq!(only(&out).item, attempt.item, "it is tried again");
}

#[test]
fn watchers_hear_that_an_attempt_ended_as_another_items() {
    let (mut it, attempt) = running();
    it.link_lost(1);
    let mut other = attempt;
    other.item.index = 7;
    let out = it.succeeds(1, &other, 1);
    assert_eq!(it.counts(1, 0).running, 0);
    assert_eq!(out.notices, [Notice::Job(job_id(1))]);
}

#[test]
fn of_two_ends_in_one_message_the_first_counts() {
    let (mut it, attempt) = running();
    let end = |end| Finished { id: attempt.id, item: attempt.item, end, run_us: 1 };
    let results = vec![
        end(End::Succeeded { outputs: 1, detail: vec![1] }),
        end(End::Failed { blame: Blame::Hopeless, fault: Fault::default(), detail: vec![2] }),
    ];
    let out = it.step(Input::Finished { worker: worker_id(1), incarnation: life(1), results });
    let kept: Vec<_> =
        out.records.iter().filter(|record| matches!(record, Record::Outcome(it) if it.success)).collect();
    assert_eq!((kept.len(), outcomes(&out)), (1, 1));
}

#[test]
fn a_returned_attempt_counts_for_nothing() {
    let (mut it, attempt) = running();
    let out = it.ends(1, &attempt, End::Returned);
    assert!(out.records.is_empty());
    assert_eq!(only(&out).attempt, 1);
    assert_ne!(only(&out).id, attempt.id);
}

#[test]
fn success_ends_all_trouble() {
    let (mut it, attempt) = running();
    it.fails(1, &attempt, Blame::Item);
    let out = it.wait(400);
    let out = it.succeeds(1, &only(&out), 1);
    assert!(out.records.contains(&Record::TroubleGone(attempt.item)));
    assert!(given(&out).is_empty());
    let (mut it, attempt) = running();
    let out = it.succeeds(1, &attempt, 1);
    assert!(!out.records.contains(&Record::TroubleGone(attempt.item)), "there was none");
}

#[test]
fn only_outputs_that_become_items_have_a_first_child() {
    let mut it = Stage::new();
    it.join(1, 3);
    let out = it.submit(1, spec(&[map(), map(), gather()]), 3);
    let attempts: Vec<Assignment> = given(&out).into_iter().map(|(_, attempt)| attempt).collect();
    let first_child = |out: &Outbox| match out.records.as_slice() {
        [Record::Outcome(outcome), ..] => outcome.first_child,
        other => panic!("{other:?}"),
    };
    assert_eq!(first_child(&it.succeeds(1, &attempts[0], 2)), 0);
    assert_eq!(first_child(&it.succeeds(1, &attempts[1], 1)), 2);
    assert_eq!(first_child(&it.fails(1, &attempts[2], Blame::Hopeless)), 0);
}
