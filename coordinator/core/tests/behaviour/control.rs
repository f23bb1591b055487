//! Jobs that rest, go on, and run by other terms.

use longshore_core::{Change, Control, JobState, Refusal, Reply};

use crate::stage::{Stage, asked_back, given, item, job_id, map, only, reply, spec, stopped};

fn change(priority: Option<i32>, max_parallel: &[(u16, u32)]) -> Control {
    Control::Change { job: job_id(1), change: Change { priority, max_parallel: max_parallel.to_vec() } }
}

#[test]
fn nothing_of_a_paused_job_is_given_out_and_what_runs_goes_on() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 2));
    let out = it.pause(1);
    assert_eq!(reply(&out), &Reply::Done);
    assert!(stopped(&out).is_empty());
    assert!(given(&it.succeeds(1, &first, 0)).is_empty(), "it rests");
    let paused = it.view(1).record.paused.expect("it says so");
    assert_eq!((paused.why.as_str(), paused.stop), ("lunch", false));
    let out = it.resume(1);
    assert_eq!(only(&out).item, item(1, 0, 1));
    assert!(it.view(1).record.paused.is_none());
}

#[test]
fn pausing_and_resuming_again_are_answered_alike() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map()]), 1);
    for _ in 0..2 {
        assert_eq!(reply(&it.pause(1)), &Reply::Done);
    }
    assert!(it.pause(1).records.is_empty(), "nothing is different");
    for _ in 0..2 {
        assert_eq!(reply(&it.resume(1)), &Reply::Done);
    }
    assert!(it.resume(1).records.is_empty());
    for _ in 0..2 {
        assert_eq!(reply(&it.cancel(1)), &Reply::Cancelled);
    }
    assert!(it.cancel(1).records.is_empty());
    assert_eq!(reply(&it.pause(1)), &Reply::Refused(Refusal::JobHasEnded(job_id(1))));
    assert_eq!(reply(&it.resume(1)), &Reply::Refused(Refusal::JobHasEnded(job_id(1))));
    assert_eq!(reply(&it.pause(2)), &Reply::Refused(Refusal::NoSuchJob(job_id(2))));
}

#[test]
fn what_waits_on_a_worker_behind_other_work_comes_back() {
    let mut it = Stage::new();
    it.join(1, 1);
    let mut runs = only(&it.submit(1, spec(&[map()]), 40));
    // So short that several are given at once.
    let held = loop {
        let out = it.succeeds_after(1, &runs, 1_000, 0);
        match given(&out).as_slice() {
            [(_, next)] => runs = *next,
            many => break many.to_vec(),
        }
    };
    let asked = asked_back(&it.pause(1));
    let behind: Vec<_> = held[1..].iter().rev().map(|(worker, attempt)| (*worker, attempt.id)).collect();
    let mut sorted = asked.clone();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(sorted, behind, "all but the one that runs");
}

#[test]
fn what_runs_of_a_job_that_is_paused_at_once_is_stopped_and_counts_for_nothing() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 1));
    let out = it.control(Control::Pause { job: job_id(1), why: String::new(), stop: true });
    assert_eq!(stopped(&out), [first.id]);
    assert!(it.succeeds(1, &first, 1).records.is_empty(), "nothing of it commits");
    let again = only(&it.resume(1));
    assert_eq!((again.item, again.attempt), (first.item, 1), "the first try still");
}

#[test]
fn a_worker_that_comes_back_with_what_was_to_be_stopped_stops_it() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 1));
    it.link_lost(1);
    it.control(Control::Pause { job: job_id(1), why: String::new(), stop: true });
    let out = it.hello(1, 1, 1, &[first], &[]);
    assert_eq!(stopped(&out), [first.id]);
    assert_eq!(it.counts(1, 0).running, 0);
}

#[test]
fn a_paused_job_rests_after_a_start_and_what_ran_is_taken_over() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 2));
    it.pause(1);
    let mut it = it.restart(2);
    assert!(given(&it.hello(1, 1, 1, &[first], &[])).is_empty());
    assert!(given(&it.succeeds(1, &first, 0)).is_empty());
    assert_eq!(only(&it.resume(1)).item, item(1, 0, 1));
}

#[test]
fn a_paused_job_ends_with_its_last_item_and_is_not_paused_then() {
    let mut it = Stage::new();
    it.join(1, 1);
    let last = only(&it.submit(1, spec(&[map()]), 1));
    it.pause(1);
    it.succeeds(1, &last, 0);
    assert_eq!(it.state(1), JobState::Succeeded);
    assert!(it.view(1).record.paused.is_none());
}

#[test]
fn another_priority_counts_from_the_next_hand_out_on() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(2, spec(&[map()]), 2));
    it.submit(1, spec(&[map()]), 1);
    assert_eq!(reply(&it.control(change(Some(1), &[]))), &Reply::Done);
    assert_eq!(only(&it.succeeds_after(1, &first, 100_000, 0)).item.job, job_id(1));
    assert!(it.control(change(Some(1), &[])).records.is_empty(), "it has that already");
}

#[test]
fn more_or_fewer_run_at_once_when_that_is_changed() {
    let mut it = Stage::new();
    it.join(1, 8);
    let mut one = map();
    one.max_parallel = 1;
    assert_eq!(given(&it.submit(1, spec(&[one]), 8)).len(), 1);
    assert_eq!(given(&it.control(change(None, &[(0, 3)]))).len(), 2);
    assert_eq!(given(&it.control(change(None, &[(0, 2)]))).len(), 0);
    assert_eq!(given(&it.control(change(None, &[(0, 0)]))).len(), 5);
    let refused = Refusal::NoSuchStage { job: job_id(1), stage: 1 };
    assert_eq!(reply(&it.control(change(Some(9), &[(1, 1)]))), &Reply::Refused(refused));
    assert_eq!(it.view(1).record.spec.priority, 0, "all of it or nothing");
}
