//! Idempotency keys: the same work makes one job, other work is refused, also for a while after the job was removed.

use longshore_core::{Differs, Input, Refusal, Reply};

use crate::stage::{Stage, WALL_MS, job_id, map, reply, spec};

fn taken(differs: Differs) -> Reply {
    Reply::Refused(Refusal::KeyIsTaken { job: job_id(1), differs })
}

const DAY_MS: u64 = 24 * 3_600_000;

#[test]
fn the_same_work_under_the_same_key_is_the_first_job_however_it_was_put() {
    let mut it = Stage::new();
    it.submit_meaning(1, "key", (1, 1));
    let out = it.submit_meaning(2, "key", (1, 1));
    assert_eq!(reply(&out), &Reply::Submitted { job: job_id(1), existed: true }, "though its blob is another");
    assert!(out.records.is_empty());
}

#[test]
fn other_work_under_the_same_key_is_refused_and_what_differs_is_said() {
    let mut it = Stage::new();
    it.submit_meaning(1, "key", (1, 1));
    assert_eq!(reply(&it.submit_meaning(2, "key", (2, 1))), &taken(Differs::Spec));
    assert_eq!(reply(&it.submit_meaning(2, "key", (1, 2))), &taken(Differs::Inputs));
    assert_eq!(reply(&it.submit_meaning(2, "key", (2, 2))), &taken(Differs::Both));
    let mut it = it.restart(2);
    assert_eq!(reply(&it.submit_meaning(2, "key", (2, 1))), &taken(Differs::Spec));
    assert_eq!(it.core.ledger().jobs().count(), 1);
}

#[test]
fn of_a_job_of_before_meanings_were_kept_the_blob_is_compared() {
    let mut it = Stage::new();
    it.submit_with_key(1, "key", spec(&[map()]), 1);
    let out = it.submit_with_key(2, "key", spec(&[map()]), 1);
    assert_eq!(reply(&out), &Reply::Submitted { job: job_id(1), existed: true });
    assert_eq!(reply(&it.submit_meaning(2, "key", (1, 1))), &taken(Differs::Somehow));
}

#[test]
fn a_key_outlives_its_job_by_a_day() {
    let mut it = Stage::new();
    it.submit_meaning(1, "key", (1, 1));
    it.remove_job(1, true);
    let mut it = it.restart(2);
    let refused = Refusal::KeyOfRemoved { job: job_id(1), until_ms: WALL_MS + DAY_MS };
    assert_eq!(reply(&it.submit_meaning(2, "key", (1, 1))), &Reply::Refused(refused));
    it.now_ms += DAY_MS;
    let out = it.submit_meaning(2, "key", (2, 1));
    assert_eq!(reply(&out), &Reply::Submitted { job: job_id(2), existed: false });
    assert_eq!(it.core.ledger().tombstones(), 0);
}

#[test]
fn keys_that_are_free_are_forgotten() {
    let mut it = Stage::new();
    it.submit_meaning(1, "key", (1, 1));
    it.remove_job(1, true);
    assert_eq!(it.core.ledger().tombstones(), 1);
    it.wait(DAY_MS - 1);
    assert_eq!(it.core.ledger().tombstones(), 1);
    it.step(Input::Tick);
    it.wait(1);
    assert_eq!(it.core.ledger().tombstones(), 0);
    assert_eq!(reply(&it.remove_job(1, true)), &Reply::Refused(Refusal::NoSuchJob(job_id(1))));
}
