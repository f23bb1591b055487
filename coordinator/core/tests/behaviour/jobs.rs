//! Jobs: submitted, ended, cancelled, retried; stages that feed one another.

use longshore_core::{Blame, JobId, JobState, Namespace, Notice, Refusal, Reply, Source, StageSpec};

use crate::stage::{Stage, gather, given, item, job_id, map, only, outcomes, reply, spec, stopped};

#[test]
fn a_submission_is_kept_before_it_is_acknowledged() {
    let mut it = Stage::new();
    let out = it.submit(1, spec(&[map()]), 3);
    assert_eq!(reply(&out), &Reply::Submitted { job: job_id(1), existed: false });
    assert_eq!(out.records.len(), 1);
    assert_eq!(out.notices, [Notice::Job(job_id(1))]);
}

#[test]
fn the_same_key_twice_is_the_same_job() {
    let mut it = Stage::new();
    it.submit_with_key(1, "key", spec(&[map()]), 3);
    let out = it.submit_with_key(2, "key", spec(&[map()]), 3);
    assert_eq!(reply(&out), &Reply::Submitted { job: job_id(1), existed: true });
    assert!(out.records.is_empty());
    assert!(it.core.job_view(job_id(2)).is_none());
}

#[test]
fn no_key_is_no_promise_of_sameness() {
    let mut it = Stage::new();
    it.submit_with_key(1, "", spec(&[map()]), 3);
    let out = it.submit_with_key(2, "", spec(&[map()]), 3);
    assert_eq!(reply(&out), &Reply::Submitted { job: job_id(2), existed: false });
}

#[test]
fn a_job_succeeds_when_every_item_has() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 5);
    it.do_everything(1, out, 1);
    assert_eq!(it.state(1), JobState::Succeeded);
    assert_eq!(it.counts(1, 0).succeeded, 5);
}

#[test]
fn each_output_becomes_one_item_of_the_next_stage() {
    let mut it = Stage::new();
    it.join(1, 4);
    let out = it.submit(1, spec(&[map(), map()]), 2);
    let [(_, first), (_, second)] = given(&out)[..] else { panic!("{out:?}") };
    let out = it.succeeds(1, &second, 2);
    let sources: Vec<Source> = given(&out).iter().map(|(_, attempt)| attempt.source).collect();
    assert_eq!(sources, [0, 1].map(|ordinal| Source::Output { parent: 1, ordinal }));
    let out = it.succeeds(1, &first, 1);
    assert_eq!(only(&out).item, item(1, 1, 2));
    assert_eq!(only(&out).source, Source::Output { parent: 0, ordinal: 0 });
    assert_eq!(it.core.source(&item(1, 1, 1)), Some(Source::Output { parent: 1, ordinal: 1 }));
}

#[test]
fn no_outputs_make_no_items() {
    let mut it = Stage::new();
    it.join(1, 4);
    let out = it.submit(1, spec(&[map(), map()]), 2);
    it.do_everything(1, out, 0);
    assert_eq!(it.state(1), JobState::Succeeded);
    assert_eq!(it.counts(1, 1).items, 0);
}

#[test]
fn a_gather_item_waits_for_everything_before_it() {
    let mut it = Stage::new();
    it.join(1, 4);
    let out = it.submit(1, spec(&[map(), gather()]), 2);
    let [(_, first), (_, second)] = given(&out)[..] else { panic!("{out:?}") };
    assert!(given(&it.succeeds(1, &first, 3)).is_empty());
    let out = it.succeeds(1, &second, 3);
    assert_eq!(only(&out).source, Source::Everything);
    it.succeeds(1, &only(&out), 1);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn nothing_is_gathered_when_something_failed() {
    let mut it = Stage::new();
    it.join(1, 4);
    let out = it.submit(1, spec(&[map(), gather()]), 2);
    let [(_, first), (_, second)] = given(&out)[..] else { panic!("{out:?}") };
    it.succeeds(1, &first, 1);
    let out = it.fails(1, &second, Blame::Hopeless);
    assert!(given(&out).is_empty());
    assert_eq!(it.state(1), JobState::Failed);
}

#[test]
fn a_failed_gather_can_be_retried() {
    let mut it = Stage::new();
    it.join(1, 4);
    let out = it.submit(1, spec(&[map(), gather()]), 1);
    let out = it.succeeds(1, &only(&out), 1);
    it.fails(1, &only(&out), Blame::Hopeless);
    let out = it.retry(1);
    assert_eq!(reply(&out), &Reply::Retried { failed: 1, unended: 0 });
    it.succeeds(1, &only(&out), 1);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn a_failed_item_is_tried_again_after_its_pause() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    let out = it.fails(1, &only(&out), Blame::Item);
    assert!(given(&out).is_empty());
    assert_eq!(it.counts(1, 0).backing_off, 1);
    let due_ms = it.core.next_deadline_ms().expect("a pause ends");
    assert!((300..=400).contains(&due_ms), "{due_ms}");
    let out = it.wait(due_ms - it.now_ms);
    assert_eq!(only(&out).attempt, 2);
}

#[test]
fn an_item_fails_when_its_attempts_are_used_up() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    it.fails(1, &only(&out), Blame::Item);
    let out = it.wait(400);
    let out = it.fails(1, &only(&out), Blame::Item);
    assert_eq!(outcomes(&out), 1);
    assert_eq!(it.state(1), JobState::Failed);
}

#[test]
fn hopeless_is_not_tried_again() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    it.fails(1, &only(&out), Blame::Hopeless);
    assert_eq!(it.state(1), JobState::Failed);
}

#[test]
fn a_mishap_is_not_the_items_failure() {
    let mut it = Stage::new();
    it.join(1, 1);
    let once = StageSpec { attempts: 1, ..map() };
    let mut out = it.submit(1, spec(&[once]), 1);
    for _ in 0..3 {
        it.fails(1, &only(&out), Blame::Infrastructure);
        out = it.wait_with(1, 1_000);
    }
    it.succeeds(1, &only(&out), 0);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn an_item_that_takes_down_slots_is_given_up() {
    let mut it = Stage::new();
    it.join(1, 1);
    let many = StageSpec { attempts: 1, ..map() };
    let mut out = it.submit(1, spec(&[many]), 1);
    for _ in 0..2 {
        it.fails(1, &only(&out), Blame::Slot);
        out = it.wait_with(1, 1_000);
    }
    it.fails(1, &only(&out), Blame::Slot);
    assert_eq!(it.state(1), JobState::Failed);
}

#[test]
fn a_due_pause_is_no_deadline_while_there_is_no_room() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 2);
    it.fails(1, &only(&out), Blame::Item);
    it.wait(400);
    assert_eq!(it.counts(1, 0).backing_off, 0);
    assert!(it.core.next_deadline_ms().is_some_and(|at_ms| at_ms > it.now_ms));
}

#[test]
fn nothing_commits_after_a_cancel() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    let attempt = only(&out);
    let out = it.cancel(1);
    assert_eq!(reply(&out), &Reply::Cancelled);
    assert_eq!(stopped(&out), [attempt.id]);
    let out = it.succeeds(1, &attempt, 1);
    assert!(out.records.is_empty());
    assert_eq!(it.state(1), JobState::Cancelled);
}

#[test]
fn a_job_that_has_ended_by_itself_cannot_be_cancelled() {
    let mut it = Stage::new();
    it.join(1, 1);
    let last = only(&it.submit(1, spec(&[map()]), 1));
    it.succeeds(1, &last, 0);
    assert_eq!(reply(&it.cancel(1)), &Reply::Refused(Refusal::JobHasEnded(job_id(1))));
    assert_eq!(reply(&it.cancel(2)), &Reply::Refused(Refusal::NoSuchJob(job_id(2))));
}

#[test]
fn retry_tries_what_failed_and_nothing_else() {
    let mut it = Stage::new();
    it.join(1, 4);
    let out = it.submit(1, spec(&[map()]), 2);
    let [(_, first), (_, second)] = given(&out)[..] else { panic!("{out:?}") };
    assert_eq!(reply(&it.retry(1)), &Reply::Refused(Refusal::JobIsRunning(job_id(1))));
    it.succeeds(1, &first, 1);
    it.fails(1, &second, Blame::Hopeless);
    let out = it.retry(1);
    assert_eq!(reply(&out), &Reply::Retried { failed: 1, unended: 0 });
    assert_eq!(only(&out).item, second.item);
    assert_eq!(only(&out).attempt, 2);
    it.succeeds(1, &only(&out), 1);
    assert_eq!(it.state(1), JobState::Succeeded);
    assert_eq!(reply(&it.retry(1)), &Reply::Refused(Refusal::NothingFailed(job_id(1))));
}

#[test]
fn a_cancelled_job_goes_on_where_it_was() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 2);
    it.succeeds(1, &only(&out), 1);
    it.cancel(1);
    let out = it.retry(1);
    assert_eq!(reply(&out), &Reply::Retried { failed: 0, unended: 1 });
    assert_eq!(only(&out).item, item(1, 0, 1));
}

#[test]
fn higher_priority_goes_first() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map()]), 5);
    let mut urgent = spec(&[map()]);
    urgent.priority = 1;
    it.submit(2, urgent, 1);
    assert_eq!(only(&it.join(1, 1)).item.job, job_id(2));
}

#[test]
fn jobs_of_one_priority_share_the_slots() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map()]), 9);
    it.submit(2, spec(&[map()]), 9);
    let jobs: Vec<_> = given(&it.join(1, 4)).iter().map(|(_, attempt)| attempt.item.job).collect();
    assert_eq!(jobs.iter().filter(|job| **job == job_id(1)).count(), 2);
}

#[test]
fn no_more_run_at_once_than_the_stage_allows() {
    let mut it = Stage::new();
    it.join(1, 8);
    let out = it.submit(1, spec(&[StageSpec { max_parallel: 3, ..map() }]), 9);
    assert_eq!(given(&out).len(), 3);
}

#[test]
fn watchers_hear_of_a_job_once_a_step() {
    let mut it = Stage::new();
    it.join(1, 1);
    let last = only(&it.submit(1, spec(&[map()]), 1));
    let out = it.succeeds(1, &last, 0);
    assert_eq!(out.notices, [Notice::Job(job_id(1))], "its last item has ended, and so has it");
}

#[test]
fn jobs_are_found_by_the_beginnings_of_their_ids() {
    let mut it = Stage::new();
    for number in [0x10, 0x1f, 0x20] {
        it.submit(number, spec(&[map()]), 1);
    }
    let found = |beginning: &str| {
        let ids = JobId::starting_with(beginning).expect("digits");
        it.core.ledger().jobs_in(&Namespace::default(), ids).map(|job| job.record.id.0[0]).collect::<Vec<u8>>()
    };
    assert_eq!(found("1"), [0x10, 0x1f]);
    assert_eq!(found("1F1f1f1f-1"), [0x1f]);
    assert_eq!(found(&job_id(0x20).to_string()), [0x20]);
    assert!(found("3").is_empty());
}
