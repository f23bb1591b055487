//! What people are shown: counts, why nothing runs, and that they hear of changes.

use longshore_core::{Blame, JobId, JobSpec, Notice, ReplicaKey, Role, Source};

use crate::{
    members::{create, join},
    stage::{Stage, WALL_MS, gather, given, item, job_id, map, only, service, spec},
};

#[test]
fn a_job_says_when_it_was_submitted_and_when_and_why_it_ended() {
    let mut it = Stage::new();
    it.now_ms = 5;
    it.submit(1, spec(&[map()]), 1);
    assert_eq!(it.view(1).record.ended_ms, 0);
    it.now_ms = 7;
    assert_eq!(it.cancel(1).notices, [Notice::Job(job_id(1))]);
    let record = it.view(1).record;
    assert_eq!((record.submitted_ms, record.ended_ms), (WALL_MS + 5, WALL_MS + 7));
    assert_eq!(record.reason, "enough");
}

#[test]
fn a_retried_job_has_no_end_and_no_reason_for_one() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map()]), 1);
    it.cancel(1);
    let out = it.retry(1);
    let record = it.view(1).record;
    assert_eq!((record.ended_ms, record.reason.as_str()), (0, ""));
    assert_eq!(out.notices, [Notice::Job(job_id(1))]);
}

#[test]
fn a_change_is_noticed_once_and_in_order() {
    let mut it = Stage::new();
    it.join(1, 2);
    it.submit(2, spec(&[map()]), 1);
    it.submit(1, spec(&[map()]), 1);
    let out = it.goodbye(1);
    assert_eq!(out.notices, [Notice::Job(job_id(1)), Notice::Job(job_id(2))]);
}

#[test]
fn watchers_hear_that_an_item_has_ended_even_when_nothing_follows() {
    let mut it = Stage::new();
    it.join(1, 2);
    let out = it.submit(1, spec(&[map()]), 2);
    let out = it.succeeds(1, &given(&out)[0].1, 0);
    assert_eq!(out.notices, [Notice::Job(job_id(1))]);
}

#[test]
fn watchers_hear_that_a_pause_is_over_even_when_there_is_no_room() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 2);
    it.fails(1, &only(&out), Blame::Item);
    let out = it.wait(400);
    assert!(given(&out).is_empty());
    assert_eq!(out.notices, [Notice::Job(job_id(1))]);
    assert!(it.wait(1).notices.is_empty());
}

#[test]
fn a_paused_item_is_not_shown_as_queued() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    it.fails(1, &only(&out), Blame::Item);
    let counts = it.counts(1, 0);
    assert_eq!((counts.items, counts.queued, counts.running, counts.backing_off), (1, 0, 0, 1));
}

#[test]
fn failed_attempts_are_counted_while_a_job_runs_and_given_up_items_for_ever() {
    let mut it = Stage::new();
    it.join(1, 3);
    let out = it.submit(1, spec(&[map()]), 3);
    let attempts: Vec<_> = given(&out).into_iter().map(|(_, attempt)| attempt).collect();
    it.fails(1, &attempts[0], Blame::Item);
    assert_eq!(it.counts(1, 0).failed_attempts, 1);
    it.fails(1, &attempts[1], Blame::Hopeless);
    assert_eq!(it.counts(1, 0).failed_attempts, 2);
    let mut it = it.restart(2);
    it.join(1, 3);
    assert_eq!(it.counts(1, 0).failed_attempts, 1, "this run of the coordinator has seen none, but one is given up");
    it.cancel(1);
    assert_eq!(it.counts(1, 0).failed_attempts, 1);
}

#[test]
fn a_job_says_why_nothing_of_it_runs() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map()]), 2);
    assert_eq!(it.view(1).idle_because, Some("no worker is connected that may be given it"));
    let first = only(&it.join(1, 1));
    assert_eq!(it.view(1).idle_because, None, "something runs");
    it.submit(2, JobSpec { priority: 1, ..spec(&[map()]) }, 1);
    assert_eq!(it.view(2).idle_because, Some("all slots are taken"));
    it.fails(1, &first, Blame::Item);
    assert_eq!(it.view(2).idle_because, None);
    assert_eq!(it.view(1).idle_because, Some("all slots are taken"), "one item pauses, but another is queued");
}

#[test]
fn a_job_of_which_all_that_is_left_pauses_says_so() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    it.fails(1, &only(&out), Blame::Item);
    assert_eq!(it.view(1).idle_because, Some("failed items wait for their next try"));
}

#[test]
fn a_job_that_waits_for_missed_workers_says_so() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 1);
    it.submit(1, spec(&[map()]), 1);
    let mut it = it.restart(2);
    it.join(2, 1);
    let why = it.view(1).idle_because;
    assert_eq!(why, Some("waiting for workers that were here before the coordinator's restart"));
}

#[test]
fn a_job_waits_for_no_missed_worker_that_may_not_have_it() {
    let mut it = Stage::new();
    it.ask(create(1, 1, 60_000));
    it.ask(join(1, 1, 1));
    it.join_for(1, 1, &["vision"]);
    it.join(2, 1);
    it.submit(1, spec(&[map()]), 1);
    it.submit_in("vision", 2, "", spec(&[map()]), 1);
    let mut it = it.restart(2);
    it.join(2, 1);
    let missed = "waiting for workers that were here before the coordinator's restart";
    assert_ne!(it.view(1).idle_because, Some(missed), "whether others have workers is not told");
    assert_eq!(it.view(2).idle_because, Some(missed));
}

#[test]
fn an_ended_job_is_not_idle() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map()]), 1);
    assert!(it.core.has_running_jobs());
    it.cancel(1);
    assert_eq!(it.view(1).idle_because, None);
    assert!(!it.core.has_running_jobs());
}

#[test]
fn a_gather_item_is_shown_to_come_from_everything() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map(), gather()]), 1);
    it.succeeds(1, &only(&out), 2);
    assert_eq!(it.core.source(&item(1, 1, 0)), Some(Source::Everything));
    assert_eq!(it.core.source(&item(1, 0, 0)), Some(Source::Input));
    assert_eq!(it.core.source(&item(1, 2, 0)), None);
    assert_eq!(it.core.source(&item(2, 0, 0)), None);
}

#[test]
fn names_are_shown_as_people_write_them() {
    let bytes = std::array::from_fn(|at| u8::try_from(at).expect("sixteen are few"));
    assert_eq!(JobId(bytes).to_string(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    assert_eq!(format!("{:?}", JobId(bytes)), "JobId(00010203-0405-0607-0809-0a0b0c0d0e0f)");
    let leaf = ReplicaKey { service: service("find"), generation: 3, role: Role::Leaf { shard: 2 }, number: 1 };
    assert_eq!(leaf.to_string(), "find shard 2 replica 1");
    assert_eq!(ReplicaKey { role: Role::Merge, ..leaf }.to_string(), "find merge replica 1");
}

#[test]
fn items_of_a_later_stage_may_still_come_until_everything_before_it_has_ended() {
    for later in [map(), gather()] {
        let mut it = Stage::new();
        it.join(1, 1);
        let first = only(&it.submit(1, spec(&[map(), later.clone(), map()]), 1));
        let finals = |it: &Stage| it.view(1).stages.iter().map(|stage| stage.is_final).collect::<Vec<_>>();
        assert_eq!(finals(&it), [true, false, false], "{:?}", later.kind);
        let second = only(&it.succeeds(1, &first, 1));
        assert_eq!(finals(&it), [true, true, false], "{:?}", later.kind);
        it.succeeds(1, &second, 1);
        assert_eq!(finals(&it), [true, true, true], "{:?}", later.kind);
    }
}

fn at_work(it: &Stage, job: u8, from: u64) -> Vec<(u64, String, u64)> {
    let items = it.core.at_work(job_id(job), 0, from);
    items.map(|work| (work.index, work.worker, work.since_ms)).collect()
}

#[test]
fn an_item_under_way_is_shown_with_its_worker_and_since_when() {
    let mut it = Stage::new();
    it.now_ms = 5;
    it.join(1, 2);
    it.submit(1, spec(&[map()]), 4);
    let given = at_work(&it, 1, 0);
    assert_eq!(given.iter().map(|(index, ..)| *index).collect::<Vec<_>>(), [0, 1]);
    assert!(given.iter().all(|(_, worker, since_ms)| worker == "worker-1" && *since_ms == WALL_MS + 5), "{given:?}");
    assert_eq!(at_work(&it, 1, 1), given[1..]);
    it.now_ms = 9;
    it.join(2, 1);
    assert_eq!(at_work(&it, 1, 2), [(2, "worker-2".to_owned(), WALL_MS + 9)]);
    it.cancel(1);
    assert_eq!(at_work(&it, 1, 0), []);
}

#[test]
fn what_a_worker_holds_beyond_its_slots_is_not_under_way() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map()]), 4);
    let held: Vec<_> = given(&it.hello(1, 1, 2, &[], &[])).into_iter().map(|(_, assignment)| assignment).collect();
    assert_eq!(held.len(), 2);
    it.hello(1, 1, 1, &held, &[]);
    assert_eq!(at_work(&it, 1, 0).len(), 1, "it has one slot by now");
}

#[test]
fn a_job_hears_which_worker_it_has_lost_and_how_much_was_there_unless_that_took_its_leave() {
    let mut it = Stage::new();
    it.join(1, 2);
    it.join(2, 1);
    it.submit(1, spec(&[map()]), 4);
    let lost = |out: &longshore_core::Outbox| -> Vec<Notice> {
        out.notices.iter().filter(|notice| matches!(notice, Notice::Lost { .. })).cloned().collect()
    };
    assert_eq!(lost(&it.goodbye(2)), []);
    let (job, worker) = (job_id(1), "worker-1".to_owned());
    assert_eq!(lost(&it.wait(1_001)), [Notice::Lost { job, worker, items: 2 }]);
}
