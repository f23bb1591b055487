//! Jobs that are to run after others.

use longshore_core::{Blame, JobSpec, JobState, Refusal, Reply};

use crate::stage::{Stage, given, job_id, map, only, reply, spec};

fn after(jobs: &[u8]) -> JobSpec {
    JobSpec { after: jobs.iter().map(|job| job_id(*job)).collect(), ..spec(&[map()]) }
}

fn after_any(jobs: &[u8]) -> JobSpec {
    JobSpec { after_any: jobs.iter().map(|job| job_id(*job)).collect(), ..spec(&[map()]) }
}

#[test]
fn a_job_waits_until_all_others_have_ended_well() {
    let mut it = Stage::new();
    it.join(1, 4);
    let first = only(&it.submit(1, spec(&[map()]), 1));
    let second = only(&it.submit(2, spec(&[map()]), 1));
    assert!(given(&it.submit(3, after(&[1, 2]), 1)).is_empty());
    assert!(given(&it.succeeds(1, &first, 0)).is_empty());
    assert_eq!(it.view(3).record.awaits, [job_id(2)]);
    assert_eq!(only(&it.succeeds(1, &second, 0)).item.job, job_id(3));
}

#[test]
fn a_job_that_can_never_run_ends_and_all_that_wait_for_it() {
    let mut it = Stage::new();
    it.join(1, 4);
    let first = only(&it.submit(1, spec(&[map()]), 1));
    it.submit(2, after(&[1]), 1);
    it.submit(3, after(&[2]), 1);
    let any = only(&{
        it.submit(4, after_any(&[3]), 1);
        it.fails(1, &first, Blame::Hopeless)
    });
    assert_eq!(any.item.job, job_id(4), "that one wanted an end of any kind");
    assert_eq!((it.state(2), it.state(3)), (JobState::Cancelled, JobState::Cancelled));
    let reason = it.view(2).record.reason;
    assert!(reason.contains(&job_id(1).to_string()) && reason.ends_with("has failed"), "{reason}");
    let reason = it.view(3).record.reason;
    assert!(reason.contains(&job_id(2).to_string()) && reason.ends_with("was cancelled"), "{reason}");
}

#[test]
fn what_has_ended_is_not_waited_for_and_what_is_not_there_or_has_failed_is_refused() {
    let mut it = Stage::new();
    it.join(1, 4);
    let first = only(&it.submit(1, spec(&[map()]), 1));
    it.succeeds(1, &first, 0);
    only(&it.submit(2, after(&[1]), 1));
    it.cancel(2);
    assert_eq!(reply(&it.submit(3, after(&[2]), 1)), &Reply::Refused(Refusal::AfterEndedBadly(job_id(2))));
    assert_eq!(reply(&it.submit(3, after(&[9]), 1)), &Reply::Refused(Refusal::NoSuchJob(job_id(9))));
    assert_eq!(reply(&it.submit(3, after(&[3]), 1)), &Reply::Refused(Refusal::NoSuchJob(job_id(3))));
    only(&it.submit(3, after_any(&[2]), 1));
    let out = it.submit_in("other", 4, "key", after(&[1]), 1);
    assert_eq!(reply(&out), &Reply::Refused(Refusal::NoSuchJob(job_id(1))), "another's job is nobody's");
}

#[test]
fn waiting_survives_a_start() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map()]), 1);
    it.submit(2, after(&[1]), 1);
    let mut it = it.restart(2);
    let first = only(&it.join(1, 4));
    assert_eq!(first.item.job, job_id(1));
    assert_eq!(only(&it.succeeds(1, &first, 0)).item.job, job_id(2));
}

#[test]
fn a_cancelled_job_that_waited_waits_no_more_until_it_is_retried() {
    let mut it = Stage::new();
    it.join(1, 4);
    let first = only(&it.submit(1, spec(&[map()]), 1));
    it.submit(2, after(&[1]), 1);
    it.cancel(2);
    assert!(it.view(2).record.awaits.is_empty());
    assert!(given(&it.retry(2)).is_empty(), "the other still runs");
    assert_eq!(only(&it.succeeds(1, &first, 0)).item.job, job_id(2));
}

#[test]
fn a_job_is_cancelled_with_the_one_it_waits_for_where_that_is_removed() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map()]), 1);
    it.submit(2, after(&[1]), 1);
    it.remove_job(1, true);
    assert_eq!(it.state(2), JobState::Cancelled);
}
