//! The coordinator dies and starts again: what is kept goes on, what runs is found again.

use longshore_core::{AttemptId, Blame, JobState, Ledger, OutcomeRecord, Record, Reply, StageSpec};

use crate::stage::{Stage, gather, given, item, job_id, map, only, outcomes, reply, spec, worker_id};

#[test]
fn running_work_is_not_given_out_again_while_its_worker_may_come_back() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    let attempt = only(&out);
    let mut it = it.restart(2);
    assert!(given(&it.join(2, 1)).is_empty());
    assert!(given(&it.hello(1, 1, 1, &[attempt], &[])).is_empty());
    let out = it.succeeds(1, &attempt, 1);
    assert_eq!(outcomes(&out), 1);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn work_starts_at_once_when_everybody_is_back() {
    let mut it = Stage::new();
    it.join(1, 1);
    let mut it = it.restart(2);
    it.submit(1, spec(&[map()]), 1);
    assert_eq!(given(&it.join(1, 1)).len(), 1);
}

#[test]
fn who_does_not_come_back_is_waited_for_only_so_long() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 1);
    it.submit(1, spec(&[map()]), 1);
    let mut it = it.restart(2);
    it.join(2, 1);
    assert_eq!(it.core.next_deadline_ms(), Some(500));
    let out = it.wait(500);
    assert_eq!(out.records, [Record::WorkerGone(worker_id(1))]);
    assert_eq!(given(&out).len(), 1);
}

#[test]
fn attempts_of_different_starts_are_never_mistaken() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map()]), 1);
    let first = only(&it.join(1, 1));
    let mut it = it.restart(2);
    let second = only(&it.hello(1, 2, 1, &[], &[]));
    assert_eq!(first.id, AttemptId { epoch: 1, number: 1 });
    assert_eq!(second.id, AttemptId { epoch: 2, number: 1 });
    let out = it.succeeds(1, &first, 1);
    assert!(out.records.is_empty());
}

#[test]
fn failures_are_still_counted_after_a_restart() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    it.fails(1, &only(&out), Blame::Item);
    let mut it = it.restart(2);
    let out = it.join(1, 1);
    assert_eq!(only(&out).attempt, 2);
    it.fails(1, &only(&out), Blame::Item);
    assert_eq!(it.state(1), JobState::Failed);
}

#[test]
fn a_key_is_known_after_a_restart() {
    let mut it = Stage::new();
    it.submit_with_key(1, "key", spec(&[map()]), 1);
    let mut it = it.restart(2);
    let out = it.submit_with_key(2, "key", spec(&[map()]), 1);
    assert_eq!(reply(&out), &Reply::Submitted { job: job_id(1), existed: true });
}

#[test]
fn items_that_came_of_outputs_are_there_after_a_restart() {
    let mut it = Stage::new();
    it.join(1, 1);
    let one = StageSpec { max_parallel: 1, ..map() };
    let out = it.submit(1, spec(&[map(), one]), 1);
    it.succeeds(1, &only(&out), 3);
    let mut it = it.restart(2);
    let out = it.join(1, 1);
    assert_eq!(it.counts(1, 1).items, 3);
    it.do_everything(1, out, 1);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn an_ended_job_stays_ended() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map()]), 1);
    it.cancel(1);
    let mut it = it.restart(2);
    assert!(given(&it.join(1, 1)).is_empty());
    assert_eq!(it.state(1), JobState::Cancelled);
}

#[test]
fn a_failure_makes_no_items_whatever_is_kept_of_it() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map(), map()]), 1);
    let outcome = OutcomeRecord { outputs: 2, ..OutcomeRecord::ended(item(1, 0, 0), false, Vec::new()) };
    it.records.push(Record::Outcome(outcome));
    let it = it.restart(2);
    assert_eq!((it.counts(1, 0).failed, it.counts(1, 1).items), (1, 0));
}

#[test]
fn a_gather_item_that_is_tried_again_is_as_new_after_a_restart_too() {
    let once = StageSpec { attempts: 1, ..gather() };
    let mut it = Stage::new();
    it.join(1, 1);
    let part = only(&it.submit(1, spec(&[map(), once]), 1));
    let whole = only(&it.succeeds(1, &part, 1));
    it.fails(1, &whole, Blame::Item);
    it.retry(1);
    let mut loaded = Ledger::default();
    // The failed outcome is no longer kept.
    let kept = it.records.iter().filter(|record| match record {
        Record::Outcome(outcome) => outcome.success,
        Record::OutcomeGone(_) => false,
        _ => true,
    });
    kept.for_each(|record| loaded.apply(record));
    assert_eq!(it.core.ledger(), &loaded);
}
