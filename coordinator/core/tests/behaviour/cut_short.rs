//! Jobs that end before their items: by too many failures, a deadline, a canary, or a breaker.

use longshore_core::{
    Blame, Breaker, Cut, End, Fault, FaultClass, FaultPolicy, FaultRule, Finished, Halt, HaltAt, Input, JobSpec,
    JobState, Now, Outbox, Reply, StageSpec,
};

use crate::stage::{Stage, WALL_MS, given, job_id, life, map, only, reply, spec, stopped, worker_id};

/// Stages whose items are tried once.
fn once() -> StageSpec {
    StageSpec { attempts: 1, ..map() }
}

fn halting(at: HaltAt, now: bool) -> JobSpec {
    JobSpec { halt: Some(Halt { at, now }), ..spec(&[once()]) }
}

fn cut(it: &Stage) -> Option<Cut> {
    it.view(1).record.cut
}

#[test]
fn a_job_that_halts_soon_gives_out_nothing_more_and_ends_when_what_runs_has_ended() {
    let mut it = Stage::new();
    it.join(1, 2);
    let out = it.submit(1, halting(HaltAt::Items(1), false), 9);
    let [(_, first), (_, second)] = given(&out)[..] else { panic!("{out:?}") };
    let out = it.exits(1, &first, 1);
    assert!(given(&out).is_empty() && stopped(&out).is_empty());
    assert_eq!((it.state(1), cut(&it)), (JobState::Running, Some(Cut::Halt)));
    it.succeeds(1, &second, 0);
    assert_eq!(it.state(1), JobState::Failed);
    assert_eq!((it.counts(1, 0).succeeded, it.counts(1, 0).queued), (1, 7));
}

#[test]
fn a_job_that_halts_now_stops_what_runs() {
    let mut it = Stage::new();
    it.join(1, 2);
    let out = it.submit(1, halting(HaltAt::Items(1), true), 9);
    let [(_, first), (_, second)] = given(&out)[..] else { panic!("{out:?}") };
    let out = it.exits(1, &first, 1);
    assert_eq!((stopped(&out), it.state(1)), (vec![second.id], JobState::Failed));
    it.succeeds(1, &second, 0);
    assert_eq!(it.counts(1, 0).succeeded, 0, "nothing of it commits any more");
}

#[test]
fn a_job_halts_at_its_number_of_failures_and_not_before() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, halting(HaltAt::Items(2), false), 9));
    let second = only(&it.exits(1, &first, 1));
    assert_eq!(cut(&it), None);
    it.exits(1, &second, 1);
    assert_eq!((cut(&it), it.state(1)), (Some(Cut::Halt), JobState::Failed));
}

#[test]
fn a_share_of_failures_is_one_of_the_items_there_are() {
    let mut it = Stage::new();
    it.join(1, 1);
    let mut attempt = only(&it.submit(1, halting(HaltAt::Percent(50), false), 8));
    for failed in 1..4 {
        attempt = only(&it.exits(1, &attempt, 1));
        assert_eq!(cut(&it), None, "{failed} of 8");
    }
    it.exits(1, &attempt, 1);
    assert_eq!(cut(&it), Some(Cut::Halt));
}

#[test]
fn a_job_whose_last_item_fails_has_not_halted() {
    let mut it = Stage::new();
    it.join(1, 1);
    let only = only(&it.submit(1, halting(HaltAt::Items(1), false), 1));
    it.exits(1, &only, 1);
    assert_eq!((it.state(1), cut(&it)), (JobState::Failed, None));
}

#[test]
fn what_waits_for_its_next_try_when_a_job_halts_is_not_tried_again() {
    let mut it = Stage::new();
    it.join(1, 2);
    let never = FaultRule { class: FaultClass::Exit, codes: (9, 9) };
    let policy = FaultPolicy { never: vec![never], ..Default::default() };
    let halting =
        JobSpec { halt: Some(Halt { at: HaltAt::Items(1), now: false }), ..spec(&[StageSpec { policy, ..map() }]) };
    let out = it.submit(1, halting, 2);
    let [(_, first), (_, second)] = given(&out)[..] else { panic!("{out:?}") };
    it.exits(1, &first, 1);
    it.exits(1, &second, 9);
    assert_eq!((it.state(1), it.counts(1, 0).failed), (JobState::Failed, 1));
    assert!(given(&it.wait_with(1, 1_000)).is_empty());
}

#[test]
fn a_halted_job_goes_on_when_it_is_retried() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, halting(HaltAt::Items(1), false), 2));
    it.exits(1, &first, 1);
    let out = it.retry(1);
    assert_eq!(
        (reply(&out), cut(&it), it.state(1)),
        (&Reply::Retried { failed: 1, unended: 1 }, None, JobState::Running)
    );
    it.do_everything(1, out, 0);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn a_job_that_was_to_halt_does_so_after_a_restart_when_its_workers_are_back() {
    let mut it = Stage::new();
    it.join(1, 2);
    let out = it.submit(1, halting(HaltAt::Items(1), false), 9);
    let [(_, first), (_, second)] = given(&out)[..] else { panic!("{out:?}") };
    it.exits(1, &first, 1);
    let mut it = it.restart(2);
    it.wait(1);
    assert_eq!(it.state(1), JobState::Running, "what runs is not known yet");
    assert!(given(&it.hello(1, 1, 2, &[second], &[])).is_empty());
    assert_eq!(it.state(1), JobState::Running);
    it.succeeds(1, &second, 0);
    assert_eq!(it.state(1), JobState::Failed);
}

#[test]
fn a_job_that_was_to_halt_and_whose_worker_is_gone_ends() {
    let mut it = Stage::new();
    it.join(1, 2);
    let out = it.submit(1, halting(HaltAt::Items(1), false), 9);
    it.exits(1, &given(&out)[0].1, 1);
    it.goodbye(1);
    assert_eq!(it.state(1), JobState::Failed);
}

fn due_in(ms: u64) -> JobSpec {
    JobSpec { deadline_ms: ms, ..spec(&[once()]) }
}

#[test]
fn a_job_ends_at_its_deadline_and_what_runs_is_stopped() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, due_in(5_000), 2));
    it.wait_with(1, 4_999);
    assert_eq!(it.state(1), JobState::Running);
    assert_eq!(it.core.next_deadline_ms(), Some(5_000));
    let out = it.wait_with(1, 1);
    assert_eq!((stopped(&out), it.state(1), cut(&it)), (vec![first.id], JobState::Failed, Some(Cut::Deadline)));
    assert_eq!(it.view(1).record.ended_ms, WALL_MS + 5_000);
}

#[test]
fn a_deadline_stops_what_a_job_that_is_to_end_still_runs_and_the_reason_stays_the_first() {
    let mut it = Stage::new();
    it.join(1, 2);
    let out = it.submit(1, JobSpec { deadline_ms: 5_000, ..halting(HaltAt::Items(1), false) }, 9);
    let [(_, first), (_, second)] = given(&out)[..] else { panic!("{out:?}") };
    it.exits(1, &first, 1);
    assert_eq!((it.state(1), cut(&it)), (JobState::Running, Some(Cut::Halt)));
    let out = it.wait_with(1, 5_000);
    assert_eq!((stopped(&out), it.state(1), cut(&it)), (vec![second.id], JobState::Failed, Some(Cut::Halt)));
}

#[test]
fn a_job_that_has_ended_has_no_deadline_any_more() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, due_in(5_000), 1);
    it.do_everything(1, out, 0);
    it.wait_with(1, 9_000);
    assert_eq!((it.state(1), cut(&it)), (JobState::Succeeded, None));
}

#[test]
fn a_deadline_begins_anew_with_a_retry() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.submit(1, due_in(5_000), 1);
    it.wait_with(1, 5_000);
    it.retry(1);
    it.wait_with(1, 4_999);
    assert_eq!(it.state(1), JobState::Running);
    it.wait_with(1, 1);
    assert_eq!(it.state(1), JobState::Failed);
}

/// A step at that time of both clocks.
fn tick(it: &mut Stage, steady_ms: u64, wall_ms: u64) -> Outbox {
    it.core.step(
        Now { steady_ms, wall_ms },
        Input::Heard { worker: worker_id(1), incarnation: life(1), as_of_ms: steady_ms },
    );
    it.core.step(Now { steady_ms, wall_ms }, Input::Tick)
}

#[test]
fn a_jump_of_the_wall_clock_does_not_move_a_deadline() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.submit(1, due_in(5_000), 1);
    tick(&mut it, 4_000, WALL_MS + 1_000_000);
    assert_eq!(it.state(1), JobState::Running);
    tick(&mut it, 5_000, WALL_MS - 1_000_000);
    assert_eq!(it.state(1), JobState::Failed);
}

#[test]
fn a_deadline_counts_on_while_the_coordinator_is_down() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.submit(1, due_in(5_000), 1);
    it.now_ms = 3_000;
    let mut it = it.restart(2);
    it.wait(1_999);
    assert_eq!(it.state(1), JobState::Running);
    it.wait(1);
    assert_eq!(it.state(1), JobState::Failed);
}

#[test]
fn a_canary_goes_alone_and_the_others_follow_when_it_has_succeeded() {
    let mut it = Stage::new();
    it.join(1, 8);
    let out = it.submit(1, spec(&[StageSpec { canary: 2, ..once() }]), 9);
    let [(_, first), (_, second)] = given(&out)[..] else { panic!("{out:?}") };
    assert!(given(&it.succeeds(1, &first, 0)).is_empty());
    assert_eq!(given(&it.succeeds(1, &second, 0)).len(), 7);
}

#[test]
fn nothing_follows_a_canary_that_failed() {
    let mut it = Stage::new();
    it.join(1, 8);
    let out = it.submit(1, spec(&[StageSpec { canary: 2, ..once() }]), 9);
    let [(_, first), (_, second)] = given(&out)[..] else { panic!("{out:?}") };
    it.succeeds(1, &first, 0);
    assert!(given(&it.exits(1, &second, 1)).is_empty());
    assert_eq!((it.state(1), cut(&it)), (JobState::Failed, Some(Cut::Canary { stage: 0 })));
    assert_eq!(it.counts(1, 0).queued, 7);
}

#[test]
fn a_canary_is_for_the_first_alone() {
    let mut it = Stage::new();
    it.join(1, 8);
    let first = only(&it.submit(1, spec(&[StageSpec { canary: 1, ..once() }]), 9));
    let out = it.succeeds(1, &first, 0);
    it.exits(1, &given(&out)[0].1, 1);
    assert_eq!(cut(&it), None);
}

/// The job, of a stage of so many items, after that many of its attempts have failed alike.
fn after_failures(stage: StageSpec, items: u64, failures: usize) -> Stage {
    let mut it = Stage::new();
    it.join(1, 1);
    let mut attempts = given(&it.submit(1, spec(&[stage]), items));
    for _ in 0..failures {
        let Some((_, attempt)) = attempts.pop() else { break };
        attempts.extend(given(&it.exits(1, &attempt, 2)));
        if attempts.is_empty() {
            attempts.extend(given(&it.wait_with(1, 400)));
        }
    }
    it
}

#[test]
fn the_breaker_opens_where_tries_would_be_burnt_for_nothing() {
    assert_eq!(cut(&after_failures(map(), 1_000, 49)), None);
    let it = after_failures(map(), 1_000, 50);
    assert_eq!((cut(&it), it.state(1)), (Some(Cut::Breaker { stage: 0 }), JobState::Failed));
    assert!(it.counts(1, 0).queued > 900);
}

#[test]
fn items_that_have_one_try_all_get_it_however_many_fail() {
    let it = after_failures(once(), 100, 100);
    assert_eq!((cut(&it), it.counts(1, 0).failed), (None, 100));
}

#[test]
fn the_breaker_opens_always_or_never_where_the_stage_says_so() {
    let with = |breaker, stage: StageSpec| cut(&after_failures(StageSpec { breaker, ..stage }, 200, 60));
    assert_eq!(with(Breaker::On, once()), Some(Cut::Breaker { stage: 0 }));
    assert_eq!(with(Breaker::Off, map()), None);
}

#[test]
fn where_something_succeeds_the_breaker_stays_shut() {
    let mut it = Stage::new();
    it.join(1, 1);
    let first = only(&it.submit(1, spec(&[map()]), 1_000));
    let mut attempts = given(&it.succeeds(1, &first, 0));
    for _ in 0..60 {
        let (_, attempt) = attempts.pop().expect("something is given out");
        attempts.extend(given(&it.exits(1, &attempt, 2)));
    }
    assert_eq!(cut(&it), None);
}

#[test]
fn trouble_of_the_infrastructure_does_not_open_the_breaker() {
    let mut it = Stage::new();
    it.join(1, 1);
    let mut attempts = given(&it.submit(1, spec(&[map()]), 1_000));
    for _ in 0..60 {
        let (_, attempt) = attempts.pop().expect("something is given out");
        attempts.extend(given(&it.fails(1, &attempt, Blame::Infrastructure)));
        if attempts.is_empty() {
            attempts.extend(given(&it.wait_with(1, 100)));
        }
    }
    assert_eq!(cut(&it), None);
}

#[test]
fn a_retried_job_whose_breaker_opened_is_given_as_many_attempts_again() {
    let mut it = after_failures(map(), 1_000, 50);
    let out = it.retry(1);
    assert_eq!(it.state(1), JobState::Running);
    it.exits(1, &given(&out)[0].1, 2);
    assert_eq!((it.state(1), cut(&it)), (JobState::Running, None));
    assert!(it.core.ledger().job(job_id(1)).is_some_and(|job| job.record.may_dispatch()));
}

#[test]
fn no_fresh_items_are_begun_while_ten_thousand_pause() {
    let mut it = Stage::new();
    it.join(1, 4_000);
    let stage = StageSpec { breaker: Breaker::Off, backoff_ms: 900, max_backoff_ms: 900, ..map() };
    let mut attempts = given(&it.submit(1, spec(&[stage]), 100_000));
    while !attempts.is_empty() {
        let failed = attempts.iter().map(|(_, attempt)| Finished {
            id: attempt.id,
            item: attempt.item,
            end: End::Failed { blame: Blame::Item, fault: Fault::default(), detail: Vec::new() },
            run_us: 60_000,
        });
        let results = failed.collect();
        attempts = given(&it.step(Input::Finished { worker: worker_id(1), incarnation: life(1), results }));
    }
    let paused = it.counts(1, 0).backing_off;
    assert!((10_000..14_000).contains(&paused), "{paused}");
    assert_eq!(it.counts(1, 0).queued, 100_000 - paused);
    assert!(!given(&it.wait_with(1, 900)).is_empty());
}
