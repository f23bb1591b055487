//! A job that waits for too long: something of it could run, and nobody takes it.

use longshore_core::{Cut, JobSpec, JobState, Needs, StageSpec};

use crate::stage::{Stage, map, only, spec};

/// A job that waits for a second.
fn impatient(stages: &[StageSpec]) -> JobSpec {
    JobSpec { queue_timeout_ms: 1_000, ..spec(stages) }
}

fn cut(it: &Stage) -> Option<Cut> {
    it.view(1).record.cut
}

#[test]
fn a_job_that_nobody_takes_ends() {
    let mut it = Stage::new();
    it.submit(1, impatient(&[map()]), 3);
    it.wait(999);
    assert_eq!(it.state(1), JobState::Running);
    assert_eq!(it.core.next_deadline_ms(), Some(1_000));
    it.wait(1);
    assert_eq!((it.state(1), cut(&it), it.counts(1, 0).queued), (JobState::Failed, Some(Cut::QueueTimeout), 3));
}

#[test]
fn what_runs_is_waited_for_and_then_it_begins_anew() {
    let mut it = Stage::new();
    it.join(1, 1);
    let attempt = only(&it.submit(1, impatient(&[map()]), 2));
    for _ in 0..53 {
        it.wait_with(1, 100);
    }
    assert_eq!(it.state(1), JobState::Running, "something of it runs");
    it.drain(1);
    it.succeeds(1, &attempt, 1);
    for _ in 0..9 {
        it.wait_with(1, 100);
    }
    assert_eq!(it.state(1), JobState::Running);
    it.wait_with(1, 100);
    assert_eq!(cut(&it), Some(Cut::QueueTimeout));
}

#[test]
fn pauses_and_other_jobs_are_no_queue() {
    let mut it = Stage::new();
    it.submit(1, impatient(&[map()]), 1);
    it.pause(1);
    it.wait(5_300);
    assert_eq!(it.state(1), JobState::Running);
    it.resume(1);
    it.wait(999);
    assert_eq!(it.state(1), JobState::Running, "it begins with the end of the pause");
    it.wait(1);
    assert_eq!(cut(&it), Some(Cut::QueueTimeout));
}

#[test]
fn a_stage_that_fits_nobody_any_more_is_waited_for_no_longer() {
    let mut it = Stage::new();
    it.join(1, 1);
    let large =
        StageSpec { needs: Needs { resources: [("gpu".to_owned(), 1)].into(), ..Needs::default() }.shared(), ..map() };
    // As after a worker that had one has gone.
    let mut it = it.restart(2);
    it.wait(600);
    it.submit(1, impatient(&[large]), 1);
    it.join(1, 1);
    for _ in 0..10 {
        it.wait_with(1, 100);
    }
    assert_eq!((it.state(1), cut(&it)), (JobState::Failed, Some(Cut::QueueTimeout)));
}

#[test]
fn a_start_and_a_retry_begin_anew() {
    let mut it = Stage::new();
    it.submit(1, impatient(&[map()]), 1);
    it.wait(900);
    let mut it = it.restart(2);
    it.wait(999);
    assert_eq!(it.state(1), JobState::Running);
    it.wait(1);
    assert_eq!(it.state(1), JobState::Failed);
    it.retry(1);
    it.wait(999);
    assert_eq!((it.state(1), cut(&it)), (JobState::Running, None));
    it.join(1, 1);
    let attempt = it.given[0];
    it.succeeds(1, &attempt, 1);
    assert_eq!(it.state(1), JobState::Succeeded);
}
