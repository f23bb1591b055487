//! Jobs that are removed: gone for everybody at once, and from what is kept piece by piece.

use longshore_core::{Blame, Record, Refusal, Reply};

use crate::stage::{Stage, item, job_id, map, only, reply, spec, stopped};

#[test]
fn a_job_that_has_ended_is_gone_and_one_that_runs_is_not() {
    let mut it = Stage::new();
    it.join(1, 1);
    let last = only(&it.submit(1, spec(&[map()]), 1));
    assert_eq!(reply(&it.remove_job(1, false)), &Reply::Refused(Refusal::JobIsRunning(job_id(1))));
    it.succeeds(1, &last, 0);
    let out = it.remove_job(1, false);
    assert_eq!(reply(&out), &Reply::Done);
    assert!(out.records.contains(&Record::JobGone { job: job_id(1), stages: 1 }));
    assert!(it.core.job_view(job_id(1)).is_none());
    assert_eq!(reply(&it.remove_job(1, false)), &Reply::Done, "again");
    assert_eq!(reply(&it.remove_job(2, false)), &Reply::Refused(Refusal::NoSuchJob(job_id(2))));
    assert_eq!(reply(&it.retry(1)), &Reply::Refused(Refusal::NoSuchJob(job_id(1))));
}

#[test]
fn what_runs_of_a_job_that_is_removed_by_force_is_stopped_and_commits_nothing() {
    let mut it = Stage::new();
    it.join(1, 1);
    let runs = only(&it.submit(1, spec(&[map()]), 1));
    assert_eq!(stopped(&it.remove_job(1, true)), [runs.id]);
    assert!(it.succeeds(1, &runs, 1).records.is_empty());
    assert_eq!(it.core.ledger().jobs().count(), 0);
}

#[test]
fn a_large_job_goes_in_slices_which_a_start_goes_on_with() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map()]), 2_500);
    let gone = |records: &[Record]| -> Vec<(u64, u64)> {
        records
            .iter()
            .filter_map(|it| if let Record::ItemsGone(it) = it { Some((it.from, it.to)) } else { None })
            .collect()
    };
    assert_eq!(gone(&it.remove_job(1, true).records), [(0, 1_000)]);
    assert!(it.core.has_chores() && it.core.job_view(job_id(1)).is_none());
    let mut it = it.restart(2);
    assert!(it.core.has_chores() && it.core.job_view(job_id(1)).is_none());
    assert_eq!(gone(&it.wait(1).records), [(1_000, 2_000)]);
    let last = it.wait(1).records;
    assert_eq!(gone(&last), [(2_000, 2_500)]);
    assert_eq!(last.last(), Some(&Record::JobGone { job: job_id(1), stages: 1 }));
    assert!(!it.core.has_chores() && !it.core.ledger().is_going(job_id(1)));
}

#[test]
fn a_stage_without_items_is_passed_over() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map(), map(), map()]), 1);
    it.fails(1, &only(&out), Blame::Hopeless);
    let out = it.remove_job(1, false);
    assert_eq!(out.records.iter().filter(|it| matches!(it, Record::ItemsGone(_))).count(), 1);
    assert!(out.records.contains(&Record::JobGone { job: job_id(1), stages: 3 }));
}

#[test]
fn other_jobs_are_as_they_were() {
    let mut it = Stage::new();
    it.join(1, 2);
    it.submit(1, spec(&[map()]), 1);
    let other = only(&it.submit(2, spec(&[map()]), 1));
    it.remove_job(1, true);
    assert_eq!(other.item, item(2, 0, 0));
    it.succeeds(1, &other, 0);
    assert_eq!(it.counts(2, 0).succeeded, 1);
}
