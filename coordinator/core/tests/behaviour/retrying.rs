//! Retries of any number of items, in slices.

use longshore_core::{Blame, JobState, Only, Record, Refusal, Reply};

use crate::stage::{Stage, gather, given, job_id, map, only, reply, spec};

/// A job of one try each, all of whose items but the first have failed; the second stage is there for what succeeded.
fn failed(items: u64) -> Stage {
    let mut it = Stage::new();
    let mut todo = given(&{
        it.join(1, 8);
        it.submit(1, spec(&[map(), gather()]), items)
    });
    while let Some((_, attempt)) = todo.pop() {
        let out = match attempt.item.index {
            0 => it.succeeds_after(1, &attempt, 100, 1),
            _ => it.fails(1, &attempt, Blame::Hopeless),
        };
        todo.extend(given(&out));
    }
    assert_eq!(it.state(1), JobState::Failed);
    it
}

fn put_back(records: &[Record]) -> usize {
    records.iter().filter(|record| matches!(record, Record::OutcomeGone(_))).count()
}

#[test]
fn many_items_are_put_back_in_slices_and_all_are_told_at_once() {
    let mut it = failed(2_501);
    it.goodbye(1);
    let out = it.retry(1);
    assert_eq!(reply(&out), &Reply::Retried { failed: 2_500, unended: 0 });
    assert_eq!(put_back(&out.records), 1_000);
    assert_eq!((it.counts(1, 0).failed, it.counts(1, 0).queued), (1_500, 1_000));
    let mut it = it.restart(2);
    assert_eq!(put_back(&it.wait(1).records), 1_000, "a start goes on with it");
    assert_eq!(put_back(&it.wait(1).records), 500);
    assert!(!it.core.has_chores());
    assert_eq!((it.counts(1, 0).failed, it.counts(1, 0).queued), (0, 2_500));
}

#[test]
fn nothing_is_complete_before_all_are_put_back() {
    let mut it = failed(1_502);
    let mut todo = given(&it.retry(1));
    while let Some((_, attempt)) = todo.pop() {
        assert_eq!(attempt.item.stage, 0, "the rest has not been put back, so there is nothing to gather");
        todo.extend(given(&it.succeeds_after(1, &attempt, 100, 1)));
    }
    assert_eq!((it.state(1), it.counts(1, 0).succeeded), (JobState::Running, 1_001));
    let mut todo = given(&it.wait_with(1, 1));
    while let Some((_, attempt)) = todo.pop() {
        todo.extend(given(&it.succeeds_after(1, &attempt, 100, 1)));
    }
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn a_job_whose_failed_items_are_all_back_when_the_rest_is_looked_at_ends() {
    let mut it = failed(1_001);
    let mut todo = given(&it.retry(1));
    while let Some((_, attempt)) = todo.pop() {
        todo.extend(given(&it.succeeds_after(1, &attempt, 100, 1)));
    }
    let gathers = only(&it.wait_with(1, 1));
    assert_eq!(gathers.item.stage, 1);
    it.succeeds(1, &gathers, 1);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn a_retry_whose_answer_was_lost_is_answered_alike() {
    let mut it = failed(2_001);
    let first = reply(&it.retry(1)).clone();
    assert_eq!(reply(&it.retry(1)), &first);
    it.wait_with(1, 1);
    let out = it.retry(1);
    assert_eq!(reply(&out), &first);
    assert!(out.records.is_empty());
}

#[test]
fn what_failed_and_what_had_not_ended_are_told_apart() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 5));
    let second = only(&it.fails(1, &first, Blame::Hopeless));
    it.succeeds(1, &second, 0);
    it.cancel(1);
    assert_eq!(reply(&it.retry(1)), &Reply::Retried { failed: 1, unended: 3 });
    assert_eq!(it.counts(1, 0).failed, 0);
}

#[test]
fn a_retry_may_be_cancelled_half_way_and_taken_up_again() {
    let mut it = failed(2_501);
    it.goodbye(1);
    it.retry(1);
    assert_eq!(reply(&it.cancel(1)), &Reply::Cancelled);
    assert!(!it.core.has_chores());
    assert_eq!(reply(&it.retry(1)), &Reply::Retried { failed: 1_500, unended: 1_000 });
    assert!(it.core.job_view(job_id(1)).is_some());
}

#[test]
fn tries_are_counted_on() {
    let mut it = Stage::new();
    it.join(1, 1);
    let mut attempt = only(&it.submit(1, spec(&[map()]), 1));
    for tries in [1, 2, 3, 4] {
        assert_eq!(attempt.attempt, tries);
        it.fails(1, &attempt, Blame::Item);
        let out = if tries % 2 == 0 { it.retry(1) } else { it.wait_with(1, 500) };
        if tries == 2 {
            it = it.restart(2);
            attempt = only(&it.join(1, 1));
        } else {
            attempt = only(&out);
        }
    }
    assert_eq!(attempt.attempt, 5, "a start, and another retry, count on");
    it.succeeds(1, &attempt, 1);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn an_item_whose_failure_was_not_to_be_tried_again_is_counted_on_too() {
    let mut it = failed(2);
    let attempt = only(&it.retry(1));
    assert_eq!(attempt.attempt, 2);
}

#[test]
fn one_stage_or_one_item_alone_is_put_back() {
    let one = |index| Only { stage: 0, index: Some(index) };
    let mut it = failed(4);
    assert_eq!(reply(&it.retry_only(1, one(0))), &Reply::Refused(Refusal::NothingFailed(job_id(1))), "it is well");
    assert_eq!(reply(&it.retry_only(1, one(9))), &Reply::Refused(Refusal::NothingFailed(job_id(1))), "there is none");
    let none = Only { stage: 2, index: None };
    assert_eq!(reply(&it.retry_only(1, none)), &Reply::Refused(Refusal::NoSuchStage { job: job_id(1), stage: 2 }));
    let out = it.retry_only(1, one(2));
    assert_eq!(reply(&out), &Reply::Retried { failed: 1, unended: 0 });
    assert_eq!((only(&out).item.index, it.counts(1, 0).failed, it.core.has_chores()), (2, 2, false));
    it.succeeds(1, &only(&out), 1);
    assert_eq!(it.state(1), JobState::Failed, "the others are as they were");
    let whole = Only { stage: 0, index: None };
    assert_eq!(
        reply(&it.retry_only(1, Only { stage: 1, ..whole })),
        &Reply::Refused(Refusal::NothingFailed(job_id(1)))
    );
    assert_eq!(reply(&it.retry_only(1, whole)), &Reply::Retried { failed: 2, unended: 0 });
    assert_eq!(it.counts(1, 0).failed, 0);
}

#[test]
fn a_start_amid_it_puts_back_no_more_than_was_asked_for() {
    let mut it = failed(3_001);
    it.goodbye(1);
    it.retry_only(1, Only { stage: 0, index: None });
    let mut it = it.restart(2);
    while it.core.has_chores() {
        it.wait(1);
    }
    assert_eq!(it.counts(1, 0).failed, 0);
    let mut it = failed(3_001);
    it.goodbye(1);
    it.retry_only(1, Only { stage: 0, index: Some(3_000) });
    assert_eq!((it.core.has_chores(), it.counts(1, 0).failed), (false, 2_999), "it is found at once");
}
